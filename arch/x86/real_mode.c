/* SPDX-License-Identifier: BSD-2-Clause */
#include "real_mode.h"
#include "arch/memory.h"
#include "core/pool.h"
#include "host.h"
#include "hv.h"
#include "insn.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/hide.h"

/* trampoline.S; offsets count from its start */
extern const char trampoline_start[], trampoline_halt[];

/*
 * The vectors, since INIT sets the base of the IDTR to 0 (APM vol. 2, "Processor Initialization
 * State"). Then the stack, since it sets SS:SP to 0000:0000, from which the first push wraps to the
 * end of the segment.
 */
static const u64 pages[] = {0, 0xf000};
static u8 *guests[ARRAY_SIZE(pages)]; /* what the guest has in their place; NULL: nothing */

int real_mode_hide(void)
{
	for (u32 i = 0; i < ARRAY_SIZE(pages); i++) {
		int err;

		if (pages[i] == machine->trampoline.v)
			continue;
		guests[i] = pool_alloc(1);
		err = guests[i] ? hide_replace(pages[i], arch_pa(guests[i])) : -ENOMEM;
		if (err)
			return err;
	}
	return 0;
}

void real_mode_vectors(void *page, u64 trampoline, u32 offset)
{
	static const u8 vectors[] = {VEC_NMI, VEC_MC};
	u64 halt = trampoline + offset;

	memset(page, 0, PAGE_SIZE);
	for (u32 i = 0; i < ARRAY_SIZE(vectors); i++) {
		u32 *real = (u32 *)page + vectors[i];
		struct gate *gate = (struct gate *)page + vectors[i];

		*real = (u32)(trampoline >> 4) << 16 | offset;
		*gate = gate_to(halt);
	}
}

void real_mode_guard(void)
{
	static bool given;

	for (u32 i = 0; i < ARRAY_SIZE(pages) && !given; i++)
		if (guests[i])
			memcpy(guests[i], arch_ptr(PA(pages[i])), PAGE_SIZE);
	given = true;
	real_mode_vectors(arch_ptr(PA(pages[0])), machine->trampoline.v,
			  (u32)(trampoline_halt - trampoline_start));
}
