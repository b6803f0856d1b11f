/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>
#include <efipciio.h>

#include "boot/efi.h"
#include "lib/string.h"

#define PCI_CLASS	   0x08 /* config space: revision, then three bytes of class */
#define PCI_HEADER_TYPE	   0x0e
#define PCI_MULTI_FUNCTION 0x80
#define PCI_CLASS_NETWORK  0x02

static EFI_GUID pci_io_guid = EFI_PCI_IO_PROTOCOL_GUID;
static EFI_GUID network_guid = EFI_SIMPLE_NETWORK_PROTOCOL_GUID;
static EFI_GUID device_path_guid = EFI_DEVICE_PATH_PROTOCOL_GUID;

/* A PCI function, as the firmware knows it. */
struct function {
	EFI_HANDLE handle;
	EFI_PCI_IO_PROTOCOL *io;
	UINTN segment;
	u16 bdf;
	u8 class;
	bool multi;
};

static bool function_of(struct boot *b, EFI_HANDLE handle, struct function *f)
{
	UINTN bus, device, function;
	UINT32 class;
	UINT8 header;

	f->handle = handle;
	if (b->bs->HandleProtocol(handle, &pci_io_guid, (void **)&f->io) ||
	    f->io->GetLocation(f->io, &f->segment, &bus, &device, &function) ||
	    f->io->Pci.Read(f->io, EfiPciIoWidthUint32, PCI_CLASS, 1, &class) ||
	    f->io->Pci.Read(f->io, EfiPciIoWidthUint8, PCI_HEADER_TYPE, 1, &header))
		return false;
	f->bdf = (u16)(bus << 8 | device << 3 | function);
	f->class = (u8)(class >> 24);
	f->multi = header & PCI_MULTI_FUNCTION;
	return true;
}

/* Handles that offer a protocol; the caller frees them. */
static UINTN handles_with(struct boot *b, EFI_GUID *protocol, EFI_HANDLE **handles)
{
	UINTN count;

	if (b->bs->LocateHandleBuffer(ByProtocol, protocol, NULL, &count, handles))
		return 0;
	return count;
}

static bool find_by_bdf(struct boot *b, u16 bdf, struct function *f)
{
	EFI_HANDLE *handles;
	UINTN count = handles_with(b, &pci_io_guid, &handles);
	bool found = false;

	for (UINTN i = 0; i < count && !found; i++)
		found = function_of(b, handles[i], f) && !f->segment && f->bdf == bdf;
	if (count)
		b->bs->FreePool(handles);
	return found;
}

/* The PCI function above a network interface. */
static bool parent_of(struct boot *b, EFI_HANDLE network, struct function *f)
{
	EFI_DEVICE_PATH *path;
	EFI_HANDLE parent;

	return !b->bs->HandleProtocol(network, &device_path_guid, (void **)&path) &&
	       !b->bs->LocateDevicePath(&pci_io_guid, &path, &parent) && function_of(b, parent, f);
}

static bool find_by_mac(struct boot *b, const u8 *mac, struct function *f)
{
	EFI_SIMPLE_NETWORK_PROTOCOL *network;
	EFI_HANDLE *handles;
	UINTN count = handles_with(b, &network_guid, &handles);
	bool found = false;

	for (UINTN i = 0; i < count && !found; i++)
		found = !b->bs->HandleProtocol(handles[i], &network_guid, (void **)&network) &&
			!memcmp(network->Mode->CurrentAddress.Addr, mac, 6) &&
			parent_of(b, handles[i], f);
	if (count)
		b->bs->FreePool(handles);
	return found;
}

/* Firmware may not have started the NIC's driver, which alone knows the MAC address. */
static void start_network_drivers(struct boot *b)
{
	EFI_HANDLE *handles;
	UINTN count = handles_with(b, &pci_io_guid, &handles);
	struct function f;

	for (UINTN i = 0; i < count; i++)
		if (function_of(b, handles[i], &f) && f.class == PCI_CLASS_NETWORK)
			b->bs->ConnectController(handles[i], NULL, NULL, TRUE);
	if (count)
		b->bs->FreePool(handles);
}

static int find_nic(struct boot *b, struct function *f)
{
	const u8 *m = b->config.nic_mac;
	u16 bdf = b->config.nic_bdf;

	if (!b->config.nic_by_mac) {
		if (find_by_bdf(b, bdf, f))
			return 0;
		return fail(b, -ENODEV, "nic=%02x:%02x.%x: no such PCI device", bdf >> 8,
			    bdf >> 3 & 31, bdf & 7);
	}
	if (find_by_mac(b, m, f))
		return 0;
	start_network_drivers(b);
	if (find_by_mac(b, m, f))
		return 0;
	return fail(b, -ENODEV,
		    "nic=%02x:%02x:%02x:%02x:%02x:%02x: the firmware knows no such network "
		    "interface; name it as bus:device.function",
		    m[0], m[1], m[2], m[3], m[4], m[5]);
}

int nic_find(struct boot *b)
{
	struct function f = {0};
	int err;

	if (b->config.nic_none)
		return 0;
	err = find_nic(b, &f);
	if (err)
		return err;

	const char *problem = NULL;
	if (f.class != PCI_CLASS_NETWORK)
		problem = "is not a network controller";
	else if (f.segment || f.bdf >> 8)
		problem = "is not on bus 0 of segment 0: it cannot be hidden from the guest";
	else if (!(f.bdf & 7) && f.multi)
		problem = "is function 0 of several: the others would vanish with it";
	if (problem)
		return fail(b, -EINVAL, "nic=: %02x:%02x.%x %s", f.bdf >> 8, f.bdf >> 3 & 31,
			    f.bdf & 7, problem);
	b->nic = f.handle;
	b->info->nic_bdf = f.bdf;
	b->info->nic_present = true;
	return 0;
}

int nic_claim(struct boot *b)
{
	EFI_PCI_IO_PROTOCOL *io;
	EFI_STATUS status;

	if (!b->nic)
		return 0;
	/* a driver that holds it exclusively itself must be asked; no driver at all is no error */
	b->bs->DisconnectController(b->nic, NULL, NULL);
	b->nic_claimed = true;
	/* exclusive: no driver can start on it until the monitor closes it */
	status = b->bs->OpenProtocol(b->nic, &pci_io_guid, (void **)&io, b->image, NULL,
				     EFI_OPEN_PROTOCOL_EXCLUSIVE);
	if (status)
		return fail(b, -EBUSY, "nic=: the firmware's driver does not let go: %s",
			    efi_error(status));
	b->nic_claimed = true;
	status =
		io->Attributes(io, EfiPciIoAttributeOperationEnable,
			       EFI_PCI_IO_ATTRIBUTE_MEMORY | EFI_PCI_IO_ATTRIBUTE_BUS_MASTER, NULL);
	if (status)
		return fail(b, -EIO, "nic=: cannot be enabled: %s", efi_error(status));
	return 0;
}

void nic_release(struct boot *b)
{
	if (!b->nic_claimed)
		return;
	b->bs->CloseProtocol(b->nic, &pci_io_guid, b->image, NULL);
	b->bs->ConnectController(b->nic, NULL, NULL, TRUE);
	b->nic_claimed = false;
}
