/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that hangs or has panicked. */
#include "engine_rig.h"

static struct guest_health health(struct rig *rig)
{
	struct guest_health h;

	engine_guest_health(rig->e, &h);
	return h;
}

/* Each message of the agent shows that the guest is alive. */
static void test_last_word(void **state)
{
	struct rig *rig = *state;
	struct suture_shadow shadow = {.msg.size = sizeof(shadow)};
	struct suture_symbols symbols = {0};
	struct suture_fetch_reply reply;
	struct suture_patch_state q;

	for (u32 i = 0; i < 7; i++) {
		rig->now_us += 12300000;
		assert_int_equal(health(rig).state, GUEST_SILENT);
		assert_true(health(rig).silent_us == 12300000);
		assert_string_equal(health(rig).why,
				    "agent silent for 12 s: the guest hangs, or is stopped");
		switch (i) {
		case 0:
			engine_work(rig->e, &(struct suture_work){0});
			break;
		case 1:
			engine_query(rig->e, "fix", &q);
			break;
		case 2:
			engine_shadow(rig->e, &shadow);
			break;
		case 3:
			engine_symbols(rig->e, &symbols);
			break;
		case 4:
			echo(rig, "fix", SUTURE_SET_ENABLED, 0);
			break;
		case 5:
			engine_fetch(rig->e, &(struct suture_fetch){0}, &reply, NULL, 0);
			break;
		case 6:
			engine_withdraw(rig->e, "fix");
			break;
		}
		assert_int_equal(health(rig).state, GUEST_ALIVE);
		assert_true(health(rig).silent_us == 0);
		assert_string_equal(health(rig).why, "");
	}
	rig->now_us += 9999999;
	assert_int_equal(health(rig).state, GUEST_ALIVE);
	assert_int_equal(engine_agent_bye(rig->e), 0);
	rig->now_us += 60000000;
	assert_int_equal(health(rig).state, GUEST_UNKNOWN);
}

/* ---- panics ---- */

/* The agent has reported a panic; only another kernel clears it. */
static void test_panic(void **state)
{
	struct rig *rig = *state;

	engine_panicked(rig->e, "Fatal\nexception");
	assert_int_equal(health(rig).state, GUEST_PANICKED);
	assert_string_equal(health(rig).why, "guest panicked: Fatal?exception");
	assert_int_equal(upload(rig, &fix), -ESRCH);
	assert_why(rig, "guest panicked: Fatal?exception");
	settle(rig, 100); /* a message that was under way */
	assert_int_equal(health(rig).state, GUEST_PANICKED);
	engine_kernel_gone(rig->e, "the guest's kernel was replaced");
	assert_int_equal(health(rig).state, GUEST_UNKNOWN);
	engine_panicked(rig->e, "late"); /* of a kernel that is no more */
	engine_agent_hello(rig->e);
	assert_int_equal(health(rig).state, GUEST_ALIVE);
	engine_panicked(rig->e, "");
	assert_string_equal(health(rig).why, "guest panicked: nobody knows of what");
	engine_agent_hello(rig->e);
	assert_int_equal(health(rig).state, GUEST_ALIVE);
}

/* Its CPUs show the panic: they are examined only while the agent is silent, and rarely. */
static void test_panic_suspected(void **state)
{
	struct rig *rig = *state;

	rig->halted = 1;
	settle(rig, 30000);
	assert_int_equal(rig->looks, 0);
	rig->stopped = true;
	settle(rig, 14900);
	assert_int_equal(health(rig).state, GUEST_SILENT);
	settle(rig, 200);
	assert_int_equal(health(rig).state, GUEST_PANICKED);
	assert_string_equal(health(rig).why,
			    "guest panicked: all its CPUs but one are halted with interrupts off");
	assert_int_equal(rig->looks, 3);
	settle(rig, 60000);
	assert_int_equal(rig->looks, 3);
	/* it was only a long halt */
	rig->stopped = false;
	settle(rig, 1);
	assert_int_equal(health(rig).state, GUEST_ALIVE);

	/* a state that is temporary or not known is no panic */
	rig->stopped = true;
	rig->looks = 0;
	for (u32 i = 0; i < 20; i++) {
		rig->halted = i % 3 == 0 ? 0 : 1;
		settle(rig, 5000);
		assert_int_not_equal(health(rig).state, GUEST_PANICKED);
	}
	rig->halted = -ETIMEDOUT;
	settle(rig, 60000);
	assert_int_equal(health(rig).state, GUEST_SILENT);
	assert_in_range(rig->looks, 30, 33);
	assert_true(engine_tick(rig->e) <= rig->now_us + 5000000);
}

