/* SPDX-License-Identifier: BSD-2-Clause */
/* The switch, over the real pause, check and shadow pages; guest CPUs are threads. */
#include "synthetic.h"
#include "core/drop.h"
#include "core/pause.h"
#include "core/service.h"
#include "core/pool.h"
#include "patch/check.h"
#include "patch/switch.h"
#include "stage2/shadow.h"
#include "stage2/stage2.h"

#define BUDGET_US 5000000 /* the machine that runs the tests may be busy */

#define A     (SYN_TEXT + 0x1000)
#define B     (SYN_TEXT + 0x1200) /* on A's page */
#define C     (SYN_TEXT + 0x5ff8) /* its jump crosses a page */
#define SHORT (SYN_TEXT + 0x6100)
#define NEW_A (SYN_TEXT + 0x8000) /* stand-ins for a payload's functions */
#define NEW_B (SYN_TEXT + 0x8100)
#define NEW_2 (SYN_TEXT + 0x8200)
#define SIZE  0x100

static struct switch_func funcs[CHECK_MAX_RANGES];
static struct switch_set set = {.funcs = funcs};
static struct transition_report report;
static u64 sleeper;
static struct pool_stats pool_before;

static void add_func(const char *name, u64 old, u64 active, u64 new)
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

static int setup(void **state)
{
	(void)state;
	syn_new(3);
	sleeper = syn_task(100, "sleeper");
	syn_sleep(sleeper, 64);
	assert_int_equal(stage2_init(&stage2, arch_stage2_format()), 0);
	assert_int_equal(stage2_map(&stage2, IPA(FAKE_RAM_BASE), PA(FAKE_RAM_BASE),
				    FAKE_GUEST_RAM_SIZE, PT_READ | PT_WRITE | PT_EXEC),
			 0);
	for_each_cpu (c)
		c->state = c->id ? CPU_PARKED : CPU_SERVICE;
	fake_guest_start(NULL);
	set = (struct switch_set){.funcs = funcs, .care = SWITCH_SAFE};
	memset(&report, 0, sizeof(report));
	pool_stats(&pool_before);
	return 0;
}

/* shadow.c keeps its state: an empty set must be in force when the memory is made anew. */
static int teardown(void **state)
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

static int attempt(void)
{
	return switch_try(&set, BUDGET_US, &report);
}

static void assert_done(void)
{
	int err = attempt();

	if (err)
		fail_msg("%s: %s", errno_name(err), report.reason);
	assert_string_equal(report.reason, "");
	assert_false(report.blocker.valid);
}

