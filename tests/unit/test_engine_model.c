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

/* ---- the engine's memory, in one piece: it can be put back as it was ---- */

#define CHUNK  128u
#define CHUNKS 2048u
#define FREED  0x6b

static struct {
	u32 top;	  /* nothing is used from here on */
	u16 used[CHUNKS]; /* at the first of an allocation: its number of chunks */
	u8 bytes[CHUNKS * CHUNK] __attribute__((aligned(16)));
} arena;

static u32 chunks(size_t size)
{
	return (u32)((size + CHUNK - 1) / CHUNK);
}

static void *arena_alloc(struct rig *rig, size_t size)
{
	u32 at = 0, i = 0, n = chunks(size);

	(void)rig;
	while (i < at + n) {
		assert_true(at + n <= CHUNKS);
		if (arena.used[i])
			at = i = i + arena.used[i];
		else
			i++;
	}
	arena.used[at] = (u16)n;
	if (arena.top < at + n)
		arena.top = at + n;
	memset(arena.bytes + (size_t)at * CHUNK, 0, (size_t)n * CHUNK);
	return arena.bytes + (size_t)at * CHUNK;
}

/* What is freed is overwritten: whoever uses it all the same is not what the model says. */
static void arena_free(struct rig *rig, void *p, size_t size)
{
	u32 at = (u32)((u8 *)p - arena.bytes) / CHUNK;

	(void)rig;
	assert_int_equal(arena.used[at], chunks(size));
	memset(p, FREED, (size_t)arena.used[at] * CHUNK);
	arena.used[at] = 0;
}

struct snapshot {
	struct rig rig;
	u32 top;
	u16 used[CHUNKS];
	u8 bytes[CHUNKS * CHUNK];
};

#define DEPTH_MAX 8

static struct rig rig;
static struct snapshot snapshots[DEPTH_MAX + 1];
static struct event path[64]; /* what led here; of a walk, the last ones */
static u32 path_len;
static u64 sequences, steps, unchanged, refusals;
static u64 events[NR_EVENTS];

static void keep(struct snapshot *s)
{
	memcpy(&s->rig, &rig, sizeof(rig));
	s->top = arena.top;
	memcpy(s->used, arena.used, arena.top * sizeof(arena.used[0]));
	memcpy(s->bytes, arena.bytes, (size_t)arena.top * CHUNK);
}

static void put_back(const struct snapshot *s)
{
	memcpy(&rig, &s->rig, sizeof(rig));
	memset(arena.used, 0, arena.top * sizeof(arena.used[0]));
	memcpy(arena.used, s->used, s->top * sizeof(arena.used[0]));
	memcpy(arena.bytes, s->bytes, (size_t)s->top * CHUNK);
	arena.top = s->top;
}

static bool is_unchanged(const struct snapshot *s)
{
	return !memcmp(arena.bytes, s->bytes, (size_t)s->top * CHUNK) &&
	       !memcmp(arena.used, s->used, s->top * sizeof(arena.used[0]));
}

/* ---- the same event, for real ---- */

static void switch_now(void)
{
	u32 i;

	for (i = 0; i < 8; i++) {
		engine_tick(rig.e);
		while (poll_once(&rig))
			;
	}
}

static void agent_vanishes(void)
{
	engine_agent_hello(rig.e);
}

