/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator's path: upload, load, switch, revert, unload; and everything that goes wrong. */
#include "engine_rig.h"

static const struct def fix = {
	.name = "fix",
	.objects = {{"vmlinux", ALL_CALLBACKS}},
	.funcs = {{0, "cmdline_proc_show"}, {0, "do_sys_open"}},
};

static const struct def other = {
	.name = "other",
	.objects = {{"vmlinux", 0}},
	.funcs = {{0, "cmdline_proc_show"}},
};

static int setup(void **state)
{
	static struct rig rig;

	rig_start(&rig);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	rig_stop(*state);
	return 0;
}

static void apply(struct rig *rig, const struct def *d)
{
	assert_int_equal(upload(rig, d), 0);
	settle(rig, 100);
	assert_phase(rig, d->name, PHASE_APPLIED);
}

/* ---- what goes well ---- */

static void test_life(void **state)
{
	struct rig *rig = *state;
	struct patch_info i;
	struct patch_func_info f;

	assert_int_equal(upload(rig, &fix), 0);
	assert_phase(rig, "fix", PHASE_UPLOADED);
	assert_int_equal(engine_agent_bye(rig->e), 0);
	engine_agent_hello(rig->e);
	settle(rig, 100);
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_APPLIED);
	assert_string_equal(i.version, "1.2");
	assert_true(i.from_bundle);
	assert_int_equal(i.error, 0);
	assert_int_equal(i.apply.attempts, 1);
	assert_int_equal(i.apply.functions_redirected, 2);
	assert_int_equal(i.nr_funcs, 2);
	assert_int_equal(engine_patch_func(rig->e, 0, 1, &f), 0);
	assert_string_equal(f.name, "do_sys_open");
	assert_string_equal(f.object, "vmlinux");
	assert_true(f.redirected);
	assert_int_equal(engine_patch_func(rig->e, 0, 2, &f), -ENOENT);
	assert_int_equal(runs(rig, "vmlinux", "do_sys_open"), f.new_addr);
	assert_int_equal(engine_agent_bye(rig->e), -EBUSY);
	rig_clear(rig);

	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	lines(rig, "livepatch: 'fix': initializing unpatching transition",
	      "fix: pre_unpatch_callback: vmlinux",
	      "livepatch: 'fix': starting unpatching transition",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_REVERTED);
	assert_int_equal(i.error, 0);
	assert_int_equal(i.revert.attempts, 1);
	assert_int_equal(count_redirects(rig), 0);
	assert_int_equal(rig_payload(rig, "fix")->state, ABSENT);
	assert_int_equal(engine_agent_bye(rig->e), 0);
}

static void test_again_and_again(void **state)
{
	struct rig *rig = *state;
	long before = 0;
	int n;

	for (n = 0; n < 100; n++) {
		apply(rig, &fix);
		assert_int_equal(revert(rig, "fix"), 0);
		settle(rig, 100);
		assert_phase(rig, "fix", PHASE_REVERTED);
		rig_clear(rig);
		if (n == 1)
			before = rig->allocated;
	}
	assert_int_equal(rig->allocated, before);
}

/* Names that come and go leave a bounded number of records. */
static void test_records_are_bounded(void **state)
{
	struct rig *rig = *state;
	static char names[100][8];
	struct patch_info i;
	struct def d = fix;
	u32 n;

	for (n = 0; n < 100; n++) {
		snprintf(names[n], sizeof(names[n]), "p%u", n);
		d.name = names[n];
		rig->payloads[0].def = NULL;
		assert_int_equal(upload(rig, &d), 0);
		assert_int_equal(revert(rig, d.name), 0);
	}
	for (n = 0; !engine_patch_info(rig->e, n, &i); n++)
		;
	assert_in_range(n, 10, 20);
	assert_string_equal((engine_patch_info(rig->e, n - 1, &i), i.name), "p99");
}

static void test_sysfs_disable_then_revert(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 1), -EINVAL);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 2), -EINVAL);
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 1), -ENOENT);
	assert_int_equal(upload(rig, &fix), -EEXIST);
	assert_why(rig, "is disabled already: `suture revert fix` first");
	assert_int_equal(rig_payload(rig, "fix")->state, LIVE);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(rig_payload(rig, "fix")->state, ABSENT);
}

