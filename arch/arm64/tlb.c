/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translations of the guest's stage 2 that TLBs hold (Arm ARM D8.16.1, D8.17.5). What has changed
 * in the tables is visible to all walkers before the invalidation begins; its end is waited for.
 */
#include "el2.h"
#include "lib/mutate.h"

/*
 * Out of the TLBs go what stage 2 alone has made of the page, and then what both stages have: a
 * walk of both could else begin with the former. A block's translations may be there in pieces:
 * then all goes.
 */
void stage2_invalidate(u64 addr, u64 size)
{
	if (size > PAGE_SIZE && !MUTATION(blocks_in_pieces)) {
		stage2_invalidate_all();
		return;
	}
	instruction("dsb ishst");
	if (!MUTATION(stage2_alone)) {
		instruction_with("tlbi ipas2e1is", addr >> PAGE_SHIFT);
		instruction("dsb ish");
	}
	if (!MUTATION(both_stages))
		instruction("tlbi vmalle1is");
	instruction("dsb ish");
	instruction("isb");
}

void stage2_invalidate_all(void)
{
	instruction("dsb ishst");
	instruction("tlbi vmalls12e1is");
	instruction("dsb ish");
	instruction("isb");
}
