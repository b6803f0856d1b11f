/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine against a model (engine_model.c): every sequence of events up to a depth, and a random
 * walk. After each event the result, the callbacks and their order, what each function runs, what
 * sysfs shows, states and shadow variables are what the model says; what is refused has not changed
 * a byte of the engine. The rig asserts the rest at each step: callbacks in pairs, no redirect in
 * or into memory that is not there.
 *
 * More of it: SUTURE_MODEL_DEPTH, SUTURE_MODEL_STEPS and SUTURE_MODEL_SEED in the environment.
 */
#include "engine_model.h"

#define DEPTH 3
#define STEPS 30000
#define SEED  20261121

#define DEPTH_MAX 8

static struct snapshot snapshots[DEPTH_MAX + 1];
static struct event path[64]; /* what led here; of a walk, the last ones */
static u32 path_len;
static u64 sequences;

/* ---- all events that there are ---- */

static struct event all[128];
static u32 nr_all;

static void add(enum what what, int patch, int refuses, bool is_state, u32 index)
{
	assert_true(nr_all < ARRAY_SIZE(all));
	all[nr_all++] = (struct event){what, patch, refuses, is_state, index};
}

/* The event with each pre_patch of the patch refusing. */
static void add_refusing(enum what what, int patch, int refuses)
{
	for (u32 i = 0; i < count_states(&model_defs[refuses]); i++)
		add(what, patch, refuses, true, i);
	for (u32 i = 0; i < count_objects(&model_defs[refuses]); i++)
		if (what != MODULE_COMES || !strcmp(model_defs[refuses].objects[i].name, "m"))
			add(what, patch, refuses, false, i);
}

static void list_events(void)
{
	int p, q;

	nr_all = 0;
	add(SWITCH, NOBODY, NOBODY, false, 0);
	add(MODULE_COMES, NOBODY, NOBODY, false, 0);
	add(MODULE_GOES, NOBODY, NOBODY, false, 0);
	add(VANISH, NOBODY, NOBODY, false, 0);
	for (p = 0; p < MODEL_PATCHES; p++) {
		for (enum what w = LOAD; w <= RMMOD; w++)
			add(w, p, NOBODY, false, 0);
		add_refusing(LOAD, p, p);
		for (u32 i = 0; i < count_objects(&model_defs[p]); i++)
			if (!strcmp(model_defs[p].objects[i].name, "m"))
				add(MODULE_COMES, NOBODY, p, false, i);
		for (q = 0; model_defs[p].replace && q < MODEL_PATCHES; q++)
			if (q != p)
				add_refusing(ROLLBACK, p, q);
	}
}

/* ---- the beginning, and the end: nothing is left ---- */

static struct engine_config config = {.guest_patches = true,
				      .guest_may_disable = true,
				      .retry_us = 1000,
				      .budget_us = 1000,
				      .budget_max_us = 1000,
				      .machine = SUTURE_MACHINE_X86_64};

static int begin(void **state)
{
	(void)state;
	model_rig = (struct rig){.now_us = 1000000,
				 .build_id = {0xab, 0xcd, 1, 2, 3},
				 .quiet = true,
				 .tracing = true};
	rig_in_arena(&model_rig);
	rig_engine(&model_rig, &config);
	for (int p = 0; p < MODEL_PATCHES; p++)
		rig_add(&model_rig, &model_defs[p]);
	list_events();
	path_len = 0;
	return 0;
}

static int finish(void **state)
{
	(void)state;
	if (path_len)
		print_error("the events were:\n");
	for (u32 i = 0; i < path_len; i++)
		model_print_event(&path[i]);
	return 0;
}

static void must(struct model *m, enum what what, int patch)
{
	struct event e = {what, patch, NOBODY, false, 0};
	bool changed;

	path[path_len++] = e;
	check(model_step(m, &e, NULL, &changed) && changed, "it must be possible now\n");
	path_len--;
}

/* Whatever has happened: all of it can be taken off, and leaves nothing. */
static void take_everything_off(struct model *m)
{
	struct event off = {DISABLE, NOBODY, NOBODY, false, 0};

	if (m->moving != NOBODY)
		must(m, SWITCH, NOBODY);
	while (m->on.n) {
		struct model trial = *m;
		struct outcome o;

		off.patch = m->on.p[m->on.n - 1];
		model_apply(&trial, &off, &o);
		if (!o.result) {
			must(m, DISABLE, off.patch);
			must(m, SWITCH, NOBODY);
			continue;
		}
		/* a state of q's must not go: t has it, and may lose it */
		if (m->patch[3].loaded && m->patch[3].held)
			return; /* t was forced off: q stays for ever */
		if (m->patch[3].loaded)
			must(m, RMMOD, 3);
		must(m, LOAD, 3);
		must(m, SWITCH, NOBODY);
	}
	assert_int_equal(count_redirects(&model_rig), 0);
	for (u32 id = 0; id < RIG_IDS; id++) {
		assert_false(model_rig.state_pre[id] || model_rig.state_post[id]);
		assert_int_equal(model_rig.shadows[id], 0);
	}
	for (int p = 0; p < MODEL_PATCHES; p++)
		if (m->patch[p].loaded && !m->patch[p].held)
			must(m, RMMOD, p);
}

/* ---- every sequence ---- */

static void reboot(struct model *m)
{
	engine_destroy(model_rig.e);
	assert_int_equal(model_rig.allocated, 0);
	begin(NULL);
	model_start(m);
}