static void test_guest_patch(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod_payload(rig, &fix), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_false(info(rig, "fix").from_bundle);
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	/* its module goes and comes again: the record follows */
	assert_int_equal(rmmod_payload(rig, "fix"), 0);
	assert_int_equal(insmod_payload(rig, &fix), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

/* ---- retry without end ---- */

static void test_retry(void **state)
{
	struct rig *rig = *state;
	struct patch_info i;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 2000);
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_PATCHING);
	assert_in_range(i.apply.attempts, 95, 101);
	assert_true(i.apply.blocker.valid);
	assert_int_equal(i.apply.blocker.pid, 7);
	assert_string_equal(i.apply.blocker.func, "do_sys_open");
	assert_string_equal(i.apply.reason, "somebody sleeps in it");
	assert_int_equal(count_redirects(rig), 0);
	assert_int_equal(rig->last_budget_us, 1000); /* a longer pause would not have helped */
	rig->busy = NULL;
	settle(rig, 50);
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_APPLIED);
	assert_false(i.apply.blocker.valid);
	assert_string_equal(i.apply.reason, "");

	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 2000);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	assert_int_equal(revert(rig, "fix"), -EALREADY);
	assert_int_equal(count_redirects(rig), 2);
	rig->busy = NULL;
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_in_range(info(rig, "fix").revert.attempts, 95, 101);
}

static void test_budget_grows(void **state)
{
	struct rig *rig = *state;

	rig->short_pause = true;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 1000);
	assert_int_equal(rig->last_budget_us, 8000);
	rig->short_pause = false;
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_APPLIED);
}

/* A failing init frees a module whatever its references: the switch waits for its end. */
static void test_not_before_live(void **state)
{
	struct rig *rig = *state;
	struct rig_payload *p = rig_add(rig, &fix);

	p->state = COMING;
	p->known = true;
	assert_int_equal(declare(rig, p), 0);
	assert_int_equal(pump(rig, SUTURE_PUMP_INIT, "fix", ""), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_PATCHING);
	assert_int_equal(rig->switches, 0);
	assert_text(info(rig, "fix").apply.reason, "init has not ended");
	p->state = LIVE;
	tell_module(rig, "fix", SUTURE_MODULE_LIVE, payload_text(0));
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
}

/* ---- reversal ---- */

static void test_revert_while_patching(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	rig_clear(rig);
	assert_int_equal(revert(rig, "fix"), 0);
	assert_int_equal(revert(rig, "fix"), -EBUSY);
	settle(rig, 100);
	lines(rig, "livepatch: 'fix': reversing transition from patching to unpatching",
	      "livepatch: 'fix': starting unpatching transition",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(rig->switches, 0);
}

/* Reversing a disable runs post_patch again: its pre_unpatch ran. */
static void test_reverse_disable(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(query(rig, "fix").enabled, 0);
	assert_int_equal(query(rig, "fix").transition, 1);
	rig_clear(rig);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 1), 0);
	settle(rig, 100);
	lines(rig, "livepatch: 'fix': reversing transition from unpatching to patching",
	      "livepatch: 'fix': starting patching transition",
	      "livepatch: 'fix': completing patching transition",
	      "fix: post_patch_callback: vmlinux", "livepatch: 'fix': patching complete");
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(query(rig, "fix").enabled, 1);
	assert_int_equal(count_redirects(rig), 2);
}

/* A revert that was reversed is forgotten: the next disable unloads nothing. */
static void test_reverse_revert(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 1), 0);
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
}

static void test_reverse_twice(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(insmod_payload(rig, &fix), 0);
	settle(rig, 30);
	/* the switch to unpatched has nothing to do, so be quicker than the next tick */
	assert_int_equal(disable(rig, "fix"), 0);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 1), 0);
	rig->busy = NULL;
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(count_redirects(rig), 2);
}

static void test_force(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_FORCE, 1), -EINVAL);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_FORCE, 0), 0);
	rig->busy = "do_sys_open";
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	rig_clear(rig);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_FORCE, 1), 0);
	settle(rig, 100);
	lines(rig, "livepatch: forcing remaining tasks to the patched state",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	assert_int_equal(count_redirects(rig), 0);
	assert_int_equal(query(rig, "fix").forced, 1);
	/* a task may still be in its code */
	assert_int_equal(rmmod_payload(rig, "fix"), -EBUSY);
	assert_int_equal(revert(rig, "fix"), -EBUSY);
	assert_why(rig, "was forced: its module stays loaded");
	assert_phase(rig, "fix", PHASE_DISABLED);
}

/* The operator's revert, forced: off, but never unloaded. */
static void test_forced_revert(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_FORCE, 1), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_text(info(rig, "fix").why, "off by force");
	assert_int_equal(count_redirects(rig), 0);
	assert_int_equal(rig_payload(rig, "fix")->state, LIVE);
	assert_true(rig_payload(rig, "fix")->known);
}

