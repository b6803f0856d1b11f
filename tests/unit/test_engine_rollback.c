/* SPDX-License-Identifier: BSD-2-Clause */
/* Rollback: from a cumulative patch back to those that it replaced. */
#include "engine_rig.h"

static const struct def one = {
	.name = "one",
	.objects = {{"vmlinux", ALL_CALLBACKS}},
	.funcs = {{0, "f"}, {0, "g"}},
};
static const struct def two = {
	.name = "two",
	.objects = {{"vmlinux", ALL_CALLBACKS}},
	.funcs = {{0, "g"}},
};
static const struct def all = {
	.name = "all",
	.replace = true,
	.objects = {{"vmlinux", ALL_CALLBACKS}},
	.funcs = {{0, "g"}, {0, "h"}},
};

static void replace_two(struct rig *rig)
{
	apply(rig, &one);
	apply(rig, &two);
	apply(rig, &all);
	rig_clear(rig);
}

/* What the patch's n-th function runs as. */
static u64 version(struct rig *rig, const char *name, u32 n)
{
	return payload_text((u32)(rig_payload(rig, name) - rig->payloads)) + 0x100 * (n + 1);
}

static void assert_rolled_back(struct rig *rig)
{
	assert_int_equal(runs(rig, "vmlinux", "f"), version(rig, "one", 0));
	assert_int_equal(runs(rig, "vmlinux", "g"), version(rig, "two", 0));
	assert_int_equal(runs(rig, "vmlinux", "h"), 0);
}

static void assert_replaced(struct rig *rig)
{
	assert_int_equal(runs(rig, "vmlinux", "f"), 0);
	assert_int_equal(runs(rig, "vmlinux", "g"), version(rig, "all", 0));
	assert_int_equal(runs(rig, "vmlinux", "h"), version(rig, "all", 1));
}

/* One switch; the replaced patches' callbacks did not run then, and do not now. */
static void test_one_switch(void **state)
{
	struct rig *rig = *state;
	u32 switches;

	replace_two(rig);
	switches = rig->switches;
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_int_equal(rig->switches, switches + 1);
	assert_rolled_back(rig);
	lines(rig, "livepatch: enabling patch 'one'", "livepatch: enabling patch 'two'",
	      "livepatch: 'all': initializing unpatching transition",
	      "all: pre_unpatch_callback: vmlinux",
	      "livepatch: 'all': starting unpatching transition",
	      "livepatch: 'all': completing unpatching transition",
	      "all: post_unpatch_callback: vmlinux", "livepatch: 'all': unpatching complete");
	assert_phase(rig, "one", PHASE_APPLIED);
	assert_phase(rig, "two", PHASE_APPLIED);
	assert_text(info(rig, "one").why, "patch 'all', which had replaced it, was rolled back");
	assert_phase(rig, "all", PHASE_REVERTED);
	assert_text(rig->ended, "END all reverted attempts 1 pause_max_us ");
	assert_int_equal(rig_payload(rig, "all")->state, ABSENT);
	assert_int_equal(query(rig, "one").stack_order, 1);
	assert_int_equal(query(rig, "two").stack_order, 2);
	assert_int_equal(query(rig, "one").enabled, 1);
	/* they are held again, and go as ever, with their callbacks */
	assert_int_equal(rmmod_payload(rig, "one"), -EBUSY);
	/* what the guest does is no request */
	rig->ended[0] = 0;
	assert_int_equal(disable(rig, "two"), 0);
	settle(rig, 100);
	assert_string_equal(rig->ended, "");
	assert_int_equal(runs(rig, "vmlinux", "g"), version(rig, "one", 1));
	assert_int_equal(revert(rig, "one"), 0);
	settle(rig, 100);
	assert_int_equal(count_redirects(rig), 0);
	assert_false(rig_payload(rig, "two")->pre[0]);
	assert_int_equal(rmmod_payload(rig, "two"), 0);
}

/* Neither the code that goes nor its payload may be on a stack; the payloads that return may. */
static void test_what_is_looked_at(void **state)
{
	struct rig *rig = *state;

	replace_two(rig);
	rig->busy = "h";
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_UNPATCHING);
	assert_int_equal(rig->nr_extra, 1);
	assert_int_equal(rig->extra[0].start, payload_text(2) - 1);
	assert_replaced(rig);
	rig->busy = NULL;
	settle(rig, 100);
	assert_rolled_back(rig);
}

