/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent vanishes, the guest drops redirects, steps are requested concurrently, messages are
 * unusual.
 */
#include "engine_rig.h"

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

/* While the unpatching waits, the agent dies: applied patches stay applied. */
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

/*
 * The kernel is gone, with the redirects, in each phase of a patch: nothing is left for the next
 * kernel.
 */
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

#define ENDED "the guest said that its kernel ended"

static void kernel_ends(struct rig *rig)
{
	memset(rig->redirects, 0, sizeof(rig->redirects));
	engine_kernel_ends(rig->e, ENDED);
}

/* The kernel is said to end, and goes on: what was dropped is reported, and put back. */
static void test_end_that_is_none(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	assert_int_equal(engine_kernel_fate(rig->e), KERNEL_IS_FINE);
	kernel_ends(rig);
	assert_int_equal(engine_kernel_fate(rig->e), KERNEL_IS_OPEN);
	assert_text(info(rig, "fix").why, "dropped: " ENDED);
	assert_int_equal(info(rig, "fix").nr_not_in_force, 2);
	assert_phase(rig, "fix", PHASE_APPLIED);
	engine_tick(rig->e);
	assert_int_equal(count_redirects(rig), 0);

	/* a task stands in the way first */
	rig->busy = "do_sys_open";
	engine_kernel_goes_on(rig->e);
	assert_int_equal(engine_kernel_fate(rig->e), KERNEL_IS_FINE);
	settle(rig, 100);
	assert_int_equal(count_redirects(rig), 0);
	rig->busy = NULL;
	settle(rig, 100);
	assert_int_equal(count_redirects(rig), 2);
	assert_int_equal(info(rig, "fix").nr_not_in_force, 0);
	assert_text(info(rig, "fix").why, "");
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(count_redirects(rig), 0);
}

/* In the middle of a transition, which goes on afterwards. */
static void test_end_in_a_transition(void **state)
{
	struct rig *rig = *state;

	apply(rig, &other);
	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_PATCHING);
	kernel_ends(rig);
	engine_kernel_goes_on(rig->e);
	rig->busy = NULL;
	settle(rig, 200);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_phase(rig, "other", PHASE_APPLIED);
	assert_int_equal(info(rig, "other").nr_not_in_force, 0);
}

/* It falls silent: it has ended. */
static void test_end(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	kernel_ends(rig);
	rig->now_us += 5000000;
	assert_int_equal(engine_kernel_fate(rig->e), KERNEL_IS_OPEN);
	rig->now_us += 1;
	assert_int_equal(engine_kernel_fate(rig->e), KERNEL_IS_GONE);
	engine_kernel_gone(rig->e, "the kernel was replaced");
	assert_int_equal(engine_kernel_fate(rig->e), KERNEL_IS_FINE);
	assert_phase(rig, "fix", PHASE_FAILED);
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
	/* switched, not completed: as in Linux no other operation may start */
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
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_new_agent_keeps_what_is_on),
		T(test_new_agent_fails_what_is_half_way),
		T(test_new_agent_during_unpatching),
		T(test_kernel_gone),
		T(test_end_that_is_none),
		T(test_end_in_a_transition),
		T(test_end),
		T(test_dropped),
		T(test_one_script_at_a_time),
		T(test_odd_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