/* ---- a revert without the agent ---- */

static int revert_below(struct rig *rig, const char *name, bool force)
{
	rig->why[0] = 0;
	return engine_revert_below(rig->e, name, force, rig->why, sizeof(rig->why));
}

static void hang(struct rig *rig)
{
	rig->stopped = true;
	rig->now_us += 12000000;
	rig_clear(rig);
}

/* The agent is back: it lets go of the module, and the next revert is like any other. */
static void wake_and_unload(struct rig *rig, const char *name)
{
	rig->stopped = false;
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, name, PHASE_DISABLED);
	assert_false(rig_payload(rig, name)->known);
	assert_int_equal(rig_payload(rig, name)->state, LIVE);
	assert_int_equal(revert_below(rig, name, false), -EBUSY);
	assert_int_equal(revert(rig, name), 0);
	settle(rig, 100);
	assert_phase(rig, name, PHASE_REVERTED);
	assert_string_equal(info(rig, name).why, "");
	assert_int_equal(rig_payload(rig, name)->state, ABSENT);
	assert_int_equal(rig->nr_lines, 0);
}

static void test_below(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(revert_below(rig, "fix", false), -ENOENT);
	apply(rig, &fix);
	assert_int_equal(revert_below(rig, "fix", false), -EBUSY);
	assert_why(rig, "the agent in the guest answers: `suture revert fix`");
	hang(rig);
	assert_int_equal(revert(rig, "fix"), -ESRCH);
	assert_why(rig, "agent silent for 12 s");
	assert_why(rig, "`suture revert --from-below fix` does it without the agent: no callback");
	assert_int_equal(revert_below(rig, "fix", false), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_text(rig->ended, "END fix disabled attempts 1 pause_max_us ");
	assert_int_equal(count_redirects(rig), 0);
	assert_int_equal(rig->switches, 2);
	assert_true(info(rig, "fix").revert.from_below);
	assert_string_equal(info(rig, "fix").revert.left_out, "1 pre_unpatch, 1 post_unpatch");
	assert_string_equal(info(rig, "fix").why,
			    "off from below, left out: 1 pre_unpatch, 1 post_unpatch; its module "
			    "is loaded: revert it again when the agent answers");
	assert_true(rig_payload(rig, "fix")->known);
	assert_int_equal(revert_below(rig, "fix", false), -EBUSY);
	assert_why(rig, "patch 'fix' is disabled: nothing of it is in force");
	wake_and_unload(rig, "fix");
	apply(rig, &fix);
	assert_false(info(rig, "fix").revert.from_below);
}

/* A task is in the function; the operator forces the switch, or cancels. */
static void test_below_blocked(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	hang(rig);
	rig->busy = "do_sys_open";
	assert_int_equal(revert_below(rig, "fix", false), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	assert_int_equal(info(rig, "fix").revert.blocker.pid, 7);
	assert_int_equal(cancel(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(count_redirects(rig), 2);
	assert_int_equal(query(rig, "fix").enabled, 1);

	hang(rig);
	assert_int_equal(revert_below(rig, "fix", false), 0);
	settle(rig, 100);
	assert_int_equal(revert_below(rig, "fix", true), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_int_equal(count_redirects(rig), 0);
	assert_string_equal(info(rig, "fix").why,
			    "off from below by force, left out: 1 pre_unpatch, 1 post_unpatch; its "
			    "module stays loaded until the guest boots again");
	/* as ever with force: its module is not unloaded */
	rig->stopped = false;
	rig->busy = NULL;
	settle(rig, 100);
	assert_int_equal(revert(rig, "fix"), -EBUSY);
	assert_why(rig, "was forced");
	assert_true(rig_payload(rig, "fix")->known);
}

/* The agent is back before the switch succeeds, and is told of it then. */
static void test_below_and_back(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	hang(rig);
	rig->busy = "do_sys_open";
	assert_int_equal(revert_below(rig, "fix", false), 0);
	rig->stopped = false;
	settle(rig, 20000);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	assert_int_equal(rig->signals, 0);
	assert_int_equal(rig->nr_lines, 0);
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	wake_and_unload(rig, "fix");

	/* and a revert that is asked for meanwhile unloads it */
	apply(rig, &fix);
	hang(rig);
	rig->busy = "do_sys_open";
	assert_int_equal(revert_below(rig, "fix", false), 0);
	rig->stopped = false;
	settle(rig, 100);
	assert_int_equal(revert(rig, "fix"), 0);
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(rig_payload(rig, "fix")->state, ABSENT);
}

/* The patch has been switched on, and the guest hangs at once, in a callback or before. */
static void test_below_completing(void **state)
{
	struct rig *rig = *state;
	struct suture_step_reply r;
	bool in_callback = false;

	do {
		assert_int_equal(insmod_payload(rig, &fix), 0);
		engine_tick(rig->e);
		assert_phase(rig, "fix", PHASE_COMPLETING);
		for (u32 i = 0; i < 2 && in_callback; i++)
			give_step(rig, SUTURE_PUMP_WORK, "fix", "", 0, &r);
		assert_int_equal(count_redirects(rig), 2);
		hang(rig);
		assert_int_equal(revert_below(rig, "fix", false), 0);
		settle(rig, 100);
		assert_phase(rig, "fix", PHASE_DISABLED);
		assert_int_equal(count_redirects(rig), 0);
		assert_string_equal(info(rig, "fix").revert.left_out,
				    in_callback ? "1 pre_unpatch, 1 post_unpatch"
						: "1 post_patch, 1 pre_unpatch, 1 post_unpatch");
		/* the callback returns after all */
		if (in_callback) {
			assert_int_equal(r.kind, SUTURE_STEP_CALLBACK);
			assert_int_equal(pump(rig, SUTURE_PUMP_WORK, "fix", ""), 0);
		}
		wake_and_unload(rig, "fix");
		in_callback = !in_callback;
	} while (in_callback);
}

/* Before the switch, or during a revert: the engine continues alone from there. */
static void test_below_half_way(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_PATCHING);
	hang(rig);
	assert_int_equal(revert_below(rig, "fix", false), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_string_equal(info(rig, "fix").revert.left_out, "1 post_unpatch");
	wake_and_unload(rig, "fix");

	for (u32 i = 0; i < 3; i++) {
		apply(rig, &fix);
		if (i == 1)
			rig->busy = "do_sys_open";
		assert_int_equal(revert(rig, "fix"), 0);
		if (i == 1)
			settle(rig, 100); /* unpatching; else it was only asked for */
		if (i == 2) {
			poll_once(rig);
			engine_tick(rig->e);
			assert_phase(rig, "fix", PHASE_UNCOMPLETING);
		}
		hang(rig);
		rig->busy = NULL;
		assert_int_equal(revert_below(rig, "fix", false), 0);
		settle(rig, 100);
		assert_phase(rig, "fix", PHASE_DISABLED);
		assert_string_equal(info(rig, "fix").revert.left_out,
				    i ? "1 post_unpatch" : "1 pre_unpatch, 1 post_unpatch");
		wake_and_unload(rig, "fix");
	}
}

/* A cumulative patch: what it has replaced was not told either. */
static void test_below_replacement(void **state)
{
	static const struct def all = {
		.name = "all",
		.replace = true,
		.objects = {{"vmlinux", ALL_CALLBACKS}},
		.funcs = {{0, "cmdline_proc_show"}},
	};
	struct rig *rig = *state;

	apply(rig, &fix);
	assert_int_equal(insmod_payload(rig, &all), 0);
	engine_tick(rig->e);
	assert_phase(rig, "all", PHASE_COMPLETING);
	hang(rig);
	assert_int_equal(revert_below(rig, "all", false), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_DISABLED);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_int_equal(count_redirects(rig), 0);
	rig->stopped = false;
	settle(rig, 100);
	assert_false(rig_payload(rig, "fix")->known);
	assert_int_equal(revert(rig, "fix"), 0);
	assert_int_equal(revert(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_phase(rig, "all", PHASE_REVERTED);
}

static void test_below_refusals(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "cmdline_proc_show";
	assert_int_equal(upload(rig, &other), 0);
	settle(rig, 100);
	hang(rig);
	assert_int_equal(revert_below(rig, "fix", false), -EBUSY);
	assert_why(rig, "patch 'other' is patching");
	assert_int_equal(revert_below(rig, "other", false), 0);
	settle(rig, 100);
	rig->busy = NULL;
	wake_and_unload(rig, "other");
}

/* States: their callbacks and destructors are left out, and have no owner any more. */
static void test_below_states(void **state)
{
	static const struct def with_state = {
		.name = "with_state",
		.objects = {{"vmlinux", 0}},
		.funcs = {{0, "f"}},
		.states = {{.id = 7, .is_shadow = 1}},
	};
	static const struct def blocks = {
		.name = "blocks",
		.objects = {{"vmlinux", 0}},
		.funcs = {{0, "g"}},
		.states = {{.id = 8, .block_disable = 1}},
	};
	struct rig *rig = *state;
	struct patch_state_info st;

	apply(rig, &with_state);
	apply(rig, &blocks);
	hang(rig);
	assert_int_equal(revert_below(rig, "blocks", false), -EINVAL);
	assert_why(rig, "its state 8 is marked block_disable");
	assert_int_equal(revert_below(rig, "with_state", false), 0);
	settle(rig, 100);
	assert_phase(rig, "with_state", PHASE_DISABLED);
	assert_string_equal(info(rig, "with_state").revert.left_out,
			    "1 pre_unpatch, 1 post_unpatch, 1 shadow_dtor");
	assert_int_equal(engine_patch_state(rig->e, 0, 0, &st), 0);
	assert_string_equal(st.owner, "");
	assert_int_equal(rig->shadows[7], 1);
	wake_and_unload(rig, "with_state");
}

/* What comes back with a rollback must be held by the agent: it is not tried without. */
static void test_below_rollback(void **state)
{
	static const struct def all = {
		.name = "all",
		.replace = true,
		.objects = {{"vmlinux", 0}},
		.funcs = {{0, "cmdline_proc_show"}},
	};
	struct rig *rig = *state;

	apply(rig, &other);
	apply(rig, &all);
	/* it was asked for, and the guest has not begun */
	assert_int_equal(rollback(rig, "all"), 0);
	hang(rig);
	assert_int_equal(revert_below(rig, "all", false), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_DISABLED);
	assert_int_equal(info(rig, "all").error, 0);
	assert_int_equal(count_redirects(rig), 0);
	wake_and_unload(rig, "all");
	assert_int_equal(revert(rig, "other"), 0);
	settle(rig, 100);

	apply(rig, &other);
	apply(rig, &all);
	rig->busy = "cmdline_proc_show";
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_UNPATCHING);
	hang(rig);
	assert_int_equal(revert_below(rig, "all", false), -EBUSY);
	assert_why(rig, "patch 'all' is being rolled back");
	assert_phase(rig, "all", PHASE_UNPATCHING);
}

/* Another agent, or another kernel: no references of the first one are held. */
static void test_below_and_another_agent(void **state)
{
	struct rig *rig = *state;
	struct suture_work w = {0};

	apply(rig, &fix);
	hang(rig);
	assert_int_equal(revert_below(rig, "fix", false), 0);
	settle(rig, 100);
	engine_agent_hello(rig->e);
	assert_phase(rig, "fix", PHASE_REVERTED);
	engine_work(rig->e, &w);
	assert_int_equal(w.kind, SUTURE_WORK_NONE);

	rig->payloads[0] = (struct rig_payload){0};
	rig->stopped = false;
	apply(rig, &fix);
	engine_agent_hello(rig->e); /* an orphan */
	hang(rig);
	rig->busy = "do_sys_open";
	assert_int_equal(revert_below(rig, "fix", false), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	assert_int_equal(revert_below(rig, "fix", true), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(count_redirects(rig), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_last_word),
		T(test_panic),
		T(test_panic_suspected),
		T(test_below),
		T(test_below_blocked),
		T(test_below_and_back),
		T(test_below_completing),
		T(test_below_half_way),
		T(test_below_replacement),
		T(test_below_refusals),
		T(test_below_states),
		T(test_below_rollback),
		T(test_below_and_another_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