/* A patch that came later stays above those that return. */
static void test_newer_stays_above(void **state)
{
	static const struct def newer = {
		.name = "newer", .objects = {{"vmlinux", 0}}, .funcs = {{0, "f"}}};
	struct rig *rig = *state;

	replace_two(rig);
	apply(rig, &newer);
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_int_equal(runs(rig, "vmlinux", "f"), version(rig, "newer", 0));
	assert_int_equal(runs(rig, "vmlinux", "g"), version(rig, "two", 0));
	assert_int_equal(query(rig, "newer").stack_order, 3);
	assert_int_equal(revert(rig, "newer"), 0);
	settle(rig, 100);
	assert_rolled_back(rig);
}

/* Two replacements are rolled back one after the other. */
static void test_twice(void **state)
{
	static const struct def last = {.name = "last",
					.replace = true,
					.objects = {{"vmlinux", ALL_CALLBACKS}},
					.funcs = {{0, "f"}}};
	struct rig *rig = *state;

	replace_two(rig);
	apply(rig, &last);
	assert_phase(rig, "all", PHASE_DISABLED);
	assert_int_equal(rollback(rig, "all"), -EBUSY);
	assert_why(rig, "is disabled: only one that is applied can be rolled back");
	assert_int_equal(rollback(rig, "last"), 0);
	settle(rig, 100);
	assert_replaced(rig);
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_rolled_back(rig);
	/* and the way there again */
	apply(rig, &all);
	assert_replaced(rig);
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_rolled_back(rig);
}

/* ---- it turns around ---- */

static void assert_cancelled(struct rig *rig)
{
	assert_phase(rig, "all", PHASE_APPLIED);
	assert_phase(rig, "one", PHASE_DISABLED);
	assert_phase(rig, "two", PHASE_DISABLED);
	assert_replaced(rig);
	assert_int_equal(query(rig, "all").enabled, 1);
	assert_int_equal(query(rig, "one").enabled, 0);
	assert_false(rig_payload(rig, "one")->known);
}

static void test_cancel(void **state)
{
	struct rig *rig = *state;

	replace_two(rig);
	rig->busy = "h";
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "one", PHASE_RETURNING);
	assert_int_equal(query(rig, "one").enabled, 1);
	assert_int_equal(query(rig, "one").transition + query(rig, "all").transition, 1);
	assert_int_equal(revert(rig, "one"), -EBUSY);
	assert_why(rig, "comes back, the rollback of 'all' is under way");
	assert_int_equal(disable(rig, "one"), -EBUSY);
	assert_int_equal(rollback(rig, "all"), -EBUSY);
	rig_clear(rig);
	assert_int_equal(cancel(rig, "all"), 0);
	settle(rig, 100);
	lines(rig, "livepatch: 'all': reversing transition from unpatching to patching",
	      "livepatch: 'all': starting patching transition",
	      "livepatch: 'all': completing patching transition",
	      "all: post_patch_callback: vmlinux", "livepatch: 'all': patching complete");
	assert_cancelled(rig);
	assert_text(info(rig, "all").why, "its rollback was cancelled by the operator");
	/* nothing is lost: once more, and then for good */
	rig->busy = NULL;
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_rolled_back(rig);
}

/* sysfs reverses it as well, and back again. */
static void test_reversed_twice(void **state)
{
	struct rig *rig = *state;

	replace_two(rig);
	rig->busy = "h";
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 30);
	assert_int_equal(echo(rig, "all", SUTURE_SET_ENABLED, 1), 0);
	assert_int_equal(query(rig, "one").enabled, 0);
	assert_int_equal(echo(rig, "all", SUTURE_SET_ENABLED, 0), 0);
	assert_int_equal(query(rig, "one").enabled, 1);
	rig->busy = NULL;
	settle(rig, 100);
	assert_rolled_back(rig);
}

