/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program for the firmware of Bochs, for tests alone. Bochs has no ACPI tables with this
 * firmware: the program makes those of its chipset (i440FX with PIIX4), so that the monitor and
 * Linux find the CPUs, installs them, and starts \EFI\BOOT\NEXT.EFI. Sections are those of the ACPI
 * specification 6.5. If the file \lock-vmx exists, it locks VMX off, as a firmware's setup would.
 */
#include <efi.h>
#include <efilib.h>

#define PM_BASE	    0xb000 /* where OVMF puts the power management of PIIX4 */
#define LOCAL_APIC  0xfee00000u
#define IOAPIC	    0xfec00000u
#define HPET	    0xfed00000u
#define HPET_ID	    0x8086a201u
#define SCI	    9
#define MAX_CPUS    8
#define FADT_SIZE   244
#define SCI_ENABLED 1

#define MSR_FEATURE_CONTROL 0x3a
#define FEATURE_LOCKED_OFF  1

/* EFI_MP_SERVICES_PROTOCOL (PI specification, vol. 2): its first functions */
typedef struct {
	UINT64 ProcessorId;
	UINT32 StatusFlag;
	UINT32 Location[3 + 8];
} MP_INFORMATION;
typedef struct MP_SERVICES {
	EFI_STATUS(EFIAPI *GetNumberOfProcessors)(struct MP_SERVICES *, UINTN *, UINTN *);
	EFI_STATUS(EFIAPI *GetProcessorInfo)(struct MP_SERVICES *, UINTN, MP_INFORMATION *);
} MP_SERVICES;

static EFI_GUID mp_services = {
	0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};
static EFI_GUID acpi_20 = {
	0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};

static void put(UINT8 *at, UINT64 value, UINTN size)
{
	for (UINTN i = 0; i < size; i++)
		at[i] = (UINT8)(value >> 8 * i);
}

static UINT64 address(const void *p)
{
	return (UINT64)(UINTN)p;
}

static UINT8 *allocate(UINTN size)
{
	EFI_PHYSICAL_ADDRESS page = 0xffffffff;

	if (uefi_call_wrapper(BS->AllocatePages, 4, AllocateMaxAddress, EfiACPIReclaimMemory,
			      EFI_SIZE_TO_PAGES(size), &page))
		return NULL;
	ZeroMem((void *)(UINTN)page, size);
	return (void *)(UINTN)page;
}

static void checksum(UINT8 *table, UINTN size, UINTN at)
{
	UINT8 sum = 0;

	table[at] = 0;
	for (UINTN i = 0; i < size; i++)
		sum += table[i];
	table[at] = (UINT8)-sum;
}

/* 5.2.6 */
static void header(UINT8 *table, const CHAR8 *signature, UINT32 size, UINT8 revision)
{
	CopyMem(table, signature, 4);
	put(table + 4, size, 4);
	table[8] = revision;
	CopyMem(table + 10, "SUTURETEST    ", 14);
	put(table + 24, 1, 4);
	CopyMem(table + 28, "TEST", 4);
	put(table + 32, 1, 4);
	checksum(table, size, 9);
}

/* 5.2.12: the CPUs as the firmware has found them */
static UINT8 *make_madt(void)
{
	UINT8 *madt = allocate(512), *at = madt + 44;
	MP_SERVICES *mp = NULL;
	MP_INFORMATION info = {0};
	UINTN count = 1, enabled = 1;

	if (!uefi_call_wrapper(BS->LocateProtocol, 3, &mp_services, NULL, (void **)&mp))
		uefi_call_wrapper(mp->GetNumberOfProcessors, 3, mp, &count, &enabled);
	put(madt + 36, LOCAL_APIC, 4);
	put(madt + 40, 1, 4); /* there is a pair of 8259s */
	for (UINTN n = 0; n < count && n < MAX_CPUS; n++) {
		info.ProcessorId = n;
		if (mp)
			uefi_call_wrapper(mp->GetProcessorInfo, 3, mp, n, &info);
		at[0] = 0;
		at[1] = 8;
		at[2] = (UINT8)n;
		at[3] = (UINT8)info.ProcessorId;
		put(at + 4, 1, 4);
		at += 8;
	}
	at[0] = 1; /* the IOAPIC */
	at[1] = 12;
	at[2] = (UINT8)count;
	put(at + 4, IOAPIC, 4);
	at += 12;
	at[0] = 2; /* the timer's IRQ 0 is its input 2 */
	at[1] = 10;
	put(at + 4, 2, 4);
	at += 10;
	at[0] = 2; /* SCI: level, active high */
	at[1] = 10;
	at[3] = SCI;
	put(at + 4, SCI, 4);
	put(at + 8, 0xd, 2);
	at += 10;
	header(madt, (const CHAR8 *)"APIC", (UINT32)(at - madt), 3);
	return madt;
}