/* A replacement, forced: somebody may still be in the replaced code. */
static void test_forced_replacement(void **state)
{
	static const struct def all = {.name = "all",
				       .replace = true,
				       .objects = {{"vmlinux", 0}},
				       .funcs = {{0, "vfs_read"}}};
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &all), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_PATCHING);
	assert_int_equal(echo(rig, "all", SUTURE_SET_FORCE, 1), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_APPLIED);
	assert_int_equal(query(rig, "all").forced, 0);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_int_equal(query(rig, "fix").forced, 1);
	assert_int_equal(rmmod_payload(rig, "fix"), -EBUSY);
	/* what replaced it is not forced */
	rig->busy = NULL;
	assert_int_equal(revert(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_REVERTED);
}

/* ---- modules that come while a transition waits ---- */

static const struct def both = {
	.name = "both",
	.objects = {{"vmlinux", ALL_CALLBACKS}, {"m", ALL_CALLBACKS}},
	.funcs = {{0, "do_sys_open"}, {1, "mf"}},
};

/* The world is the old one until the switch: so is the module. */
static void test_module_comes_while_patching(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &both), 0);
	settle(rig, 100);
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_equal(rig->switches, 0);
	assert_int_equal(runs(rig, "m", "mf"), 0);
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "both", PHASE_APPLIED);
	assert_int_equal(rig->switches, 1);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
	assert_true(rig_payload(rig, "both")->post[1]);
}

/* And the patched one until it is switched back. */
static void test_module_comes_while_unpatching(void **state)
{
	struct rig *rig = *state;

	apply(rig, &both);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "both"), 0);
	settle(rig, 100);
	assert_phase(rig, "both", PHASE_UNPATCHING);
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
	assert_false(rig_payload(rig, "both")->post[1]);
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "both", PHASE_REVERTED);
	assert_int_equal(count_redirects(rig), 0);
	assert_false(rig_payload(rig, "both")->pre[1]);
}

/* A pause that does not come about for seconds: the load is refused, and all is as it was. */
static void test_module_cannot_be_switched(void **state)
{
	struct rig *rig = *state;

	apply(rig, &both);
	rig->short_pause = true;
	assert_int_equal(insmod(rig, "m"), -EAGAIN);
	assert_false(rig_payload(rig, "both")->pre[1]);
	rig->short_pause = false;
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
	/* nothing stops it from going: what is left is dropped by the agent */
	rig->short_pause = rig->silent_drop = true;
	rmmod(rig, "m");
	assert_false(rig_payload(rig, "both")->pre[1]);
	rig->short_pause = false;
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
}

/* ---- stacks ---- */

static void test_stack(void **state)
{
	struct rig *rig = *state;
	u64 first, second;

	apply(rig, &fix);
	first = runs(rig, "vmlinux", "cmdline_proc_show");
	apply(rig, &other);
	second = runs(rig, "vmlinux", "cmdline_proc_show");
	assert_int_not_equal(first, second);
	assert_int_equal(query(rig, "other").stack_order, 2);
	/* the older one goes from below: nothing changes for the function that the newer has */
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(runs(rig, "vmlinux", "cmdline_proc_show"), second);
	assert_int_equal(runs(rig, "vmlinux", "do_sys_open"), 0);
	assert_int_equal(query(rig, "other").stack_order, 1);
	/* and is the newer one when it comes again */
	apply(rig, &fix);
	assert_int_equal(runs(rig, "vmlinux", "cmdline_proc_show"), first);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(runs(rig, "vmlinux", "cmdline_proc_show"), second);
	assert_int_equal(revert(rig, "other"), 0);
	settle(rig, 100);
	assert_int_equal(count_redirects(rig), 0);
}

static void test_replace(void **state)
{
	static const struct def all = {.name = "all",
				       .replace = true,
				       .objects = {{"vmlinux", 0}},
				       .funcs = {{0, "do_sys_open"}, {0, "vfs_read"}}};
	struct rig *rig = *state;
	u32 switches;

	apply(rig, &fix);
	apply(rig, &other);
	switches = rig->switches;
	apply(rig, &all);
	assert_int_equal(rig->switches, switches + 1);
	assert_int_equal(runs(rig, "vmlinux", "cmdline_proc_show"), 0);
	assert_int_equal(runs(rig, "vmlinux", "do_sys_open"), payload_text(2) + 0x100);
	assert_int_equal(count_redirects(rig), 2);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_phase(rig, "other", PHASE_DISABLED);
	assert_int_equal(rmmod_payload(rig, "fix"), 0);
	assert_int_equal(revert(rig, "other"), 0);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "other", PHASE_REVERTED);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(revert(rig, "all"), 0);
	settle(rig, 100);
	assert_int_equal(count_redirects(rig), 0);
}

/* ---- what else nobody may be in ---- */

