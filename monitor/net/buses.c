/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/pci.h"

#define PCI_ID	   0x00
#define PCI_HEADER 0x0c /* its type in the third byte */
#define PCI_BUSES  0x18 /* of a bridge: primary, secondary, subordinate */

#define HEADER_TYPE(r)	 ((r) >> 16 & 0x7f)
#define HEADER_MULTI	 (1u << 23)
#define TYPE_BRIDGE	 1
#define TYPE_CARDBUS	 2
#define DEVICES		 32
#define FUNCTIONS	 8
#define EXTENDED	 0x100 /* where the list of extended capabilities begins (7.6.1) */
#define EXTENDED_MAX	 240   /* more do not fit: the list is a loop */
#define EXTENDED_SRIOV	 0x10
#define EXTENDED_NEXT(r) ((r) >> 20 & 0xffc)

static bool is_device(u16 bdf)
{
	u32 vendor = pci_read(bdf, PCI_ID) & 0xffff;

	return vendor && vendor != 0xffff;
}

/* SR-IOV: virtual functions have bus numbers of their own (9.3.3). */
static bool has_virtual_functions(u16 bdf)
{
	u32 at = EXTENDED;

	for (u32 n = 0; at >= EXTENDED && n < EXTENDED_MAX; n++) {
		u32 head = pci_read(bdf, at);

		if (head == ~0u)
			return false;
		if ((head & 0xffff) == EXTENDED_SRIOV)
			return true;
		at = EXTENDED_NEXT(head);
	}
	return false;
}

/*
 * Raise *last to the last bus of a bridge. False if the firmware has given it no valid range: the
 * OS gives it one then.
 */
static bool note_bridge(u16 bdf, u32 *last)
{
	u32 buses = pci_read(bdf, PCI_BUSES), bus = bdf >> 8;
	u32 primary = buses & 0xff, secondary = buses >> 8 & 0xff, subordinate = buses >> 16 & 0xff;

	*last = MAX(*last, subordinate);
	return primary == bus && secondary > bus && secondary <= subordinate;
}

/* False: the OS may use any bus number because of this function. */
static bool note_function(u16 bdf, u32 header, bool root, u32 *last)
{
	switch (HEADER_TYPE(header)) {
	case TYPE_BRIDGE:
		return note_bridge(bdf, last);
	case TYPE_CARDBUS:
		return false;
	default:
		/* Behind a bridge virtual functions get numbers of the bridge's range. */
		return !root || !has_virtual_functions(bdf);
	}
}

static bool note_device(u16 bdf, bool root, u32 *last)
{
	u32 header = pci_read(bdf, PCI_HEADER);
	u32 functions = header & HEADER_MULTI ? FUNCTIONS : 1;

	for (u32 i = 0; i < functions; i++) {
		u16 function = (u16)(bdf + i);

		if (is_device(function) &&
		    !note_function(function, pci_read(function, PCI_HEADER), root, last))
			return false;
	}
	return true;
}

u32 pci_last_bus(u32 end_bus)
{
	u32 last = 0;

	for (u32 bus = 0; bus <= end_bus; bus++) {
		/* in no range of a bridge that was seen, and these are on lower buses */
		bool root = !bus || bus > last;

		for (u32 device = 0; device < DEVICES; device++) {
			u16 bdf = (u16)(bus << 8 | device << 3);

			if (!is_device(bdf))
				continue;
			last = MAX(last, bus);
			if (!note_device(bdf, root, &last))
				return end_bus;
		}
	}
	return MIN(last, end_bus);
}
