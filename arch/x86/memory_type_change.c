/* SPDX-License-Identifier: BSD-2-Clause */
/* Stage 2 follows the MTRRs that the guest changes. */
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "lib/errno.h"
#include "memory_type.h"

/* What stage 2 has not followed yet: a hull of it. */
static struct {
	u64 begin, end;
} due;

static void add_differences(const struct mtrr_state *a, const struct mtrr_state *b)
{
	for (u64 at = 0, next; at != UINT64_MAX; at = next) {
		u64 end_a, end_b;
		bool same = mtrr_type(a, at, &end_a) == mtrr_type(b, at, &end_b);

		next = MIN(end_a, end_b);
		if (same)
			continue;
		if (due.begin == due.end)
			due.begin = at;
		due.begin = MIN(due.begin, at);
		due.end = MAX(due.end, next);
	}
}

bool memory_types_follow(const struct mtrr_state *now)
{
	int err;

	if (now->on) {
		add_differences(memory_types, now);
		memory_types_set(now);
	}
	if (due.begin == due.end)
		return false;
	err = stage2_retype(due.begin, MIN(due.end, arch_physical_limit()));
	if (err == -EAGAIN)
		return true;
	if (!err)
		log_limited(LOG_ACCESS, LOG_INFO,
			    "stage 2 follows the guest's memory types at %#llx to %#llx",
			    (unsigned long long)due.begin, (unsigned long long)due.end);
	else
		log_limited(
			LOG_ACCESS, LOG_ERROR,
			"the guest changes memory types at %#llx to %#llx: stage 2 does not follow "
			"(error %d)",
			(unsigned long long)due.begin, (unsigned long long)due.end, err);
	due.begin = due.end = 0;
	return false;
}