static void assert_also(struct rig *rig, u64 start, u64 size, const char *name)
{
	u32 i;

	for (i = 0; i < rig->nr_also; i++)
		if (rig->also[i].start == start && rig->also[i].end == start + size &&
		    !strcmp(rig->also[i].name, name))
			return;
	fail_msg("%s is not looked at", name);
}

/* Parts of the code that is active, and payloads that go off. */
static void test_parts(void **state)
{
	static const struct def first = {.name = "first",
					 .parts = true,
					 .objects = {{"vmlinux", 0}},
					 .funcs = {{0, "do_sys_open"}, {0, "vfs_read"}}};
	static const struct def second = {.name = "second",
					  .parts = true,
					  .objects = {{"vmlinux", 0}},
					  .funcs = {{0, "vfs_read"}}};
	struct rig *rig = *state;

	apply(rig, &first);
	assert_int_equal(rig->nr_also, 2);
	assert_also(rig, symbol(rig, "vmlinux", "do_sys_open") + 0xa0, 0x10, "do_sys_open");
	assert_also(rig, symbol(rig, "vmlinux", "vfs_read") + 0xa0, 0x10, "vfs_read");
	/* on top of the first: only its function is active */
	apply(rig, &second);
	assert_int_equal(rig->nr_also, 1);
	assert_also(rig, payload_text(0) + 0x2a0, 0x20, "vfs_read");
	assert_int_equal(revert(rig, "second"), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_also, 2);
	assert_also(rig, payload_text(1) + 0x1a0, 0x20, "vfs_read");
	assert_also(rig, payload_text(1), MODULE_TEXT, "second");
	assert_int_equal(revert(rig, "first"), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_also, 3);
	assert_also(rig, payload_text(0), MODULE_TEXT, "first");
}

static void test_replaced_payloads(void **state)
{
	static const struct def all = {.name = "all",
				       .replace = true,
				       .objects = {{"vmlinux", 0}},
				       .funcs = {{0, "do_sys_open"}}};
	struct rig *rig = *state;

	apply(rig, &fix);
	assert_int_equal(rig->nr_also, 0);
	apply(rig, &other);
	apply(rig, &all);
	assert_int_equal(rig->nr_also, 2);
	assert_also(rig, payload_text(0), MODULE_TEXT, "fix");
	assert_also(rig, payload_text(1), MODULE_TEXT, "other");
	/* what is off already may be freed already */
	assert_int_equal(revert(rig, "all"), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_also, 1);
	assert_also(rig, payload_text(2), MODULE_TEXT, "all");
}

/* A payload without a function in force: its text counts all the same. */
static void test_payload_without_functions(void **state)
{
	static const struct def none = {
		.name = "none", .objects = {{"absent", 0}}, .funcs = {{0, "absent_func"}}};
	struct rig *rig = *state;

	apply(rig, &none);
	assert_int_equal(revert(rig, "none"), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_also, 1);
	assert_also(rig, payload_text(0), MODULE_TEXT, "none");
}

/* Whoever forces takes it upon himself. */
static void test_forced_parts(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_also, 1);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_FORCE, 1), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_also, 0);
	rig->busy = NULL;
}

/* A module that comes while the patch waits runs its own code until the switch. */
static void test_parts_of_a_module(void **state)
{
	static const struct def two = {.name = "two",
				       .parts = true,
				       .objects = {{"vmlinux", 0}, {"m", 0}},
				       .funcs = {{0, "do_sys_open"}, {1, "mf"}}};
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &two), 0);
	settle(rig, 100);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(rig->nr_also, 1);
		assert_int_equal(insmod(rig, "m"), 0);
		settle(rig, 100);
		assert_int_equal(rig->nr_also, 2);
		assert_also(rig, symbol(rig, "m", "mf") + 0xc0, 0x10, "mf");
		rmmod(rig, "m");
		settle(rig, 100);
	}
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "two", PHASE_APPLIED);
}

/* ---- refusals of the operator ---- */

