/* SPDX-License-Identifier: BSD-2-Clause */
#include <suture/abi.h>
#include "guest/drop.h"
#include "arch/service.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/pause.h"
#include "guest/bell.h"
#include "lib/errno.h"
#include "stage2/shadow.h"

/*
 * A drop must succeed: the guest frees the memory when it has its answer. Other CPUs' pauses are
 * short, so all these tries fail only if a CPU does not stop at all.
 */
#define DROP_BUDGET_US 1000000
#define DROP_TRIES     10

static u32 ended; /* enum kernel_end */

/* Keys of dropped redirects on their way to the service CPU. */
static struct {
	struct spinlock lock;
	u32 count;
	u64 keys[SUTURE_MAX_FUNCS];
} dropped;

static void note_dropped(u64 key, void *arg)
{
	(void)arg;
	spin_lock(&dropped.lock);
	if (dropped.count < ARRAY_SIZE(dropped.keys))
		dropped.keys[dropped.count++] = key;
	else
		log_limited(LOG_AGENT, LOG_ERROR,
			    "too many redirects dropped at once: status of %#llx is stale", key);
	spin_unlock(&dropped.lock);
}

bool drop_take(u64 *key)
{
	bool any;

	spin_lock(&dropped.lock);
	any = dropped.count;
	if (any)
		*key = dropped.keys[--dropped.count];
	spin_unlock(&dropped.lock);
	return any;
}

static int drop_some(u64 start, u64 end)
{
	return shadow_drop_range(start, end, note_dropped, NULL);
}

static int drop_everything(u64 start, u64 end)
{
	(void)start, (void)end;
	return shadow_close(NULL, NULL);
}

static s64 drop_paused(int (*drop)(u64 start, u64 end), u64 start, u64 end)
{
	struct pause p;
	int r = 0;

	for (int i = 0; i < DROP_TRIES; i++) {
		r = pause_begin(&p, DROP_BUDGET_US);
		if (r)
			continue;
		/* After the commit no CPU lets itself go before the end. */
		r = pause_commit(&p, NULL, NULL);
		if (!r)
			r = drop(start, end);
		pause_end(&p);
		if (r < 0)
			continue;
		arch_service_wake();
		return r;
	}
	log_limited(LOG_AGENT, LOG_ERROR,
		    "drop of [%#llx, %#llx): guest CPUs did not stop in %d tries", start, end,
		    DROP_TRIES);
	return r;
}

s64 drop_range(u64 start, u64 end)
{
	struct shadow_stats stats;

	shadow_stats(&stats);
	if (!stats.redirects && !stats.plan_open)
		return 0;
	return drop_paused(drop_some, start, end);
}

s64 drop_all(enum kernel_end how)
{
	s64 r;

	guest_bell_close();
	/* Also with nothing in force: a switch that the service CPU is about to begin must fail. */
	r = drop_paused(drop_everything, 0, UINT64_MAX);
	__atomic_store_n(&ended, how, __ATOMIC_RELEASE);
	arch_service_wake();
	return r;
}

enum kernel_end kernel_end(void)
{
	return (enum kernel_end)__atomic_load_n(&ended, __ATOMIC_ACQUIRE);
}

void kernel_end_known(enum kernel_end how)
{
	u32 expected = how;

	/* Another end meanwhile is told anew. */
	if (__atomic_compare_exchange_n(&ended, &expected, KERNEL_STAYS, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED))
		shadow_open();
}