static void assert_fails(int err, const char *reason)
{
	assert_int_equal(attempt(), err);
	if (!strstr(report.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", report.reason, reason);
}

static u64 redirects(void)
{
	struct shadow_stats s;

	shadow_stats(&s);
	assert_false(s.plan_open);
	return s.redirects;
}

static u64 pool_used(void)
{
	struct pool_stats s;

	pool_stats(&s);
	return s.used_pages;
}

/* What a guest CPU would fetch at va: through stage 2. */
static void fetch(u64 va, u8 *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		pa_t guest = arch_pa(syn_at(va + i));
		struct pt_walk w;

		assert_int_equal(stage2_lookup(&stage2, IPA(guest.v), &w), 0);
		buf[i] = *(u8 *)arch_ptr(PA(w.pa));
	}
}

/* Where a call of the function at va ends up. */
static u64 target(u64 va)
{
	u8 code[FAKE_SITE_LEN + FAKE_REDIRECT_LEN];
	u64 to;

	fetch(va, code, sizeof(code));
	to = fake_redirect_target(code[0] == FAKE_SITE ? code + FAKE_SITE_LEN : code);
	return to ? to : va;
}

static void assert_original(u64 va)
{
	u8 code[FAKE_REDIRECT_LEN];

	fetch(va, code, sizeof(code));
	assert_memory_equal(code, syn_at(va), 8);
	assert_int_equal(target(va), va);
}

/* ---- success ---- */

static void there_and_back(void **state)
{
	u8 before[SIZE];

	(void)state;
	memcpy(before, syn_at(A), SIZE);
	add_func("a", A, A, NEW_A);
	add_func("b", B, B, NEW_B);
	add_func("c", C, C, NEW_2);
	assert_done();
	assert_int_equal(target(A), NEW_A);
	assert_int_equal(target(B), NEW_B);
	assert_int_equal(target(C), NEW_2);
	assert_memory_equal(before, syn_at(A), SIZE); /* the guest's page is as it was */
	assert_int_equal(redirects(), 3);
	assert_int_equal(report.attempts, 1);
	assert_int_equal(report.cpus_paused, 3);
	assert_int_equal(report.functions_redirected, 3);
	assert_int_equal(report.pages_shadowed, 3);
	assert_int_equal(report.tasks_checked, 4);
	assert_true(report.words_checked > 0);
	assert_int_equal(report.pause_max_us, report.pause_last_us);

	set.count = 0;
	add_func("a", A, NEW_A, 0);
	add_func("b", B, NEW_B, 0);
	add_func("c", C, NEW_2, 0);
	assert_done();
	assert_original(A);
	assert_original(B);
	assert_original(C);
	assert_int_equal(redirects(), 0);
}

static void behind_the_tracing_site(void **state)
{
	u8 code[FAKE_SITE_LEN];

	(void)state;
	*(u8 *)syn_at(A) = FAKE_SITE;
	add_func("a", A, A, NEW_A);
	funcs[0].ftrace_site = 0;
	assert_done();
	fetch(A, code, sizeof(code));
	assert_memory_equal(code, syn_at(A), sizeof(code));
	assert_int_equal(target(A), NEW_A);
}

/* Another patch of the same function: the old bytes are the guest's own, not the first jump. */
static void another_target(void **state)
{
	(void)state;
	add_func("a", A, A, NEW_A);
	assert_done();
	set.count = 0;
	add_func("a", A, NEW_A, NEW_2);
	assert_done();
	assert_int_equal(target(A), NEW_2);
	assert_int_equal(redirects(), 1);
	set.count = 0;
	add_func("a", A, NEW_2, 0);
	add_func("b", B, B, NEW_B);
	assert_done();
	assert_original(A);
	assert_int_equal(target(B), NEW_B);
}

static void memory_does_not_grow(void **state)
{
	u64 used = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		set.count = 0;
		add_func("a", A, A, NEW_A);
		add_func("c", C, C, NEW_B);
		assert_done();
		set.count = 0;
		add_func("a", A, NEW_A, 0);
		add_func("c", C, NEW_B, 0);
		assert_done();
		if (i)
			assert_int_equal(pool_used(), used);
		used = pool_used(); /* tables of split leaves stay after the first round */
	}
}

static void an_empty_set_needs_no_pause(void **state)
{
	struct pause_stats before, after;

	(void)state;
	pause_stats(&before);
	assert_done();
	pause_stats(&after);
	assert_int_equal(before.count, after.count);
}

/* ---- somebody stands in the way ---- */

static void assert_nothing_changed(void)
{
	assert_original(A);
	assert_original(B);
	assert_int_equal(redirects(), 0);
	assert_int_equal(report.functions_redirected, 0);
	assert_int_equal(report.pages_shadowed, 0);
}

static void blocked_and_then_not(void **state)
{
	u64 word = syn_stack_end(sleeper) - 32, used;

	(void)state;
	add_func("a", A, A, NEW_A);
	add_func("b", B, B, NEW_B);
	assert_done();
	set.count = 0;
	add_func("a", A, NEW_A, 0);
	add_func("b", B, NEW_B, 0);
	assert_done();
	used = pool_used();
	memset(&report, 0, sizeof(report));

	set.count = 0;
	add_func("a", A, A, NEW_A);
	add_func("b", B, B, NEW_B);
	syn_set(word, B + 0x20);
	for (u32 i = 1; i <= 3; i++) {
		assert_fails(-EAGAIN, "sleeper (100) is in b (stack)");
		assert_true(report.blocker.valid);
		assert_string_equal(report.blocker.func, "b");
		assert_int_equal(report.blocker.address, B + 0x20);
		assert_int_equal(report.attempts, i);
		assert_int_equal(report.cpus_paused, 3);
		assert_nothing_changed();
		assert_int_equal(pool_used(), used);
	}
	syn_set(word, 0);
	assert_done();
	assert_int_equal(report.attempts, 4);
	assert_int_equal(report.functions_redirected, 2);
}

