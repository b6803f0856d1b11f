/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A random walk: patches that share functions, modules and states come and go, callbacks refuse,
 * tasks sleep in functions, others ask in the middle of everything. The rig asserts the rules at
 * each step; whenever nothing is in transition, each function runs what a simple model says.
 */
#include "engine_rig.h"

/* More of it: SUTURE_WALK_STEPS and SUTURE_WALK_SEED in the environment. */
#define STEPS 20000
#define SEED  20261121

static const struct def defs[] = {
	{.name = "one",
	 .objects = {{"vmlinux", ALL_CALLBACKS}, {"m", ALL_CALLBACKS}},
	 .funcs = {{0, "f"}, {0, "g"}, {1, "mf"}},
	 .states = {{.id = 1, .is_shadow = 1}, {.id = 2}}},
	{.name = "two",
	 .objects = {{"m", ALL_CALLBACKS}, {"vmlinux", ALL_CALLBACKS}, {"n", ALL_CALLBACKS}},
	 .funcs = {{1, "g"}, {0, "mf"}, {2, "nf"}, {1, "h"}},
	 .states = {{.id = 1, .is_shadow = 1}}},
	{.name = "cumulative",
	 .replace = true,
	 .objects = {{"vmlinux", ALL_CALLBACKS}, {"n", ALL_CALLBACKS}},
	 .funcs = {{0, "f"}, {1, "nf"}},
	 .states = {{.id = 2}, {.id = 3, .is_shadow = 1}}},
	{.name = "cumulative2",
	 .replace = true,
	 .objects = {{"vmlinux", ALL_CALLBACKS}},
	 .funcs = {{0, "h"}}},
	{.name = "callbacks_only", .objects = {{"vmlinux", ALL_CALLBACKS}, {"m", ALL_CALLBACKS}}},
};

static const char *const modules[] = {"m", "n"};
static const struct {
	const char *object, *name;
} functions[] = {{"vmlinux", "f"}, {"vmlinux", "g"}, {"vmlinux", "h"}, {"m", "mf"}, {"n", "nf"}};

static struct rig rig;
static u32 seed;
static u32 counts[13];
static u32 order[ARRAY_SIZE(defs)], last_order; /* when each was declared, in the model */

static u32 dice(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 10) % n;
}

static const struct def *any_def(void)
{
	return &defs[dice(ARRAY_SIZE(defs))];
}

/* ---- the model ---- */

static bool is_on(u32 i, bool *settled)
{
	struct suture_patch_state s = {0};

	if (engine_query(rig.e, defs[i].name, &s))
		return false;
	if (s.transition)
		*settled = false;
	return s.enabled;
}

static u64 expected(u32 function)
{
	u32 i, j, newest = 0;
	u64 to = 0;
	bool settled;

	for (i = 0; i < ARRAY_SIZE(defs); i++) {
		struct rig_payload *p = rig_payload(&rig, defs[i].name);

		if (!p || !is_on(i, &settled) || order[i] < newest)
			continue;
		for (j = 0; j < count_funcs(&defs[i]); j++) {
			if (strcmp(defs[i].funcs[j].name, functions[function].name))
				continue;
			to = payload_text((u32)(p - rig.payloads)) + 0x100 * (j + 1);
			newest = order[i];
		}
	}
	if (strcmp(functions[function].object, "vmlinux") &&
	    rig_module(&rig, functions[function].object)->state == ABSENT)
		return 0;
	return to;
}

static void explain(u32 function)
{
	struct patch_info info;
	u32 i;

	print_error("%s runs %#llx, the model says %#llx\n", functions[function].name,
		    (unsigned long long)runs(&rig, functions[function].object,
					     functions[function].name),
		    (unsigned long long)expected(function));
	for (i = 0; !engine_patch_info(rig.e, i, &info); i++)
		print_error("  patch %s: %s (%s)\n", info.name, patch_phase_name(info.phase),
			    info.why);
	for (i = 0; i < rig.nr_lines; i++)
		print_error("  log: %s\n", rig.log[i]);
}

