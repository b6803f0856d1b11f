/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's RAM, by guest physical address. Nothing here writes it, except guest_write_ipa() for
 * answers that the guest asked for. Every address is untrusted: one that is not RAM of the guest
 * (device memory, the monitor's memory, beyond the end) gives -EFAULT.
 */
#ifndef GUEST_RAM_H
#define GUEST_RAM_H

#include "lib/types.h"

/* Ranges of guest RAM, from the firmware's memory map. Filled at boot. */
#define GUEST_MAX_RAM 128

struct guest_ram {
	u64 base, size;
};

/* Set the physical ranges that are RAM, and the range in them that is the monitor's. Boot CPU,
 * once. */
int guest_mem_init(const struct guest_ram *ram, u32 count, u64 hidden_base, u64 hidden_size);

/* Take the pages in [base, end) out: they are not the guest's. Boot CPU, after guest_mem_init(). */
void guest_ram_hide(u64 base, u64 end);

/* True if [ipa, ipa + len) is RAM of the guest. Any CPU. */
bool guest_is_ram(ipa_t ipa, u64 len);

/* Physical copies; the guest's ORIGINAL pages, never shadow copies. 0 or -EFAULT. Any CPU. */
int guest_read_ipa(ipa_t ipa, void *buf, size_t len);
int guest_write_ipa(ipa_t ipa, const void *buf, size_t len);

/*
 * The monitor's pointer to ipa, which was checked with guest_is_ram(). It leads to the guest's
 * original pages: shadow copies are in the monitor's memory.
 */
void *guest_ram_ptr(ipa_t ipa);

#endif