static void test_upload_refusals(void **state)
{
	struct rig *rig = *state;

	rig->build_id[0]++;
	rig_add(rig, &fix);
	{
		struct bundle b;
		size_t size;
		u8 *data = make_bundle(rig, &fix, &size);

		rig->build_id[0]--;
		assert_int_equal(bundle_parse(&b, data, size, rig->why, sizeof(rig->why)), 0);
		assert_int_equal(engine_upload(rig->e, &b, rig->why, sizeof(rig->why)), -ENOEXEC);
		assert_why(rig, "for the kernel with build-id accd0102030000");
		assert_why(rig, "the guest runs abcd0102030000");
		rig_free(rig, data, size);
	}
	apply(rig, &fix);
	assert_int_equal(upload(rig, &fix), -EEXIST);
	assert_why(rig, "patch 'fix' is applied already: `suture revert fix` first");
	assert_int_equal(revert(rig, "nothing"), -ENOENT);
	assert_why(rig, "'nothing' is not applied; `suture list` shows what is");
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(revert(rig, "fix"), -ENOENT);

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	assert_int_equal(upload(rig, &other), -EBUSY);
	assert_why(rig, "patch 'fix' is uploaded");
	settle(rig, 100);
	assert_int_equal(upload(rig, &other), -EBUSY);
	assert_why(rig, "patch 'fix' is patching: wait for it, or `suture revert fix`");
	assert_int_equal(insmod_payload(rig, &other), -EBUSY);
}

static void test_agent_absent(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(engine_agent_bye(rig->e), 0);
	assert_false(engine_agent_present(rig->e));
	assert_int_equal(upload(rig, &fix), -ESRCH);
	assert_why(rig, "no agent in the guest");
	engine_agent_hello(rig->e);
	apply(rig, &fix);
	/* the guest hangs */
	rig->now_us += 12000000;
	assert_int_equal(revert(rig, "fix"), -ESRCH);
	assert_why(rig, "has not been heard for 12 s");
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(upload(rig, &other), -ESRCH);
	settle(rig, 1);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

static void test_revert_of_another_in_transition(void **state)
{
	struct rig *rig = *state;

	apply(rig, &other);
	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	assert_int_equal(revert(rig, "other"), -EBUSY);
	assert_why(rig, "'fix' is patching");
	assert_int_equal(disable(rig, "other"), -EBUSY);
}

static void test_revert_before_load(void **state)
{
	struct rig *rig = *state;
	struct suture_work w = {0};

	assert_int_equal(upload(rig, &fix), 0);
	assert_int_equal(revert(rig, "fix"), 0);
	assert_phase(rig, "fix", PHASE_REVERTED);
	engine_work(rig->e, &w);
	assert_int_equal(w.kind, SUTURE_WORK_NONE);
	assert_int_equal(w.active, 0);
	assert_int_equal(upload(rig, &fix), 0);
	engine_work(rig->e, &w);
	assert_int_equal(w.kind, SUTURE_WORK_LOAD);
	assert_int_equal(w.active, 1);
	assert_int_equal(revert(rig, "fix"), -EBUSY);
	assert_why(rig, "'fix' is loading");
}

/* ---- loads that fail ---- */

static void test_load_fails(void **state)
{
	struct rig *rig = *state;

	rig_add(rig, &fix)->load_error = -ENOEXEC;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 10);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(info(rig, "fix").error, -ENOEXEC);
	assert_text(info(rig, "fix").why, "did not load the payload: init_module: see dmesg");
	rig_payload(rig, "fix")->load_error = 0;
	apply(rig, &fix);
}

/* The guest hangs between upload and fetch: the operator hears of it in seconds. */
static void test_load_never_fetched(void **state)
{
	struct rig *rig = *state;

	rig->stopped = true;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 9000);
	assert_phase(rig, "fix", PHASE_UPLOADED);
	settle(rig, 2000);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(info(rig, "fix").error, -ESRCH);
	assert_text(info(rig, "fix").why, "the agent in the guest has not been heard for 10 s: the "
					  "guest hangs, or is stopped; nothing was loaded");
}

static void test_load_never_reported(void **state)
{
	struct rig *rig = *state;
	struct suture_work w = {0};

	rig->stopped = true;
	assert_int_equal(upload(rig, &fix), 0);
	engine_work(rig->e, &w);
	assert_int_equal(w.kind, SUTURE_WORK_LOAD);
	fetch_payload(rig, &w);
	settle(rig, 59000);
	assert_phase(rig, "fix", PHASE_LOADING);
	settle(rig, 2000);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(info(rig, "fix").error, -ETIMEDOUT);
	assert_text(info(rig, "fix").why, "the guest did not load the payload in 60 s: is "
					  "/usr/lib/suture/ there? see `suture log`");
}

static void test_payload_without_patch(void **state)
{
	struct rig *rig = *state;

	rig_add(rig, &fix)->no_patch = true;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 10);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_text(info(rig, "fix").why, "did not call klp_enable_patch()");
	assert_int_equal(rig_payload(rig, "fix")->state, ABSENT);
}

static void test_pre_patch_refuses(void **state)
{
	struct rig *rig = *state;

	rig_add(rig, &fix)->pre_patch_ret = -ENODEV;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 10);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(info(rig, "fix").error, -ENODEV);
	assert_text(info(rig, "fix").why, "pre_patch callback of object 'vmlinux' refused");
	/* what a callback returns need not be an errno */
	rig_payload(rig, "fix")->pre_patch_ret = 5;
	assert_int_equal(insmod_payload(rig, &fix), -EINVAL);
}