static void compare_with_model(void)
{
	bool settled = true;
	u32 i, in_transition = 0;

	check_memory(&rig);
	for (i = 0; i < ARRAY_SIZE(defs); i++) {
		struct suture_patch_state s = {0};

		if (!engine_query(rig.e, defs[i].name, &s))
			in_transition += s.transition;
		is_on(i, &settled);
	}
	assert_in_range(in_transition, 0, 1);
	for (i = 0; settled && i < ARRAY_SIZE(functions); i++) {
		if (runs(&rig, functions[i].object, functions[i].name) == expected(i))
			continue;
		explain(i);
		fail();
	}
	counts[0] += settled;
}

/* ---- events ---- */

/* Between two steps of one operation: requests by others must not disturb it. */
static void intrude(struct rig *r)
{
	struct suture_step_reply reply;
	struct suture_work w = {0};
	const char *name = any_def()->name;

	switch (dice(24)) {
	case 0:
		engine_tick(r->e);
		break;
	case 1:
		engine_work(r->e, &w);
		/* a helper that cannot be started; pumps are asked for again */
		if (w.kind == SUTURE_WORK_LOAD || w.kind == SUTURE_WORK_UNLOAD)
			engine_loaded(r->e, &(struct suture_loaded){.id = w.id, .result = -EIO});
		break;
	case 2:
		give_step(r, SUTURE_PUMP_WORK, "nobody", "", 0, &reply);
		break;
	case 3:
		give_step(r, SUTURE_PUMP_MODULE, "", "nobody", 0, &reply);
		break;
	case 4:
		revert(r, name);
		break;
	case 5:
		r->now_us += dice(30) * 1000;
		break;
	}
}

static void load_payload(void)
{
	const struct def *d = any_def();
	struct rig_payload *p = rig_add(&rig, d);
	int r;

	p->pre_patch_ret = dice(8) ? 0 : -ENODEV;
	p->init_fails = !dice(12);
	r = insmod_payload(&rig, d);
	if (!r) {
		order[d - defs] = ++last_order;
		counts[1]++;
	} else {
		counts[2] += r == -ENODEV;
		counts[3] += r == -EBUSY;
	}
	p->pre_patch_ret = 0;
}

static void toggle_module(void)
{
	const char *name = modules[dice(ARRAY_SIZE(modules))];
	struct rig_payload *p = rig_payload(&rig, any_def()->name);

	if (rig_module(&rig, name)->state == LIVE) {
		rmmod(&rig, name);
		counts[4]++;
		return;
	}
	if (p)
		p->pre_patch_ret = dice(4) ? 0 : -EIO;
	if (insmod(&rig, name))
		counts[5]++;
	else
		counts[6]++;
	if (p)
		p->pre_patch_ret = 0;
}

/* The kernel starts anew: nothing of the old one is left, not even its agent. */
static void reboot(void)
{
	u32 i;

	for (i = 0; i < RIG_REDIRECTS; i++) {
		if (!rig.redirects[i].to)
			continue;
		rig.redirects[i].to = 0;
		engine_dropped(rig.e, rig.redirects[i].key);
	}
	for (i = 0; i < RIG_MODULES; i++) {
		const struct def *d = rig.payloads[i].def;

		rig.modules[i].state = ABSENT;
		rig.payloads[i] = (struct rig_payload){.def = d};
	}
	memset(rig.state_pre, 0, sizeof(rig.state_pre));
	memset(rig.state_post, 0, sizeof(rig.state_post));
	engine_agent_hello(rig.e);
	for (i = 0; i < ARRAY_SIZE(defs); i++) {
		revert(&rig, defs[i].name);
		settle(&rig, 3);
	}
	counts[7]++;
}

static bool is_owned(u64 id)
{
	struct patch_state_info st;
	struct patch_info info;

	for (u32 i = 0; !engine_patch_info(rig.e, i, &info); i++)
		for (u32 j = 0; !engine_patch_state(rig.e, i, j, &st); j++)
			if (st.id == id)
				return st.owner[0];
	return false;
}

/* The guest hangs, and the patch goes off without it: the callbacks that were left out never come.
 */