static void explore(const struct model *before, u32 depth)
{
	struct snapshot *s = &snapshots[depth];

	rig_keep(s, &model_rig);
	for (u32 i = 0; i < nr_all; i++) {
		struct model m = *before;
		bool changed;

		path[path_len++] = all[i];
		if (!model_step(&m, &all[i], s, &changed)) {
			path_len--;
			continue;
		}
		/* what has changed nothing leads nowhere that is not reached without it */
		if (changed && depth > 1) {
			explore(&m, depth - 1);
		} else {
			sequences++;
			if (!(sequences % 16) && !model_has_orphan(&m))
				take_everything_off(&m);
		}
		path_len--;
		rig_put_back(s, &model_rig);
	}
}

/*
 * Where it becomes interesting, and how to come there: a patch's letter loads it, its capital rolls
 * it back; '.' switches, '!' forces what is under way, 'm' loads the module.
 */
static const struct {
	const char *what, *way;
} starts[] = {
	{"nothing", ""},
	{"p on", "p."},
	{"p and q on, m loaded", "mp.q."},
	{"r has replaced p, m loaded", "mp.r."},
	{"t has replaced p and q", "p.q.t."},
	{"t has replaced r, which had replaced p", "p.r.t."},
	{"t replaces p and q", "p.q.t"},
	{"r is rolled back to p, m loaded", "mp.r.R"},
	{"t is rolled back to p and q", "p.q.t.T"},
	{"r replaces p by force", "p.r!"},
};

static struct event event_of(char c, int moving)
{
	for (int p = 0; p < MODEL_PATCHES; p++) {
		if (c == model_defs[p].name[0])
			return (struct event){LOAD, p, NOBODY, false, 0};
		if (c == model_defs[p].name[0] - 'a' + 'A')
			return (struct event){ROLLBACK, p, NOBODY, false, 0};
	}
	if (c == '!')
		return (struct event){FORCE, moving, NOBODY, false, 0};
	return (struct event){c == 'm' ? MODULE_COMES : SWITCH, NOBODY, NOBODY, false, 0};
}

static void go_to(const char *way, struct model *m)
{
	bool changed;

	begin(NULL);
	model_start(m);
	for (; *way; way++) {
		path[path_len] = event_of(*way, m->moving);
		check(model_step(m, &path[path_len++], NULL, &changed) && changed,
		      "no way there\n");
	}
}

static void explore_from(const char *what, const struct model *m, u32 depth)
{
	u64 sequences_before = sequences, steps_before = counts.steps;

	explore(m, depth);
	print_message("depth %u from \"%s\": %llu sequences, %llu steps\n", depth, what,
		      (unsigned long long)(sequences - sequences_before),
		      (unsigned long long)(counts.steps - steps_before));
}

static void test_every_sequence(void **state)
{
	u32 depth = rig_setting("SUTURE_MODEL_DEPTH", DEPTH);
	struct model m;

	(void)state;
	assert_in_range(depth, 2, DEPTH_MAX);
	for (u32 i = 0; i < ARRAY_SIZE(starts); i++) {
		go_to(starts[i].way, &m);
		explore_from(starts[i].what, &m, depth);
		reboot(&m);
	}
	print_message("%llu sequences, %llu steps; %llu requests refused, %llu callbacks refused\n",
		      (unsigned long long)sequences, (unsigned long long)counts.steps,
		      (unsigned long long)counts.unchanged, (unsigned long long)counts.refusals);
	path_len = 0;
}

/* ---- a random walk ---- */

static u32 seed;

static u32 dice(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 10) % n;
}

static void random_event(struct model *m)
{
	struct model before = *m;
	const struct event *e;
	bool changed;

	if (path_len == 32)
		memmove(path, path + 1, --path_len * sizeof(path[0]));
	path_len++;
	do {
		*m = before;
		e = m->moving != NOBODY && !dice(6) ? &all[0] : &all[dice(nr_all)];
		if (e->what == VANISH && dice(50))
			e = &all[1]; /* rarely */
		path[path_len - 1] = *e;
	} while (!model_step(m, e, NULL, &changed));
}

static void test_random_walk(void **state)
{
	u32 n = rig_setting("SUTURE_MODEL_STEPS", STEPS), i;
	struct model m;

	(void)state;
	seed = rig_setting("SUTURE_MODEL_SEED", SEED);
	counts = (struct model_counts){0};
	model_start(&m);
	for (i = 0; i < n; i++) {
		random_event(&m);
		if (model_has_orphan(&m) && !dice(20))
			reboot(&m);
		else if (!model_has_orphan(&m) && !dice(200))
			take_everything_off(&m);
		/* forced patches stay for ever: begin anew before nothing else is left */
		if (!dice(500))
			reboot(&m);
	}
	print_message("walk: %llu steps; %llu requests refused, %llu callbacks refused; of each "
		      "kind of event:",
		      (unsigned long long)counts.steps, (unsigned long long)counts.unchanged,
		      (unsigned long long)counts.refusals);
	for (i = 0; i < NR_EVENTS; i++) {
		print_message(" %llu", (unsigned long long)counts.events[i]);
		assert_true(counts.events[i] > n / 5000);
	}
	print_message("\n");
	path_len = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_sequence, begin, finish),
		cmocka_unit_test_setup_teardown(test_random_walk, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