/* The payload's init fails behind klp_enable_patch(). */
static void test_init_fails(void **state)
{
	struct rig *rig = *state;

	rig_add(rig, &fix)->init_fails = true;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 10);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_text(info(rig, "fix").why, "init failed after klp_enable_patch()");
	lines(rig, "livepatch: enabling patch 'fix'",
	      "livepatch: 'fix': initializing patching transition",
	      "fix: pre_patch_callback: vmlinux", "livepatch: 'fix': starting patching transition",
	      "livepatch: 'fix': canceling patching transition, going to unpatch",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	assert_int_equal(rig->switches, 0);
	rig_payload(rig, "fix")->init_fails = false;
	apply(rig, &fix);
}

/* LOADED says that it failed, and nothing else did: no callback can run any more. */
static void test_load_error_after_declare(void **state)
{
	struct rig *rig = *state;
	struct rig_payload *p = rig_add(rig, &fix);
	struct suture_work w = {0};
	struct suture_loaded l = {.result = -EIO};

	assert_int_equal(upload(rig, &fix), 0);
	engine_work(rig->e, &w);
	p->state = COMING;
	p->known = true;
	assert_int_equal(declare(rig, p), 0);
	assert_int_equal(pump(rig, SUTURE_PUMP_INIT, "fix", ""), 0);
	l.id = w.id;
	memset(l.text, 'x', sizeof(l.text)); /* not terminated */
	assert_int_equal(engine_loaded(rig->e, &l), 0);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(engine_loaded(rig->e, &l), -ENOENT);
	settle(rig, 50);
	assert_int_equal(rig->switches, 0);
	p->state = ABSENT;
	p->known = false;
	memset(p->pre, 0, sizeof(p->pre));
	apply(rig, &fix);
}

static void test_withdraw(void **state)
{
	struct rig *rig = *state;
	struct rig_payload *p = rig_add(rig, &fix);

	assert_int_equal(engine_withdraw(rig->e, "fix"), -ENOENT);
	p->state = COMING;
	p->known = true;
	assert_int_equal(declare(rig, p), 0);
	assert_int_equal(engine_withdraw(rig->e, "fix"), 0);
	assert_phase(rig, "fix", PHASE_FAILED);
	p->known = false;
	p->state = ABSENT;
	apply(rig, &fix);
	assert_int_equal(engine_withdraw(rig->e, "fix"), -EBUSY);
	assert_int_equal(count_redirects(rig), 2);
}

/* The agent takes one job at a time: no unload before the load has been reported. */
static void test_revert_before_load_is_reported(void **state)
{
	struct rig *rig = *state;
	struct suture_work w = {0}, next = {0};
	struct suture_loaded l = {0};
	long before;

	assert_int_equal(upload(rig, &fix), 0);
	engine_work(rig->e, &w);
	assert_int_equal(w.kind, SUTURE_WORK_LOAD);
	assert_int_equal(insmod_payload(rig, &fix), 0);
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(revert(rig, "fix"), 0);
	before = rig->allocated;
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_UNLOADING);
	assert_true(rig->allocated < before); /* nobody needs the bundle any more */
	engine_work(rig->e, &next);
	assert_int_equal(next.kind, SUTURE_WORK_NONE);
	assert_int_equal(next.active, 1);
	l.id = w.id;
	assert_int_equal(engine_loaded(rig->e, &l), -ENOENT);
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

static void test_switch_cannot_succeed(void **state)
{
	struct rig *rig = *state;
	struct patch_info i;

	rig->switch_error = -ENOSPC;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_FAILED);
	assert_int_equal(i.error, -ENOSPC);
	assert_text(i.why, "cannot be switched on: no room");
	assert_int_equal(rig_payload(rig, "fix")->state, ABSENT);
	lines(rig, "livepatch: enabling patch 'fix'",
	      "livepatch: 'fix': initializing patching transition",
	      "fix: pre_patch_callback: vmlinux", "livepatch: 'fix': starting patching transition",
	      "livepatch: 'fix': reversing transition from patching to unpatching",
	      "livepatch: 'fix': starting unpatching transition",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	/* off is where a patch must get: it is tried on and on */
	rig->switch_error = 0;
	apply(rig, &fix);
	rig->switch_error = -ENOMEM;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 3000);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	assert_in_range(info(rig, "fix").revert.attempts, 2, 5);
	rig->switch_error = 0;
	settle(rig, 1500);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

