/* SPDX-License-Identifier: BSD-2-Clause */
/* The switch, over the real pause, check and shadow pages; guest CPUs are threads. */
#ifndef SWITCH_RIG_H
#define SWITCH_RIG_H

#include "synthetic.h"
#include "guest/drop.h"
#include "core/pause.h"
#include "core/pool.h"
#include "patch/check/check.h"
#include "patch/switch/switch.h"
#include "stage2/pgtable.h"
#include "stage2/shadow.h"

#define BUDGET_US 5000000 /* the machine that runs the tests may be busy */

#define A     (SYN_TEXT + 0x1000)
#define B     (SYN_TEXT + 0x1200) /* on A's page */
#define C     (SYN_TEXT + 0x5ff8) /* its jump crosses a page */
#define SHORT (SYN_TEXT + 0x6100)
#define NEW_A (SYN_TEXT + 0x8000) /* stand-ins for a payload's functions */
#define NEW_B (SYN_TEXT + 0x8100)
#define NEW_2 (SYN_TEXT + 0x8200)
#define SIZE  0x100

static struct switch_func funcs[SUTURE_MAX_FUNCS];
static struct switch_set set = {.funcs = funcs};
static struct transition_report report;
static u64 sleeper;
static struct pool_stats pool_before;

static inline void add_func(const char *name, u64 old, u64 active, u64 new)
{
	struct switch_func *f = &funcs[set.count++];

	*f = (struct switch_func){.key = old,
				  .old_addr = old,
				  .old_size = SIZE,
				  .new_addr = new,
				  .ftrace_site = SUTURE_NONE};
	f->active_addr = active;
	f->active_size = SIZE;
	strcpy(f->name, name);
}

static struct suture_decl_site sites[4];

/* The guest writes to one byte of the function. */
static inline void add_site(struct switch_func *f, u32 kind, s32 offset)
{
	sites[0] = (struct suture_decl_site){.kind = (u8)kind, .offset = offset, .len = 1};
	f->sites = sites;
	f->nr_sites = 1;
}

/* A static key of two bytes, whose jump leads to KEY_TARGET in the function. */
#define KEY_TARGET 0x60

static inline void add_key(struct switch_func *f, s32 offset)
{
	add_site(f, SUTURE_SITE_KEY, offset);
	sites[0].len = 2;
	sites[0].target = KEY_TARGET;
	sites[0].room = 0x20;
}

static inline int setup(void **state)
{
	(void)state;
	syn_new(3);
	sleeper = syn_task(100, "sleeper");
	syn_sleep(sleeper, 64);
	assert_int_equal(pgtable_init(&stage2, arch_stage2_format()), 0);
	assert_int_equal(pgtable_map(&stage2, IPA(FAKE_RAM_BASE), PA(FAKE_RAM_BASE),
				     FAKE_GUEST_RAM_SIZE, PT_READ | PT_WRITE | PT_EXEC),
			 0);
	for_each_cpu (c)
		c->state = c->id ? CPU_PARKED : CPU_SERVICE;
	fake_guest_start(NULL);
	set = (struct switch_set){.funcs = funcs, .mode = SWITCH_SAFE};
	memset(&report, 0, sizeof(report));
	pool_stats(&pool_before);
	return 0;
}

/* shadow.c keeps its state: an empty set must be in force when the memory is made anew. */
static inline int teardown(void **state)
{
	struct shadow_plan *plan;

	(void)state;
	fake_guest_stop();
	shadow_drop_range(0, UINT64_MAX, NULL, NULL);
	plan = shadow_plan_begin();
	assert_int_equal(shadow_plan_prepare(plan), 0);
	assert_int_equal(shadow_plan_fill(plan), 0);
	shadow_plan_apply(plan);
	shadow_plan_finish(plan);
	return 0;
}

static inline int attempt_within(u64 budget_us, u64 limit_us)
{
	set.budget_us = budget_us;
	set.limit_us = limit_us;
	return switch_try(&set, &report);
}

static inline int attempt(void)
{
	return attempt_within(BUDGET_US, BUDGET_US);
}

static inline void assert_done(void)
{
	int err = attempt();

	if (err)
		fail_msg("%s: %s", errno_name(err), report.reason);
	assert_string_equal(report.reason, "");
	assert_string_equal(report.mismatch, "");
	assert_false(report.blocker.valid);
}

static inline void assert_fails(int err, const char *reason)
{
	assert_int_equal(attempt(), err);
	if (!strstr(report.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", report.reason, reason);
}

static inline u64 redirects(void)
{
	struct shadow_stats s;

	shadow_stats(&s);
	assert_false(s.plan_open);
	return s.redirects;
}

static inline u64 pool_used(void)
{
	struct pool_stats s;

	pool_stats(&s);
	return s.used_pages;
}

/* What a guest CPU would fetch at va: through stage 2. */
static inline void fetch(u64 va, u8 *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		pa_t guest = arch_pa(syn_at(va + i));
		struct pt_walk w;

		assert_int_equal(pgtable_lookup(&stage2, IPA(guest.v), &w), 0);
		buf[i] = *(u8 *)arch_ptr(PA(w.pa));
	}
}

/* Where a call of the function at va ends up. */
static inline u64 target(u64 va)
{
	u8 code[FAKE_SITE_LEN + FAKE_REDIRECT_LEN];
	u64 to;

	fetch(va, code, sizeof(code));
	to = fake_redirect_target(code[0] == FAKE_SITE ? code + FAKE_SITE_LEN : code);
	return to ? to : va;
}

static inline void assert_original(u64 va)
{
	u8 code[FAKE_REDIRECT_LEN];

	fetch(va, code, sizeof(code));
	assert_memory_equal(code, syn_at(va), 8);
	assert_int_equal(target(va), va);
}

static inline void assert_nothing_changed(void)
{
	assert_original(A);
	assert_original(B);
	assert_int_equal(redirects(), 0);
	assert_int_equal(report.functions_redirected, 0);
	assert_int_equal(report.pages_remapped, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