static s32 happen(const struct event *e)
{
	const char *name = e->patch == NOBODY ? "" : model_defs[e->patch].name;
	struct rig_payload *p = e->patch == NOBODY ? NULL : &rig.payloads[e->patch];
	s32 r = 0;

	rig.nr_trace = 0;
	rig.refusal = (struct rig_refusal){0};
	if (e->refuses != NOBODY)
		rig.refusal = (struct rig_refusal){.payload = model_defs[e->refuses].name,
						   .is_state = e->is_state,
						   .index = e->index};
	switch (e->what) {
	case LOAD:
	case LOAD_INIT_FAILS:
		p->init_fails = e->what == LOAD_INIT_FAILS;
		return insmod_payload(&rig, p->def);
	case DISABLE:
	case ENABLE:
		return echo(&rig, name, SUTURE_SET_ENABLED, e->what == ENABLE);
	case FORCE:
		return echo(&rig, name, SUTURE_SET_FORCE, 1);
	case ROLLBACK:
		r = rollback(&rig, name);
		poll_once(&rig);
		return r;
	case REVERT_ORPHAN:
		r = revert(&rig, name);
		if (!r)
			switch_now();
		return r;
	case RMMOD:
		return rmmod_payload(&rig, name);
	case MODULE_COMES:
		return insmod(&rig, "m");
	case MODULE_GOES:
		rmmod(&rig, "m");
		return 0;
	case SWITCH:
		switch_now();
		return 0;
	case VANISH:
		agent_vanishes();
		return 0;
	default:
		return -EINVAL;
	}
}

/* ---- are they the same? ---- */

static void print_event(const struct event *e)
{
	static const char *const names[] = {
		[LOAD] = "insmod",	    [LOAD_INIT_FAILS] = "insmod (init fails)",
		[DISABLE] = "disable",	    [ENABLE] = "enable",
		[FORCE] = "force",	    [ROLLBACK] = "rollback",
		[REVERT_ORPHAN] = "revert", [RMMOD] = "rmmod",
		[MODULE_COMES] = "m comes", [MODULE_GOES] = "m goes",
		[SWITCH] = "switch",	    [VANISH] = "agent vanishes"};

	print_error("  %s %s", names[e->what], e->patch == NOBODY ? "" : model_defs[e->patch].name);
	if (e->refuses != NOBODY)
		print_error(", %s's pre_patch of %s %u refuses", model_defs[e->refuses].name,
			    e->is_state ? "state" : "object", e->index);
	print_error("\n");
}

static void print_trace(const char *whose, const u32 *trace, u32 n)
{
	static const char *const names[] = {"pre_patch", "post_patch", "pre_unpatch",
					    "post_unpatch", "shadow_dtor"};

	print_error("callbacks of the %s:\n", whose);
	for (u32 i = 0; i < n; i++) {
		const struct def *d = &model_defs[trace[i] >> 16];
		u32 index = trace[i] >> 4 & 0xff;

		if (trace[i] >> 12 & 1)
			print_error("  %s %s of state %u\n", d->name, names[trace[i] & 0xf],
				    (u32)d->states[index].id);
		else
			print_error("  %s %s of %s\n", d->name, names[trace[i] & 0xf],
				    d->objects[index].name);
	}
}

#define check(good, ...)                                                                           \
	do {                                                                                       \
		if (!(good)) {                                                                     \
			print_error(__VA_ARGS__);                                                  \
			print_trace("last event", rig.trace, rig.nr_trace);                        \
			fail();                                                                    \
		}                                                                                  \
	} while (0)

static void compare_functions(const struct model *m)
{
	static const struct {
		const char *object, *name;
	} functions[] = {{"vmlinux", "f"}, {"vmlinux", "g"}, {"m", "mf"}};

	for (u32 i = 0; i < ARRAY_SIZE(functions); i++) {
		u32 func = 0;
		int p = model_runs(m, functions[i].object, functions[i].name, &func);
		u64 want = p == NOBODY ? 0 : payload_text((u32)p) + 0x100 * (func + 1);
		u64 have = runs(&rig, functions[i].object, functions[i].name);

		check(have == want, "%s runs %#llx, the model says %s\n", functions[i].name,
		      (unsigned long long)have, p == NOBODY ? "original" : model_defs[p].name);
	}
}

static void compare_patches(const struct model *m)
{
	u32 moving = 0;

	for (int p = 0; p < MODEL_PATCHES; p++) {
		struct suture_patch_state s = {0};
		const struct model_patch *x = &m->patch[p];

		engine_query(rig.e, model_defs[p].name, &s);
		check(s.enabled == x->enabled, "%s: enabled is %u\n", model_defs[p].name,
		      s.enabled);
		check(!s.transition == (m->moving != p), "%s: transition is %u\n",
		      model_defs[p].name, s.transition);
		check((rig.payloads[p].state == LIVE) == x->loaded, "%s: its module is %u\n",
		      model_defs[p].name, rig.payloads[p].state);
		check(rig.payloads[p].known == x->held, "%s: held is %u\n", model_defs[p].name,
		      rig.payloads[p].known);
		moving += s.transition;
	}
	assert_true(moving <= 1);
}