static void test_unload_fails(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->unload_error = -EBUSY;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 10000);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_int_equal(info(rig, "fix").error, -EBUSY);
	assert_text(info(rig, "fix").why, "does not unload its module: EBUSY; `suture revert fix`");
	assert_int_equal(count_redirects(rig), 0);
	rig->unload_error = 0;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 10);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(info(rig, "fix").error, 0);
}

/* rmmod -f of a payload that is on: the redirects are gone before its memory is. */
static void test_payload_forced_out(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	payload_goes(rig, rig_payload(rig, "fix"));
	assert_int_equal(count_redirects(rig), 0);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_text(info(rig, "fix").why, "unloaded by force");
	apply(rig, &fix);
}

/* ---- the agent vanishes ---- */

static void test_new_agent_keeps_what_is_on(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig_clear(rig);
	engine_agent_hello(rig->e);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_text(info(rig, "fix").why, "the agent that ran it is gone");
	assert_int_equal(count_redirects(rig), 2);
	/* without callbacks, without the agent */
	assert_int_equal(revert(rig, "fix"), 0);
	rig->stopped = true;
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(count_redirects(rig), 0);
	assert_int_equal(rig->nr_lines, 0);
}

static void test_new_agent_fails_what_is_half_way(void **state)
{
	struct rig *rig = *state;
	struct suture_work w = {0};

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_PATCHING);
	engine_agent_hello(rig->e);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_text(info(rig, "fix").why, "the agent that ran it is gone");
	settle(rig, 100);
	assert_int_equal(count_redirects(rig), 0);

	rig->payloads[0] = (struct rig_payload){0};
	assert_int_equal(upload(rig, &other), 0);
	engine_work(rig->e, &w);
	assert_int_equal(w.kind, SUTURE_WORK_LOAD);
	engine_agent_hello(rig->e);
	assert_phase(rig, "other", PHASE_FAILED);
}

/* While the unpatching waits, the agent dies: what is on stays on. */
static void test_new_agent_during_unpatching(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	engine_agent_hello(rig->e);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(count_redirects(rig), 2);
	rig->busy = NULL;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(count_redirects(rig), 0);
}

/* The kernel is gone, with the redirects, whatever was under way: the next one starts afresh. */
static void test_kernel_gone(void **state)
{
	struct rig *rig = *state;
	struct suture_work w = {0};
	u32 phase;

	for (phase = 0; phase < 4; phase++) {
		rig->busy = phase ? "do_sys_open" : NULL;
		rig->payloads[0] = (struct rig_payload){0};
		assert_int_equal(upload(rig, &fix), 0);
		if (phase < 2)
			settle(rig, 100); /* applied, in transition */
		else if (phase == 2)
			engine_work(rig->e, &w); /* loading; else uploaded */
		memset(rig->redirects, 0, sizeof(rig->redirects));
		engine_kernel_gone(rig->e, "the kernel was replaced");
		assert_phase(rig, "fix", PHASE_FAILED);
		assert_text(info(rig, "fix").why, "the kernel was replaced");
		assert_false(engine_agent_present(rig->e));
		assert_true(engine_tick(rig->e) == UINT64_MAX);
		assert_int_equal(count_redirects(rig), 0);
		rig->busy = NULL;
		rig->payloads[0] = (struct rig_payload){0};
		engine_agent_hello(rig->e);
		apply(rig, &fix);
		assert_int_equal(revert(rig, "fix"), 0);
		settle(rig, 100);
		assert_phase(rig, "fix", PHASE_REVERTED);
	}
}

