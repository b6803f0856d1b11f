/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/split.h"
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