/* Without its agent nobody saw what became of a state: it is what the model says from here on. */
static void believe_states(const struct model *m)
{
	for (u32 id = 0; id < MODEL_STATES; id++) {
		int p = m->state[id].owner;

		rig.state_pre[id] = p != NOBODY;
		rig.state_post[id] = p != NOBODY && m->state[id].post;
		rig.shadows[id] = 0;
	}
}

/* The code of a patch that is on attaches shadow variables, whoever has introduced its states. */
static void attach_shadows(const struct model *m)
{
	for (u32 n = 0; n < m->on.n; n++) {
		const struct def *d = &model_defs[m->on.p[n]];

		for (u32 i = 0; i < count_states(d); i++)
			if (d->states[i].is_shadow)
				rig.shadows[d->states[i].id] = 1;
	}
}

static bool has_orphan(const struct model *m)
{
	for (int p = 0; p < MODEL_PATCHES; p++)
		if (m->patch[p].orphan)
			return true;
	return false;
}

static void compare_states(const struct model *m)
{
	for (u32 id = 0; id < MODEL_STATES; id++) {
		int p = m->state[id].owner;

		check(rig.state_pre[id] == (p != NOBODY), "state %u: %s\n", id,
		      rig.state_pre[id] ? "was not removed" : "is not there");
		check(rig.state_post[id] == (p != NOBODY && m->state[id].post),
		      "state %u: post_patch\n", id);
		check(p != NOBODY || !rig.shadows[id], "state %u left a shadow variable\n", id);
	}
}

static void compare(const struct model *m, const struct outcome *want, s32 have,
		    const struct snapshot *before)
{
	check(have == want->result, "result %d, the model says %d\n", have, want->result);
	if (rig.nr_trace != want->nr_trace ||
	    memcmp(rig.trace, want->trace, want->nr_trace * sizeof(rig.trace[0])) != 0) {
		print_trace("engine", rig.trace, rig.nr_trace);
		print_trace("model", want->trace, want->nr_trace);
		fail();
	}
	compare_functions(m);
	compare_patches(m);
	if (path[path_len - 1].what == VANISH || has_orphan(m))
		believe_states(m);
	else
		compare_states(m);
	attach_shadows(m);
	check(!want->same || !before || is_unchanged(before),
	      "it is refused, but something has changed\n");
}

/* One event on both sides. False: it makes no sense now. */
static bool step(struct model *m, const struct event *e, const struct snapshot *before,
		 bool *changed)
{
	static struct outcome want;
	s32 have;

	if (!model_apply(m, e, &want))
		return false;
	have = happen(e);
	compare(m, &want, have, before);
	steps++;
	events[e->what]++;
	unchanged += want.same;
	refusals += want.refused;
	*changed = !want.same;
	return true;
}

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

static u32 setting(const char *name, u32 normal)
{
	const char *value = getenv(name);

	return value ? (u32)strtoul(value, NULL, 0) : normal;
}

/* ---- the beginning, and the end: nothing is left ---- */

static struct engine_config config = {
	.guest_patches = true, .retry_us = 1000, .budget_us = 1000, .budget_max_us = 1000};

static int begin(void **state)
{
	(void)state;
	arena.top = CHUNKS;
	memset(arena.used, 0, sizeof(arena.used));
	memset(arena.bytes, FREED, sizeof(arena.bytes));
	arena.top = 0;
	rig = (struct rig){.now_us = 1000000,
			   .build_id = {0xab, 0xcd, 1, 2, 3},
			   .alloc = arena_alloc,
			   .free = arena_free,
			   .quiet = true,
			   .tracing = true};
	rig_engine(&rig, &config);
	for (int p = 0; p < MODEL_PATCHES; p++)
		rig_add(&rig, &model_defs[p]);
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
		print_event(&path[i]);
	return 0;
}

