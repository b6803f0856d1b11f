/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/arch.h"
#include "core/errno.h"
#include "core/log.h"
#include "core/mailbox.h"
#include "core/pause.h"
#include "core/service.h"
#include "stage2/shadow.h"

/*
 * A drop must succeed: the memory goes away when the guest has its answer. Pauses of others
 * are short, so this many tries of this length are tried only when something is very wrong.
 */
#define DROP_BUDGET_US 1000000
#define DROP_TRIES     10

static s64 drop(u64 start, u64 end)
{
	struct shadow_stats stats;
	struct pause p;
	int r = 0;

	shadow_stats(&stats);
	if (!stats.redirects && !stats.plan_open)
		return 0;
	for (int i = 0; i < DROP_TRIES; i++) {
		r = pause_begin(&p, DROP_BUDGET_US);
		if (r)
			continue;
		/* Past the commit no CPU lets itself go in the middle. */
		r = pause_commit(&p, NULL, NULL);
		if (!r)
			r = shadow_drop_range(start, end, service_note_dropped, NULL);
		pause_end(&p);
		if (r < 0)
			continue;
		arch_service_wake();
		return r;
	}
	log_error("drop of [%#llx, %#llx): guest CPUs did not stop in %d tries",
		  (unsigned long long)start, (unsigned long long)end, DROP_TRIES);
	return r;
}

s64 hypercall(struct cpu *c, u64 nr, u64 a0, u64 a1, u64 a2)
{
	(void)c, (void)a2;
	switch (nr) {
	case SUTURE_HC_VERSION:
		return SUTURE_ABI_VERSION;
	case SUTURE_HC_POST:
		return mailbox_post(a0, a1);
	case SUTURE_HC_REPLY:
		return mailbox_reply(a0, a1);
	case SUTURE_HC_CANCEL:
		return mailbox_cancel();
	case SUTURE_HC_DROP_RANGE:
		return drop(a0, a1);
	case SUTURE_HC_DROP_ALL:
		return drop(0, UINT64_MAX);
	default:
		return -ENOSYS;
	}
}