static void hang(void)
{
	const char *name = any_def()->name;
	struct rig_payload *p = rig_payload(&rig, name);
	char why[192];

	rig.hook = NULL;
	rig.busy = NULL;
	rig.short_pause = false;
	rig.stopped = true;
	rig.now_us += 12000000;
	if (!engine_revert_below(rig.e, name, false, why, sizeof(why))) {
		settle(&rig, 100);
		if (info(&rig, name).phase != PHASE_REVERTED)
			assert_phase(&rig, name, PHASE_DISABLED);
		memset(p->pre, 0, sizeof(p->pre));
		memset(p->post, 0, sizeof(p->post));
		for (u32 id = 0; id < RIG_IDS; id++)
			rig.state_pre[id] = rig.state_post[id] = is_owned(id);
		counts[12]++;
	}
	rig.stopped = false;
}

static void event(void)
{
	switch (dice(16)) {
	case 0:
	case 1:
	case 2:
		load_payload();
		break;
	case 3:
	case 4:
		if (!disable(&rig, any_def()->name))
			counts[8]++;
		break;
	case 5:
		if (!echo(&rig, any_def()->name, SUTURE_SET_ENABLED, 1))
			counts[9]++;
		break;
	case 6:
	case 7:
		toggle_module();
		break;
	case 8:
		if (!revert(&rig, any_def()->name))
			counts[10]++;
		break;
	case 9:
		rmmod_payload(&rig, any_def()->name);
		break;
	case 10:
		rig.busy_idle = dice(2);
		rig.busy = dice(2) ? functions[dice(ARRAY_SIZE(functions))].name : NULL;
		break;
	case 11:
		rig.short_pause = !dice(3) && !rig.short_pause;
		break;
	case 12:
		if (!upload(&rig, any_def()))
			counts[11]++;
		break;
	case 13:
		if (!dice(40))
			reboot();
		else if (!dice(8))
			hang();
		break;
	default:
		settle(&rig, dice(40));
		break;
	}
}

/* A load that the poll worker did: the model hears of it by the payload's state. */
static void follow_loads(void)
{
	static bool was_known[ARRAY_SIZE(defs)];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(defs); i++) {
		struct rig_payload *p = rig_payload(&rig, defs[i].name);
		bool known = p && p->known;

		if (known && !was_known[i])
			order[i] = ++last_order;
		was_known[i] = known;
	}
}

static void take_everything_off(void)
{
	u32 i, round;

	rig.hook = NULL;
	rig.busy = NULL;
	rig.short_pause = false;
	settle(&rig, 500);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(defs); i++) {
			revert(&rig, defs[i].name);
			settle(&rig, 100);
		}
	}
	compare_with_model();
	if (count_redirects(&rig))
		explain(0);
	assert_int_equal(count_redirects(&rig), 0);
	for (i = 0; i < RIG_MODULES; i++) {
		u32 j;

		for (j = 0; j < RIG_MODULES; j++) {
			assert_false(rig.payloads[i].pre[j]);
			assert_false(rig.payloads[i].post[j]);
		}
		assert_int_equal(rig.payloads[i].state, ABSENT);
	}
	for (i = 0; i < RIG_IDS; i++) {
		assert_false(rig.state_pre[i]);
		assert_false(rig.state_post[i]);
	}
	assert_int_equal(engine_agent_bye(rig.e), 0);
	engine_agent_hello(rig.e);
}

static void test_walk(void **state)
{
	u32 steps = rig_setting("SUTURE_WALK_STEPS", STEPS), i;

	(void)state;
	seed = rig_setting("SUTURE_WALK_SEED", SEED);
	rig_start(&rig);
	for (i = 0; i < steps; i++) {
		rig.hook = intrude;
		event();
		follow_loads();
		compare_with_model();
		if (rig.nr_lines > RIG_LINES / 2)
			rig_clear(&rig);
		if (i % 500 == 499)
			take_everything_off();
	}
	take_everything_off();
	rig_stop(&rig);
	/* the walk went everywhere */
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		print_message("%u ", counts[i]);
		assert_true(counts[i] > 10);
	}
	print_message("\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_walk)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