static void must(struct model *m, enum what what, int patch)
{
	struct event e = {what, patch, NOBODY, false, 0};
	bool changed;

	path[path_len++] = e;
	check(step(m, &e, NULL, &changed) && changed, "it must be possible now\n");
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
	assert_int_equal(count_redirects(&rig), 0);
	for (u32 id = 0; id < RIG_IDS; id++) {
		assert_false(rig.state_pre[id] || rig.state_post[id]);
		assert_int_equal(rig.shadows[id], 0);
	}
	for (int p = 0; p < MODEL_PATCHES; p++)
		if (m->patch[p].loaded && !m->patch[p].held)
			must(m, RMMOD, p);
}

/* ---- every sequence ---- */

static void reboot(struct model *m)
{
	engine_destroy(rig.e);
	assert_int_equal(rig.allocated, 0);
	begin(NULL);
	model_start(m);
}

static void explore(const struct model *before, u32 depth)
{
	struct snapshot *s = &snapshots[depth];

	keep(s);
	for (u32 i = 0; i < nr_all; i++) {
		struct model m = *before;
		bool changed;

		path[path_len++] = all[i];
		if (!step(&m, &all[i], s, &changed)) {
			path_len--;
			continue;
		}
		/* what has changed nothing leads nowhere that is not reached without it */
		if (changed && depth > 1) {
			explore(&m, depth - 1);
		} else {
			sequences++;
			if (!(sequences % 16) && !has_orphan(&m))
				take_everything_off(&m);
		}
		path_len--;
		put_back(s);
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
		check(step(m, &path[path_len++], NULL, &changed) && changed, "no way there\n");
	}
}

static void explore_from(const char *what, const struct model *m, u32 depth)
{
	u64 sequences_before = sequences, steps_before = steps;

	explore(m, depth);
	print_message("depth %u from \"%s\": %llu sequences, %llu steps\n", depth, what,
		      (unsigned long long)(sequences - sequences_before),
		      (unsigned long long)(steps - steps_before));
}

static void test_every_sequence(void **state)
{
	u32 depth = setting("SUTURE_MODEL_DEPTH", DEPTH);
	struct model m;

	(void)state;
	assert_in_range(depth, 2, DEPTH_MAX);
	for (u32 i = 0; i < ARRAY_SIZE(starts); i++) {
		go_to(starts[i].way, &m);
		explore_from(starts[i].what, &m, depth);
		reboot(&m);
	}
	print_message("%llu sequences, %llu steps; %llu requests refused, %llu callbacks refused\n",
		      (unsigned long long)sequences, (unsigned long long)steps,
		      (unsigned long long)unchanged, (unsigned long long)refusals);
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
	} while (!step(m, e, NULL, &changed));
}

static void test_random_walk(void **state)
{
	u32 n = setting("SUTURE_MODEL_STEPS", STEPS), i;
	struct model m;

	(void)state;
	seed = setting("SUTURE_MODEL_SEED", SEED);
	steps = unchanged = refusals = 0;
	memset(events, 0, sizeof(events));
	model_start(&m);
	for (i = 0; i < n; i++) {
		random_event(&m);
		if (has_orphan(&m) && !dice(20))
			reboot(&m);
		else if (!has_orphan(&m) && !dice(200))
			take_everything_off(&m);
		/* forced patches stay for ever: begin anew before nothing else is left */
		if (!dice(500))
			reboot(&m);
	}
	print_message("walk: %llu steps; %llu requests refused, %llu callbacks refused; of each "
		      "kind of event:",
		      (unsigned long long)steps, (unsigned long long)unchanged,
		      (unsigned long long)refusals);
	for (i = 0; i < NR_EVENTS; i++) {
		print_message(" %llu", (unsigned long long)events[i]);
		assert_true(events[i] > n / 5000);
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