static void test_forced(void **state)
{
	struct rig *rig = *state;

	replace_two(rig);
	rig->busy = "h";
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_int_equal(echo(rig, "all", SUTURE_SET_FORCE, 1), 0);
	settle(rig, 100);
	assert_rolled_back(rig);
	assert_phase(rig, "all", PHASE_DISABLED);
	assert_text(info(rig, "all").why, "off by force");
	assert_int_equal(query(rig, "one").forced, 0);
	assert_int_equal(rmmod_payload(rig, "all"), -EBUSY);
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rollback(rig, "all"), -ENOENT);
	assert_why(rig, "patch 'all' is not applied");
	apply(rig, &one);
	assert_int_equal(rollback(rig, "one"), -EINVAL);
	assert_why(rig, "has replaced no patch: `suture revert one` takes it off");
	apply(rig, &two);
	rig->busy = "g";
	assert_int_equal(upload(rig, &all), 0);
	settle(rig, 100);
	assert_int_equal(rollback(rig, "all"), -EBUSY);
	assert_why(rig, "is patching: only one that is applied");
	rig->busy = NULL;
	settle(rig, 100);
	rig->busy = "h";
	assert_int_equal(insmod_payload(rig, &(struct def){.name = "new",
							   .objects = {{"vmlinux", 0}},
							   .funcs = {{0, "h"}}}),
			 0);
	settle(rig, 30);
	assert_int_equal(rollback(rig, "all"), -EBUSY);
	assert_why(rig, "patch 'new' is patching");
	rig->busy = NULL;
	settle(rig, 100);
	rig->now_us += 60000000;
	assert_int_equal(rollback(rig, "all"), -ESRCH);
	assert_why(rig, "agent silent for");
	settle(rig, 1);
	engine_agent_hello(rig->e);
	assert_int_equal(rollback(rig, "all"), -EBUSY);
	assert_why(rig, "the agent that ran patch 'all' is gone");
	rig_payload(rig, "new")->def = NULL;
}

/* Unloaded by hand: the engine learns of it, and gives it as the reason. */
static void test_replaced_was_unloaded(void **state)
{
	struct rig *rig = *state;

	replace_two(rig);
	assert_int_equal(rmmod_payload(rig, "two"), 0);
	assert_int_equal(rollback(rig, "all"), -ENODEV);
	assert_why(rig, "patch 'two', which 'all' replaced, is reverted: apply its bundle");
	assert_phase(rig, "all", PHASE_APPLIED);
	/* loaded again it is another patch, that stands above */
	assert_int_equal(upload(rig, &two), 0);
	settle(rig, 100);
	assert_int_equal(rollback(rig, "all"), -ENODEV);
	assert_why(rig, "of the 2 patches that 'all' replaced only 1 are still loaded");
	assert_int_equal(runs(rig, "vmlinux", "g"), version(rig, "two", 0));
}

static void unload_two(struct rig *rig, const char *name)
{
	struct rig_payload *p = rig_payload(rig, "two");

	if (strcmp(name, "two") != 0)
		return;
	p->state = GOING;
	tell_module(rig, "two", SUTURE_MODULE_GOING, payload_text(1));
}

