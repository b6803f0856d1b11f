/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/progress.h"

/* Instructions that work through memory in parts (x86's REP) count in a register. */
static u64 sum_of(const u64 *registers, u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < n; i++)
		sum = (sum ^ registers[i]) * 0x9e3779b97f4a7c15ull;
	return sum;
}

bool progress_is_none(struct progress *p, u64 pc, const u64 *registers, u32 n)
{
	u64 sum = sum_of(registers, n);

	if (p->exits && p->pc == pc && p->registers == sum)
		return ++p->exits >= PROGRESS_LIMIT;
	*p = (struct progress){pc, sum, 1};
	return false;
}