/* Reverting is about the code that runs now: the new one. */
static void the_active_code_blocks(void **state)
{
	u64 word = syn_stack_end(sleeper) - 32;

	(void)state;
	add_func("a", A, A, NEW_A);
	assert_done();
	set.count = 0;
	add_func("a", A, NEW_A, 0);
	syn_set(word, NEW_A + SIZE);
	assert_fails(-EAGAIN, "is in a");
	assert_int_equal(report.pages_shadowed, 0);
	assert_int_equal(target(A), NEW_A);
	syn_set(word, A + SIZE); /* stale: the old code has not run since */
	assert_done();
}

/* Split-off parts, the text of payloads; what overlaps is told apart. */
static void more_code_blocks_under_its_own_name(void **state)
{
	const struct check_range also[] = {
		{SYN_TEXT + 0x7000, SYN_TEXT + 0x7040, "a"},
		{NEW_A - 0x100, NEW_2 + 0x1000, "the text of payload fix"},
	};
	const struct {
		u64 word;
		const char *name;
	} cases[] = {
		{SYN_TEXT + 0x7020, "is in a (stack)"},
		{NEW_A + 0x20, "is in a (stack)"},
		{NEW_B + 0x20, "is in b (stack)"},
		{B + 4, "is in b (stack)"},
		{NEW_2 + 0x20, "in the text of payload fix (stack)"},
		{NEW_A - 0x20, "in the text of payload fix (stack)"},
	};
	u64 word = syn_stack_end(sleeper) - 32;

	(void)state;
	add_func("a", A, A, NEW_A);
	add_func("b", B, B, NEW_B);
	assert_done();
	set.count = 0;
	add_func("b", B, NEW_B, 0);
	add_func("a", A, NEW_A, 0);
	set.also = also;
	set.nr_also = ARRAY_SIZE(also);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		syn_set(word, cases[i].word);
		assert_fails(-EAGAIN, cases[i].name);
	}
	syn_set(word, 0);
	assert_done();
}

/* A jump may be more than one instruction: nobody may be in the middle of it. */
static void the_jump_itself_blocks(void **state)
{
	u64 word = syn_stack_end(sleeper) - 32;

	(void)state;
	add_func("a", A, A, NEW_A);
	assert_done();
	set.count = 0;
	add_func("a", A, NEW_A, 0);
	syn_set(word, A + 4);
	assert_fails(-EAGAIN, "is in a");
	set.count = 0;
	add_func("a", A, NEW_A, NEW_2);
	assert_fails(-EAGAIN, "is in a");
	assert_int_equal(target(A), NEW_A);
}

/* Forced: whoever is further on in the old code may go on in it. */
static void forced_looks_at_the_jump_only(void **state)
{
	u64 word = syn_stack_end(sleeper) - 32;

	(void)state;
	set.care = SWITCH_FORCED;
	add_func("a", A, A, NEW_A);
	syn_set(word, A + 4);
	assert_fails(-EAGAIN, "is in a");
	syn_set(word, A + 0x80);
	assert_done();
	set.count = 0;
	add_func("a", A, NEW_A, 0);
	syn_set(word, A + 4);
	assert_fails(-EAGAIN, "is in a");
	syn_set(word, NEW_A + 4);
	assert_done();
	assert_original(A);
}

static void offline_looks_at_nothing(void **state)
{
	(void)state;
	set.care = SWITCH_OFFLINE;
	add_func("a", A, A, NEW_A);
	funcs[0].active_size = 0;
	syn_set(syn_stack_end(sleeper) - 32, A + 4);
	assert_done();
	assert_int_equal(report.tasks_checked, 0);
	assert_int_equal(target(A), NEW_A);
}

static void what_cannot_be_judged_is_tried_again(void **state)
{
	u64 link = sleeper + TASK_TASKS + LIST_PREV, before = syn_get(link);

	(void)state;
	add_func("a", A, A, NEW_A);
	syn_set(link, 0);
	assert_fails(-EAGAIN, "list");
	assert_nothing_changed();
	syn_set(link, before);
	assert_done();
}

static void the_pause_is_too_short(void **state)
{
	(void)state;
	add_func("a", A, A, NEW_A);
	assert_int_equal(switch_try(&set, 0, &report), -EAGAIN);
	assert_true(report.reason[0]);
	assert_nothing_changed();
	assert_done();
}