/* ... or in the last moment: those that were taken already are given back. */
static void test_unloaded_meanwhile(void **state)
{
	struct rig *rig = *state;

	replace_two(rig);
	rig->before_restore = unload_two;
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	rig->before_restore = NULL;
	payload_goes(rig, rig_payload(rig, "two"));
	assert_int_equal(rig->nr_lines, 0);
	assert_phase(rig, "all", PHASE_APPLIED);
	assert_int_equal(info(rig, "all").error, -ENODEV);
	assert_text(info(rig, "all").why, "not rolled back: the guest has unloaded patch 'two'");
	assert_replaced(rig);
	assert_phase(rig, "one", PHASE_DISABLED);
	assert_int_equal(rmmod_payload(rig, "one"), 0);
	assert_int_equal(revert(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_REVERTED);
	assert_int_equal(info(rig, "all").error, 0);
}

static void test_after_force(void **state)
{
	struct rig *rig = *state;

	apply(rig, &one);
	rig->busy = "f";
	assert_int_equal(upload(rig, &all), 0);
	settle(rig, 100);
	assert_int_equal(echo(rig, "all", SUTURE_SET_FORCE, 1), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_APPLIED);
	assert_int_equal(rollback(rig, "all"), -EBUSY);
	assert_why(rig, "patch 'all' replaced 'one' by force");
}

/* What comes back must be what was declared before, and asked for. */
static void test_only_what_was_declared(void **state)
{
	struct rig *rig = *state;
	struct suture_declare *m;

	replace_two(rig);
	m = make_declaration(rig, rig_payload(rig, "one"));
	m->flags |= SUTURE_DECL_RESTORE;
	assert_int_equal(engine_declare(rig->e, m), -EINVAL);
	free(m);
	assert_phase(rig, "one", PHASE_DISABLED);
	/* another payload under its name */
	rig_payload(rig, "one")->def = &(const struct def){.name = "one",
							   .objects = {{"vmlinux", ALL_CALLBACKS}},
							   .funcs = {{0, "f"}, {0, "x"}}};
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_APPLIED);
	assert_int_equal(info(rig, "all").error, -EBADMSG);
	assert_text(info(rig, "all").why, "patch 'one' cannot return: it is not what was declared");
	assert_replaced(rig);
	rig_payload(rig, "one")->def = &one;
	rig->validate_error = -EINVAL;
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_int_equal(info(rig, "all").error, -EINVAL);
	assert_text(info(rig, "all").why, "patch 'one' cannot return: f is too short");
	rig->validate_error = 0;
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_rolled_back(rig);
}

/* The agent says why it does not take it back. */
static void test_overridden_meanwhile(void **state)
{
	struct rig *rig = *state;

	replace_two(rig);
	rig->overridden = "'f': overridden by \x1b";
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_APPLIED);
	assert_int_equal(info(rig, "all").error, -EBUSY);
	assert_string_equal(info(rig, "all").why,
			    "not rolled back: patch 'one' cannot return: 'f': overridden by ?");
	assert_replaced(rig);
	rig->overridden = NULL;
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_rolled_back(rig);
}

/* Whichever allocation fails: all of it, or nothing and the reason. */
static void test_out_of_memory(void **state)
{
	struct rig *rig = *state;
	u32 n;

	replace_two(rig);
	for (n = 1; n < 20; n++) {
		rig->fail_alloc = n;
		assert_int_equal(rollback(rig, "all"), 0);
		settle(rig, 100);
		rig->fail_alloc = 0;
		if (info(rig, "all").phase != PHASE_APPLIED)
			break;
		assert_int_equal(info(rig, "all").error, -ENOMEM);
		assert_replaced(rig);
	}
	assert_in_range(n, 3, 19);
	settle(rig, 100);
	assert_rolled_back(rig);
}

/* ---- mishaps in the middle ---- */

static void test_payload_forced_out(void **state)
{
	struct rig *rig = *state;

	replace_two(rig);
	rig->busy = "h";
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	payload_goes(rig, rig_payload(rig, "all"));
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_FAILED);
	assert_int_equal(count_redirects(rig), 0);
	assert_phase(rig, "one", PHASE_DISABLED);
	assert_int_equal(rmmod_payload(rig, "one"), 0);
}

static void test_agent_lost(void **state)
{
	struct rig *rig = *state;

	replace_two(rig);
	rig->busy = "h";
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	engine_agent_hello(rig->e);
	assert_phase(rig, "all", PHASE_APPLIED);
	assert_phase(rig, "one", PHASE_FAILED);
	assert_replaced(rig);
	rig->busy = NULL;
	assert_int_equal(revert(rig, "all"), 0);
	settle(rig, 100);
	assert_int_equal(count_redirects(rig), 0);
	engine_kernel_gone(rig->e, "over");
	engine_agent_hello(rig->e);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_one_switch),
		T(test_what_is_looked_at),
		T(test_newer_stays_above),
		T(test_twice),
		T(test_cancel),
		T(test_reversed_twice),
		T(test_forced),
		T(test_refusals),
		T(test_replaced_was_unloaded),
		T(test_unloaded_meanwhile),
		T(test_after_force),
		T(test_only_what_was_declared),
		T(test_overridden_meanwhile),
		T(test_out_of_memory),
		T(test_payload_forced_out),
		T(test_agent_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