/*
 * 5.2.11.1. By the package Linux powers off. No device's interrupt is routed: the disk's is IRQ 14.
 */
static UINT8 *make_dsdt(void)
{
	static const UINT8 aml[] = {
		/* Name (_S5_, Package () {0, 0, 0, 0}) */
		0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0, 0, 0, 0,
		/* Scope (\_SB_) { Device (PCI0) { */
		0x10, 0x4f, 0x06, '\\', '_', 'S', 'B', '_', 0x5b, 0x82, 0x46, 0x06, 'P', 'C', 'I',
		'0',
		/* Name (_HID, EisaId ("PNP0A03")) */
		0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0a, 0x03,
		/* Name (_CRS, ResourceTemplate () { */
		0x08, '_', 'C', 'R', 'S', 0x11, 0x40, 0x05, 0x0a, 76,
		/* bus 0 */
		0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
		/* ports up to configuration space */
		0x88, 13, 0, 1, 0x0c, 3, 0, 0, 0, 0, 0xf7, 0x0c, 0, 0, 0xf8, 0x0c,
		/* ports behind it */
		0x88, 13, 0, 1, 0x0c, 3, 0, 0, 0x00, 0x0d, 0xff, 0xff, 0, 0, 0x00, 0xf3,
		/* memory from 2 GiB to the IOAPIC */
		0x87, 23, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0xbf, 0xfe, 0, 0, 0,
		0, 0, 0, 0xc0, 0x7e,
		/* }) } } */
		0x79, 0};
	UINT8 *dsdt = allocate(36 + sizeof(aml));

	CopyMem(dsdt + 36, (void *)aml, sizeof(aml));
	header(dsdt, (const CHAR8 *)"DSDT", 36 + sizeof(aml), 2);
	return dsdt;
}

/* 5.2.9, with the FACS (5.2.10) */
static UINT8 *make_fadt(void)
{
	UINT8 *fadt = allocate(FADT_SIZE), *facs = allocate(64), *dsdt = make_dsdt();

	CopyMem(facs, "FACS", 4);
	put(facs + 4, 64, 4);
	facs[32] = 2;
	put(fadt + 36, address(facs), 4);
	put(fadt + 40, address(dsdt), 4);
	put(fadt + 46, SCI, 2);
	put(fadt + 56, PM_BASE, 4);	/* PM1a_EVT_BLK */
	put(fadt + 64, PM_BASE + 4, 4); /* PM1a_CNT_BLK */
	put(fadt + 76, PM_BASE + 8, 4); /* PM_TMR_BLK */
	fadt[88] = 4;
	fadt[89] = 2;
	fadt[91] = 4;
	put(fadt + 96, 0xffff, 2); /* no C2 */
	put(fadt + 98, 0xffff, 2); /* no C3 */
	put(fadt + 109, 3, 2);	   /* legacy devices, 8042 */
	/* WBINVD works; C1 is there; no power or sleep button; the reset register is there */
	put(fadt + 112, 1u | 1u << 2 | 1u << 4 | 1u << 5 | 1u << 10, 4);
	fadt[116] = 1; /* an I/O port of a byte: the reset control register of PIIX */
	fadt[117] = 8;
	fadt[119] = 1;
	put(fadt + 120, 0xcf9, 8);
	fadt[128] = 6;
	put(fadt + 132, address(facs), 8);
	put(fadt + 140, address(dsdt), 8);
	header(fadt, (const CHAR8 *)"FACP", FADT_SIZE, 3);
	return fadt;
}