/* The deadline comes at every moment in turn, up to the commit; past it nothing can stop. */
static void a_deadline_at_every_step(void **state)
{
	bool at_check = false, at_commit = false;
	u64 budget;

	(void)state;
	add_func("a", A, A, NEW_A);
	fake_guest_stop();
	for (budget = 0; budget < 100; budget++) {
		fake_time_set(1000, 1);
		if (!switch_try(&set, budget, &report))
			break;
		at_check |= !!strstr(report.reason, "tasks checked");
		at_commit |= !!strstr(report.reason, "at the commit");
		assert_nothing_changed();
	}
	assert_true(at_check);
	assert_true(at_commit);
	assert_int_equal(target(A), NEW_A);
	assert_int_equal(report.attempts, budget + 1);
}

static void a_cpu_that_does_not_stop(void **state)
{
	(void)state;
	add_func("a", A, A, NEW_A);
	fake_guest_stop();
	cpus[2].state = CPU_GUEST; /* no thread: never comes */
	assert_int_equal(switch_try(&set, 2000, &report), -EAGAIN);
	assert_non_null(strstr(report.reason, "2000 us"));
	assert_nothing_changed();
	cpus[2].state = CPU_PARKED;
}

static void write_code(struct cpu *c)
{
	if (c->id == 1)
		++*(u8 *)syn_at(A + 4);
}

/* Between planning and the pause the guest's code may change: then the plan is void. */
static void the_guest_changes_its_code(void **state)
{
	bool noticed = false;

	(void)state;
	fake_guest_stop();
	fake_guest_start(write_code);
	for (int i = 0; i < 10000 && !noticed; i++) {
		set.count = 0;
		add_func("a", A, A, NEW_A);
		if (attempt() == -EAGAIN) {
			noticed = strstr(report.reason, "changed its code");
			assert_true(noticed);
			assert_int_equal(redirects(), 0);
			assert_int_equal(target(A), A);
			continue;
		}
		set.count = 0;
		add_func("a", A, NEW_A, 0);
		assert_done();
	}
	assert_true(noticed);
}

static void dropped_behind_the_engines_back(void **state)
{
	(void)state;
	add_func("a", A, A, NEW_A);
	assert_done();
	fake_guest_stop();
	assert_int_equal(shadow_drop_range(A, A + SIZE, NULL, NULL), 1);
	fake_guest_start(NULL);
	set.count = 0;
	add_func("a", A, NEW_A, 0);
	assert_fails(-EAGAIN, "a: its redirect was dropped");
	set.count = 0;
	add_func("a", A, NEW_A, NEW_2);
	assert_fails(-EAGAIN, "a: its redirect was dropped");
	assert_int_equal(redirects(), 0);
}

static u64 dropped_key;

void service_note_dropped(u64 key, void *arg)
{
	(void)arg;
	dropped_key = key;
}

/* What the service CPU does not know of yet must come to nothing. */
static void the_kernel_ends(void **state)
{
	(void)state;
	add_func("a", A, A, NEW_A);
	assert_done();
	assert_int_equal(drop_range(NEW_B, NEW_B + SIZE), 0);
	assert_int_equal(redirects(), 1);
	assert_int_equal(drop_all(KERNEL_REPLACED), 1);
	assert_int_equal(dropped_key, A);
	assert_int_equal(redirects(), 0);
	set.count = 0;
	add_func("b", B, B, NEW_B);
	assert_fails(-EAGAIN, "");
	assert_int_equal(redirects(), 0);
	assert_int_equal(kernel_end_take(), KERNEL_REPLACED);
	assert_int_equal(kernel_end_take(), KERNEL_STAYS);
	shadow_open();
	assert_done();
	assert_int_equal(redirects(), 1);
}

/* ---- refusals ---- */

