/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the guest's memory by guest virtual address. Every address is untrusted: one that is not
 * mapped to RAM of the guest gives -EFAULT.
 */
#ifndef GUEST_MEM_H
#define GUEST_MEM_H

#include "guest/ram.h"

/*
 * Translate through the kernel's own page tables (of guest_kernel, not those that a CPU uses at
 * the moment). Addresses of the kernel's half only. 0 or -EFAULT. Needs a registered kernel. Any
 * CPU.
 */
int guest_translate(gva_t va, ipa_t *ipa);

/*
 * The guest's memory at va, in place. *left (never 0) is the number of bytes that may be read from
 * there, to the end of the page or of the large page. NULL when it is not mapped, or not RAM. The
 * guest may change the bytes unless it is paused. Any CPU.
 */
const void *guest_at(gva_t va, size_t *left);

/*
 * Keep translations between begin and end, so that a walk is not repeated. Only for the CPU that
 * calls begin, one CPU at a time; meant for the length of a pause, because a change of the
 * guest's tables is not seen.
 */
void guest_cache_begin(void);
void guest_cache_end(void);

/* Copy from guest virtual memory of the kernel; may cross pages. 0 or -EFAULT (buf is undefined).
 */
int guest_read(gva_t va, void *buf, size_t len);
int guest_read_u64(gva_t va, u64 *v);
int guest_read_u32(gva_t va, u32 *v);

/*
 * Read what a guest CPU in kernel mode would read at va now: through the kernel's page tables,
 * without cached translations, and through stage 2; so shadow copies, not the guest's own pages.
 * `access` is PT_EXEC for a fetch of code, PT_READ for data: stage 2 must grant it. May cross
 * pages. 0; -EFAULT: the guest's tables do not map va to RAM; -EACCES: stage 2 does not permit the
 * access (buf is undefined). Any CPU.
 */
int guest_fetch(gva_t va, void *buf, size_t len, u32 access);

#endif