static void test_dropped(void **state)
{
	struct rig *rig = *state;
	struct patch_func_info f;
	u32 i;

	apply(rig, &fix);
	for (i = 0; i < RIG_REDIRECTS; i++) {
		if (!rig->redirects[i].to)
			continue;
		rig->redirects[i].to = 0;
		engine_dropped(rig->e, rig->redirects[i].key);
	}
	assert_int_equal(engine_patch_func(rig->e, 0, 0, &f), 0);
	assert_false(f.redirected);
	assert_text(info(rig, "fix").why, "the guest dropped the redirect of");
	/* reverting it has nothing to switch */
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

/* ---- pumps that meet ---- */

static void test_one_script_at_a_time(void **state)
{
	struct rig *rig = *state;
	struct rig_payload *p = rig_add(rig, &fix);
	struct suture_step_reply r;

	assert_int_equal(insmod_payload(rig, &other), 0);
	settle(rig, 50);
	p->state = COMING;
	p->known = true;
	assert_int_equal(declare(rig, p), 0);
	assert_int_equal(declare(rig, p), -EAGAIN);
	assert_int_equal(disable(rig, "other"), -EAGAIN);
	give_step(rig, SUTURE_PUMP_WORK, "fix", "", 0, &r);
	assert_int_equal(r.kind, SUTURE_STEP_WAIT);
	give_step(rig, SUTURE_PUMP_WORK, "other", "", 0, &r);
	assert_int_equal(r.kind, SUTURE_STEP_WAIT);
	give_step(rig, SUTURE_PUMP_MODULE, "", "m", 0, &r);
	assert_int_equal(r.kind, SUTURE_STEP_WAIT);
	assert_int_equal(pump(rig, SUTURE_PUMP_INIT, "fix", ""), 0);
	give_step(rig, SUTURE_PUMP_MODULE, "", "m", 0, &r);
	assert_int_equal(r.kind, SUTURE_STEP_DONE);
	p->state = LIVE;
	tell_module(rig, "fix", SUTURE_MODULE_LIVE, payload_text(0));
	/* switched, not completed: as in Linux nobody comes between */
	engine_tick(rig->e);
	assert_phase(rig, "fix", PHASE_COMPLETING);
	give_step(rig, SUTURE_PUMP_MODULE, "", "m", 0, &r);
	assert_int_equal(r.kind, SUTURE_STEP_WAIT);
	assert_int_equal(disable(rig, "fix"), -EAGAIN);
	assert_int_equal(query(rig, "fix").transition, 1);
	settle(rig, 10);
	assert_int_equal(query(rig, "fix").transition, 0);
	assert_int_equal(disable(rig, "fix"), 0);
}

static void test_odd_messages(void **state)
{
	struct rig *rig = *state;
	struct suture_step step;
	struct suture_step_reply r = {0};
	struct suture_module mod = {.msg = {.size = sizeof(mod)}, .name = "m"};
	struct suture_fetch fetch = {.id = 99};
	struct suture_fetch_reply fr = {0};
	struct suture_patch_state q;
	u8 byte;

	memset(&step, 'x', sizeof(step));
	engine_step(rig->e, &step, &r);
	assert_int_equal(r.kind, SUTURE_STEP_DONE);
	assert_int_equal(r.result, -EINVAL);
	mod.nr_funcs = 0x20000000;
	assert_int_equal(engine_module(rig->e, &mod), -EINVAL);
	mod.nr_funcs = 1;
	assert_int_equal(engine_module(rig->e, &mod), -EINVAL);
	mod.nr_funcs = 0;
	mod.state = 9;
	assert_int_equal(engine_module(rig->e, &mod), -EINVAL);
	mod.state = SUTURE_MODULE_COMING;
	assert_int_equal(engine_module(rig->e, &mod), -EINVAL);
	assert_int_equal(engine_fetch(rig->e, &fetch, &fr, &byte, 1), -ENOENT);
	assert_int_equal(engine_query(rig->e, "m", &q), -ENOENT);
	give_step(rig, SUTURE_PUMP_WORK, "m", "", 0, &r);
	assert_int_equal(r.kind, SUTURE_STEP_DONE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_life),
		T(test_again_and_again),
		T(test_records_are_bounded),
		T(test_sysfs_disable_then_revert),
		T(test_guest_patch),
		T(test_retry),
		T(test_budget_grows),
		T(test_not_before_live),
		T(test_revert_while_patching),
		T(test_reverse_disable),
		T(test_reverse_revert),
		T(test_reverse_twice),
		T(test_force),
		T(test_forced_revert),
		T(test_forced_replacement),
		T(test_module_comes_while_patching),
		T(test_module_comes_while_unpatching),
		T(test_module_cannot_be_switched),
		T(test_stack),
		T(test_replace),
		T(test_parts),
		T(test_replaced_payloads),
		T(test_payload_without_functions),
		T(test_forced_parts),
		T(test_parts_of_a_module),
		T(test_upload_refusals),
		T(test_agent_absent),
		T(test_revert_of_another_in_transition),
		T(test_revert_before_load),
		T(test_load_fails),
		T(test_load_never_fetched),
		T(test_load_never_reported),
		T(test_payload_without_patch),
		T(test_pre_patch_refuses),
		T(test_init_fails),
		T(test_load_error_after_declare),
		T(test_withdraw),
		T(test_revert_before_load_is_reported),
		T(test_switch_cannot_succeed),
		T(test_unload_fails),
		T(test_payload_forced_out),
		T(test_new_agent_keeps_what_is_on),
		T(test_new_agent_fails_what_is_half_way),
		T(test_new_agent_during_unpatching),
		T(test_kernel_gone),
		T(test_dropped),
		T(test_one_script_at_a_time),
		T(test_odd_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