/* The whole set is refused, by the attempt and by validation, and b stays what it was. */
static void assert_refused(int err, const char *reason)
{
	struct pause_stats before, after;

	pause_stats(&before);
	memset(&report, 0, sizeof(report));
	assert_fails(err, reason);
	assert_nothing_changed();
	report.reason[0] = '\0';
	assert_int_equal(switch_validate(&set, &report), err);
	if (!strstr(report.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", report.reason, reason);
	pause_stats(&after);
	assert_int_equal(before.count, after.count);
	assert_nothing_changed();
	set.count = 1;
}

static void functions_that_take_no_redirect(void **state)
{
	(void)state;
	add_func("b", B, B, NEW_B);

	add_func("tiny", SHORT, SHORT, NEW_A);
	funcs[1].old_size = 7;
	assert_refused(-ENOSPC, "tiny is too short for a jump (7 bytes)");

	add_func("zero", A, A, NEW_A);
	*(u8 *)syn_at(A) = 0;
	assert_refused(-EILSEQ, "zero: the bytes at");
	*(u8 *)syn_at(A) = 0x90;

	add_func("far", A, A, A);
	assert_refused(-ERANGE, "far: no jump reaches");

	add_func("nowhere", SYN_MODULE, SYN_MODULE, NEW_A);
	assert_refused(-EFAULT, "nowhere: its code");

	add_func("same", B, B, NEW_A);
	assert_refused(-EEXIST, "same is redirected already");

	add_func("overlap", B + 4, B + 4, NEW_A);
	assert_refused(-ENOSPC, "overlap: its jump would overlap");

	add_func("key", A, A, NEW_A);
	funcs[1].rewritten = 1ull << (FAKE_REDIRECT_LEN - 1);
	assert_refused(-EOPNOTSUPP, "key: the kernel itself rewrites");

	add_func("site", A, A, NEW_A);
	funcs[1].rewritten = 1ull << FAKE_SITE_LEN;
	funcs[1].ftrace_site = 0;
	assert_refused(-EOPNOTSUPP, "site: the kernel itself rewrites");

	add_func("a", A, A, NEW_A);
	funcs[1].rewritten = ~0ull << FAKE_REDIRECT_LEN;
	assert_int_equal(switch_validate(&set, &report), 0);
	assert_nothing_changed();
	assert_done();
}

/* A module may jump anywhere, but not to where kprobes have their copies. */
static void optimized_probes_in_a_module(void **state)
{
	const u64 func = SYN_MODULE + 0x100, away = SYN_MODULE + 0x9000,
		  slots = SYN_MODULE + 0x20000;
	u64 node = syn_alloc(64), list = guest_kernel.layout.optprobe_slots;
	u8 *code = fake_map_new(syn.root, syn.levels, SYN_MODULE, PAGE_SIZE, PT_READ | PT_EXEC);
	u8 *at = code + 0x100;

	(void)state;
	memset(code, 0x90, PAGE_SIZE);
	syn_set(node + SLOT_PAGE_INSNS, slots);
	syn_list_add_tail(node, list);
	add_func("f", func, func, NEW_A);
	*at = FAKE_JUMP;
	for (u64 to = slots; to < slots + PAGE_SIZE; to += PAGE_SIZE - 1) {
		memcpy(at + 1, &to, sizeof(to));
		assert_fails(-EAGAIN, "an optimized kprobe of the guest's");
	}
	assert_int_equal(redirects(), 0);
	syn_set(node + LIST_PREV, 0);
	assert_fails(-EAGAIN, "kprobes cannot be found");
	syn_set(node + LIST_PREV, list);
	memcpy(at + 1, &away, sizeof(away));
	assert_done();
	assert_int_equal(redirects(), 1);
}

/* What the guest's own probes leave at the function goes away with them: the attempt is repeated.
 */
static void probes_of_the_guest_are_waited_for(void **state)
{
	const u64 slot = SYN_MODULE + 0x100;
	u8 before[FAKE_REDIRECT_LEN];

	(void)state;
	memcpy(before, syn_at(A), sizeof(before));
	add_func("a", A, A, NEW_A);
	*((u8 *)syn_at(A) + 3) = FAKE_BREAKPOINT;
	assert_int_equal(switch_validate(&set, &report), -EBUSY);
	assert_fails(-EAGAIN, "a: a breakpoint of the guest's");
	*(u8 *)syn_at(A) = FAKE_JUMP;
	memcpy((u8 *)syn_at(A) + 1, &slot, sizeof(slot));
	assert_int_equal(switch_validate(&set, &report), -EBUSY);
	assert_fails(-EAGAIN, "a: an optimized kprobe");
	assert_int_equal(redirects(), 0);
	memcpy(syn_at(A), before, sizeof(before));
	assert_done();

	/* One that came later is on the redirect: this stays until it goes. */
	set.count = 0;
	add_func("a", A, NEW_A, 0);
	*(u8 *)syn_at(A) = FAKE_BREAKPOINT;
	assert_fails(-EAGAIN, "the guest has a breakpoint");
	assert_int_equal(redirects(), 1);
	*(u8 *)syn_at(A) = before[0];
	assert_done();
	assert_original(A);
}

/* An end that is not known would let everything pass. */
static void active_code_of_unknown_size(void **state)
{
	(void)state;
	add_func("a", A, A, NEW_A);
	funcs[0].active_size = 0;
	assert_fails(-EINVAL, "a: the size");
	funcs[0].active_size = ~0ull;
	assert_fails(-EINVAL, "a: the size");
	assert_nothing_changed();
}

static void parts_and_payloads_count(void **state)
{
	const struct check_range also[] = {{.start = A + 0x800, .end = A + 0x810, .name = "a"},
					   {.start = NEW_A, .end = NEW_2, .name = "fix"}};
	u64 sp = syn_sleep(sleeper, 64);

	(void)state;
	add_func("a", A, A, NEW_A);
	set.also = also;
	set.nr_also = 2;
	syn_set(sp, A + 0x808);
	assert_fails(-EAGAIN, "sleeper (100) is in a");
	syn_set(sp, NEW_B);
	assert_fails(-EAGAIN, "sleeper (100) is in fix");
	/* nothing to redirect, and still somebody is in it */
	set.count = 0;
	assert_fails(-EAGAIN, "sleeper (100) is in fix");
	syn_set(sp, 0);
	assert_done();
	set.count = 1;
	set.nr_also = CHECK_MAX_RANGES;
	assert_fails(-ENOSPC, "at most");
	set.nr_also = 2;
	assert_done();
	assert_int_equal(target(A), NEW_A);
}

static void too_many_functions(void **state)
{
	(void)state;
	for (u32 i = 0; i <= CHECK_MAX_RANGES / 2; i++)
		add_func("f", SYN_TEXT + 0x10000 + i * SIZE, SYN_TEXT + 0x10000 + i * SIZE, NEW_A);
	assert_fails(-ENOSPC, "at most");
	assert_nothing_changed();
	set.count--;
	assert_done();
	assert_int_equal(redirects(), CHECK_MAX_RANGES / 2);
}

static void memory_is_out(void **state)
{
	void *hog[FAKE_POOL_SIZE / PAGE_SIZE];
	u64 used;
	u32 n = 0;

	(void)state;
	add_func("a", A, A, NEW_A);
	add_func("c", C, C, NEW_B);
	while ((hog[n] = pool_alloc(1)))
		n++;
	/* One page more at each round: every allocation on the way fails once. */
	for (;;) {
		int err;

		used = pool_used();
		err = attempt();
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_true(report.reason[0]);
		assert_nothing_changed();
		assert_true(pool_used() - used <= 4); /* tables of split leaves may stay */
		assert_true(n > 0);
		pool_free(hog[--n], 1);
	}
	assert_int_equal(target(A), NEW_A);
	while (n)
		pool_free(hog[--n], 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(there_and_back),
		TEST(behind_the_tracing_site),
		TEST(another_target),
		TEST(memory_does_not_grow),
		TEST(an_empty_set_needs_no_pause),
		TEST(blocked_and_then_not),
		TEST(the_active_code_blocks),
		TEST(more_code_blocks_under_its_own_name),
		TEST(the_jump_itself_blocks),
		TEST(forced_looks_at_the_jump_only),
		TEST(offline_looks_at_nothing),
		TEST(what_cannot_be_judged_is_tried_again),
		TEST(the_pause_is_too_short),
		TEST(a_deadline_at_every_step),
		TEST(a_cpu_that_does_not_stop),
		TEST(the_guest_changes_its_code),
		TEST(dropped_behind_the_engines_back),
		TEST(the_kernel_ends),
		TEST(functions_that_take_no_redirect),
		TEST(optimized_probes_in_a_module),
		TEST(probes_of_the_guest_are_waited_for),
		TEST(active_code_of_unknown_size),
		TEST(parts_and_payloads_count),
		TEST(too_many_functions),
		TEST(memory_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