/* IA-PC HPET specification 1.0a, 3.2.4 */
static UINT8 *make_hpet(void)
{
	UINT8 *hpet = allocate(56);

	put(hpet + 36, HPET_ID, 4);
	put(hpet + 44, HPET, 8);
	header(hpet, (const CHAR8 *)"HPET", 56, 1);
	return hpet;
}

/* 5.2.5.3 and 5.2.8 */
static EFI_STATUS install_tables(void)
{
	UINT8 *const tables[] = {make_fadt(), make_madt(), make_hpet()};
	const UINTN count = sizeof(tables) / sizeof(tables[0]);
	UINT8 *xsdt = allocate(36 + 8 * count), *rsdp = allocate(36);

	for (UINTN i = 0; i < count; i++)
		put(xsdt + 36 + 8 * i, address(tables[i]), 8);
	header(xsdt, (const CHAR8 *)"XSDT", (UINT32)(36 + 8 * count), 1);
	CopyMem(rsdp, "RSD PTR ", 8);
	CopyMem(rsdp + 9, "SUTURE", 6);
	rsdp[15] = 2;
	put(rsdp + 20, 36, 4);
	put(rsdp + 24, address(xsdt), 8);
	checksum(rsdp, 20, 8);
	checksum(rsdp, 36, 32);
	return uefi_call_wrapper(BS->InstallConfigurationTable, 2, &acpi_20, rsdp);
}

/* Read up to `size` bytes of a file; returns how many there are, or 0. */
static UINTN read_file(EFI_HANDLE device, CHAR16 *path, void *buffer, UINTN size)
{
	EFI_FILE_HANDLE root = LibOpenRoot(device), file;

	if (!root || uefi_call_wrapper(root->Open, 5, root, &file, path, EFI_FILE_MODE_READ, 0) ||
	    uefi_call_wrapper(file->Read, 3, file, &size, buffer))
		return 0;
	return size;
}

static void lock_vmx(void)
{
	__asm__ volatile("wrmsr" ::"c"(MSR_FEATURE_CONTROL), "a"(FEATURE_LOCKED_OFF), "d"(0));
}

static EFI_STATUS start_next(EFI_HANDLE image)
{
	static CHAR16 options[1024];
	EFI_LOADED_IMAGE *self, *started;
	EFI_HANDLE next;
	EFI_STATUS status = uefi_call_wrapper(BS->HandleProtocol, 3, image, &LoadedImageProtocol,
					      (void **)&self);
	UINT8 byte;

	if (status)
		return status;
	if (read_file(self->DeviceHandle, L"\\lock-vmx", &byte, 1))
		lock_vmx();
	status = uefi_call_wrapper(BS->LoadImage, 6, FALSE, image,
				   FileDevicePath(self->DeviceHandle, L"\\EFI\\BOOT\\NEXT.EFI"),
				   NULL, 0, &next);
	if (!status)
		status = uefi_call_wrapper(BS->HandleProtocol, 3, next, &LoadedImageProtocol,
					   (void **)&started);
	if (status)
		return status;
	started->LoadOptionsSize = (UINT32)read_file(self->DeviceHandle, L"\\options", options,
						     sizeof(options) - sizeof(options[0]));
	started->LoadOptions = options;
	return uefi_call_wrapper(BS->StartImage, 3, next, NULL, NULL);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	EFI_STATUS status;

	InitializeLib(image, system);
	/* of this chipset: ACPI mode, which the tables say is on */
	__asm__ volatile("outw %0, %1" ::"a"((UINT16)SCI_ENABLED), "Nd"((UINT16)(PM_BASE + 4)));
	status = install_tables();
	if (!status)
		status = start_next(image);
	Print(L"tables: %r\n", status);
	return status;
}
