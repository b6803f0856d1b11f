/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/split.h"
#include "arch/upcalls.h"
#include "core/pause.h"
#include "lib/errno.h"
#include "stage2/pgtable.h"

/* To stop the guest's CPUs; the change itself is three stores. */
#define SPLIT_BUDGET_US 10000

static int in_a_pause(void (*change)(void *arg), void *arg)
{
	struct pause pause;
	int err;

	if (pause_begin(&pause, SPLIT_BUDGET_US))
		return -EAGAIN;
	err = pause_commit(&pause, change, arg);
	if (!err)
		change(arg);
	pause_end(&pause);
	return err ? -EAGAIN : 0;
}

int stage2_split(ipa_t ipa)
{
	return pgtable_split(&stage2, ipa, in_a_pause);
}

/* Each change of the guest's may split leaves, which are not joined again. */
#define RETYPE_TABLES 512u

struct range {
	u64 begin, end;
};

static void retype_range(void *arg)
{
	const struct range *r = arg;

	pgtable_retype(&stage2, r->begin, r->end);
}

int stage2_retype(u64 begin, u64 end)
{
	/* static, since another CPU may carry it out after this call */
	static struct range range;
	static u64 spent;
	u64 before = stage2.tables;
	int err;

	if (spent >= RETYPE_TABLES)
		return -ENOSPC;
	range = (struct range){begin, end};
	err = pgtable_split_types(&stage2, begin, end, in_a_pause);
	spent += stage2.tables - before;
	return err > 0 ? in_a_pause(retype_range, &range) : err;
}
