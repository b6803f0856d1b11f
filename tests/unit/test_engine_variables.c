/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's reports for people: counts of shadow variables, symbols of addresses. */
#include "engine_rig.h"
#include "patch/engine/types.h"

static const struct def a7 = {.name = "a",
			      .objects = {{"vmlinux", 0}, {"ext4", 0}},
			      .funcs = {{0, "f"}},
			      .states = {{.id = 7, .version = 3, .is_shadow = 1},
					 {.id = 9, .version = 1, .block_disable = 1}}};
static const struct def b7 = {.name = "b",
			      .objects = {{"vmlinux", 0}},
			      .funcs = {{0, "f"}},
			      .states = {{.id = 7, .version = 3, .is_shadow = 1}}};

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_start(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

/* ---- shadow variables ---- */

static struct {
	struct suture_shadow m;
	struct suture_shadow_id ids[SUTURE_MAX_SHADOW_IDS + 1];
} report;

static int tell(u32 count)
{
	report.m.nr_ids = count;
	report.m.msg.size = (su32)(sizeof(report.m) + count * sizeof(report.ids[0]));
	return engine_shadow(rig.e, &report.m);
}

static struct shadow_total total(void)
{
	struct shadow_total t;

	engine_shadow_total(rig.e, &t);
	return t;
}

static struct shadow_id nth(u32 i)
{
	struct shadow_id s;

	assert_int_equal(engine_shadow_id(rig.e, i, &s), 0);
	return s;
}

static void test_counts(void **state)
{
	struct shadow_id s;

	(void)state;
	assert_false(total().known);
	assert_int_equal(engine_shadow_id(rig.e, 0, &s), -ENOENT);
	memset(&report, 0, sizeof(report));
	assert_int_equal(tell(0), 0);
	assert_true(total().known);
	assert_int_equal(total().count, 0);

	report.ids[0] = (struct suture_shadow_id){7, 3, 48};
	report.ids[1] = (struct suture_shadow_id){~0ull, 1, 0};
	report.m.more_count = 5;
	report.m.more_bytes = 500;
	rig.now_us = 4000000;
	assert_int_equal(tell(2), 0);
	assert_int_equal(total().count, 9);
	assert_int_equal(total().bytes, 548);
	assert_int_equal(total().more_count, 5);
	assert_int_equal(total().when_us, 4000000);
	assert_int_equal(nth(0).bytes, 48);
	assert_int_equal(nth(1).id, ~0ull);
	assert_int_equal(engine_shadow_id(rig.e, 2, &s), -ENOENT);
}

/* A report that cannot be is refused, and the last one stays. */
static void test_malformed(void **state)
{
	(void)state;
	memset(&report, 0, sizeof(report));
	for (u32 i = 0; i <= SUTURE_MAX_SHADOW_IDS; i++)
		report.ids[i] = (struct suture_shadow_id){i + 1, 1, 1};
	assert_int_equal(tell(SUTURE_MAX_SHADOW_IDS), 0);
	assert_int_equal(tell(SUTURE_MAX_SHADOW_IDS + 1), -EMSGSIZE);
	report.m.nr_ids = 0xffffffff;
	assert_int_equal(engine_shadow(rig.e, &report.m), -EMSGSIZE);
	report.m.nr_ids = 2;
	assert_int_equal(engine_shadow(rig.e, &report.m), -EMSGSIZE);
	report.ids[1].id = 1;
	assert_int_equal(tell(2), -EINVAL);
	report.ids[1] = (struct suture_shadow_id){2, 0, 0};
	assert_int_equal(tell(2), -EINVAL);
	report.ids[1] = (struct suture_shadow_id){2, INT64_MAX, 1};
	assert_int_equal(tell(2), -EINVAL);
	report.ids[1] = (struct suture_shadow_id){2, 1, ~0ull};
	assert_int_equal(tell(2), -EINVAL);
	report.m.more_count = ~0ull;
	assert_int_equal(tell(0), -EINVAL);
	assert_int_equal(total().nr_ids, SUTURE_MAX_SHADOW_IDS);
	assert_int_equal(total().count, SUTURE_MAX_SHADOW_IDS);
}

/* Whose state an id is follows the state, from patch to patch. */
static void test_owner(void **state)
{
	struct patch_state_info st;
	struct patch_object_info o;

	(void)state;
	memset(&report, 0, sizeof(report));
	report.ids[0] = (struct suture_shadow_id){7, 2, 16};
	report.ids[1] = (struct suture_shadow_id){8, 1, 8};
	report.ids[2] = (struct suture_shadow_id){9, 1, 8};
	assert_int_equal(tell(3), 0);
	assert_string_equal(nth(0).patch, "");

	assert_int_equal(insmod_payload(&rig, &a7), 0);
	settle(&rig, 50);
	assert_int_equal(insmod_payload(&rig, &b7), 0);
	settle(&rig, 50);
	assert_string_equal(nth(0).patch, "a");
	assert_true(nth(0).is_shadow);
	assert_string_equal(nth(1).patch, "");
	assert_string_equal(nth(2).patch, "a");
	assert_false(nth(2).is_shadow);

	/* and so do the patches' own tables */
	assert_int_equal(info(&rig, "a").stack_order, 1);
	assert_int_equal(info(&rig, "b").stack_order, 2);
	assert_int_equal(engine_patch_state(rig.e, 1, 0, &st), 0);
	assert_string_equal(st.owner, "a");
	assert_int_equal(engine_patch_state(rig.e, 0, 1, &st), 0);
	assert_int_equal(st.id, 9);
	assert_int_equal(st.version, 1);
	assert_true(st.block_disable);
	assert_int_equal(engine_patch_state(rig.e, 0, 2, &st), -ENOENT);
	assert_int_equal(engine_patch_object(rig.e, 0, 0, &o), 0);
	assert_true(o.loaded && o.patched);
	assert_int_equal(engine_patch_object(rig.e, 0, 1, &o), 0);
	assert_string_equal(o.name, "ext4");
	assert_true(!o.loaded && !o.patched);
	assert_int_equal(engine_patch_object(rig.e, 0, 2, &o), -ENOENT);

	assert_int_equal(disable(&rig, "b"), 0);
	settle(&rig, 50);
	assert_string_equal(nth(0).patch, "a");
	assert_int_equal(info(&rig, "b").stack_order, 0);
	assert_int_equal(engine_patch_object(rig.e, 1, 0, &o), 0);
	assert_false(o.patched);
}

static void test_inherited(void **state)
{
	static const struct def c7 = {.name = "c",
				      .objects = {{"vmlinux", 0}},
				      .funcs = {{0, "f"}},
				      .states = {{.id = 7, .is_shadow = 1}}};
	static const struct def d7 = {.name = "d",
				      .replace = true,
				      .objects = {{"vmlinux", 0}},
				      .funcs = {{0, "f"}},
				      .states = {{.id = 7, .is_shadow = 1}}};

	(void)state;
	memset(&report, 0, sizeof(report));
	report.ids[0] = (struct suture_shadow_id){7, 2, 16};
	assert_int_equal(tell(1), 0);
	assert_int_equal(insmod_payload(&rig, &c7), 0);
	settle(&rig, 50);
	assert_int_equal(insmod_payload(&rig, &d7), 0);
	settle(&rig, 50);
	assert_string_equal(nth(0).patch, "d");
	/* one that leaks stays, without an owner */
	assert_int_equal(disable(&rig, "d"), 0);
	settle(&rig, 50);
	assert_int_equal(nth(0).count, 2);
	assert_string_equal(nth(0).patch, "");
	assert_false(nth(0).is_shadow);
}

/* With the agent or the kernel goes what it has counted. */
static void test_forgotten(void **state)
{
	(void)state;
	memset(&report, 0, sizeof(report));
	assert_int_equal(tell(0), 0);
	engine_agent_hello(rig.e);
	assert_false(total().known);
	assert_int_equal(tell(0), 0);
	assert_int_equal(engine_agent_bye(rig.e), 0);
	assert_false(total().known);
	engine_agent_hello(rig.e);
	assert_int_equal(tell(0), 0);
	engine_kernel_gone(rig.e, "gone");
	assert_false(total().known);
}

/* ---- symbols ---- */

#define HIT    0xffffffff81000110ull
#define CALLER 0xffffffff81008888ull
#define OTHER  0xffffffff81009999ull

static u64 second = CALLER;

static int blocked_switch(void *ctx, const struct switch_set *set, struct transition_report *r)
{
	(void)ctx, (void)set;
	r->attempts++;
	r->blocker =
		(struct blocker){.valid = true,
				 .pid = 7,
				 .address = HIT,
				 .nr_stack = 2,
				 .stack = {{.address = HIT, .func = "f"}, {.address = second}}};
	str_copy(r->blocker.func, "f", sizeof(r->blocker.func));
	return -EAGAIN;
}

static void ask(struct suture_work *w)
{
	memset(w, 0, sizeof(*w));
	rig.now_us += 20000;
	engine_tick(rig.e);
	engine_work(rig.e, w);
}

static void answer(const struct suture_work *w, const char *text)
{
	struct suture_symbols m = {.count = w->nr_addresses};

	for (u32 i = 0; i < m.count; i++) {
		m.symbols[i].address = w->addresses[i];
		memset(m.symbols[i].text, 'x', sizeof(m.symbols[i].text));
		memcpy(m.symbols[i].text, text, strlen(text));
	}
	assert_int_equal(engine_symbols(rig.e, &m), 0);
}

static void test_symbols(void **state)
{
	struct suture_symbols too_many = {.count = SUTURE_SYMBOLS_MAX + 1};
	struct suture_work w;
	struct patch_info p;

	(void)state;
	rig.e->ops.try_switch = blocked_switch;
	ask(&w);
	assert_int_equal(w.kind, SUTURE_WORK_NONE);
	assert_int_equal(insmod_payload(&rig, &b7), 0);
	ask(&w);
	assert_int_equal(w.kind, SUTURE_WORK_SYMBOLS);
	assert_int_equal(w.nr_addresses, 3);
	assert_int_equal(w.addresses[0], HIT);
	assert_int_equal(w.addresses[1], CALLER);
	assert_int_equal(w.addresses[2], HIT);
	/* not again at once: blockers may change with each attempt */
	ask(&w);
	assert_int_equal(w.kind, SUTURE_WORK_NONE);
	rig.now_us += 100000;
	ask(&w);
	assert_int_equal(w.kind, SUTURE_WORK_SYMBOLS);
	assert_int_equal(engine_symbols(rig.e, &too_many), -EINVAL);
	answer(&w, "f+0x10/0x20\n");
	/* they are for people: printable, and no longer than they may be */
	p = info(&rig, "b");
	assert_memory_equal(p.apply.blocker.symbol, "f+0x10/0x20?x", 13);
	assert_int_equal(strlen(p.apply.blocker.symbol), SUTURE_SYMBOL_TEXT - 1);
	assert_memory_equal(p.apply.blocker.stack[1].symbol, "f+0x10", 6);

	/* the next attempt meets nearly the same: only what is new is asked for */
	second = OTHER;
	rig.now_us += 100000;
	ask(&w);
	assert_int_equal(w.kind, SUTURE_WORK_SYMBOLS);
	assert_int_equal(w.nr_addresses, 1);
	assert_int_equal(w.addresses[0], OTHER);
	p = info(&rig, "b");
	assert_memory_equal(p.apply.blocker.stack[0].symbol, "f+0x10", 6);
	assert_string_equal(p.apply.blocker.stack[1].symbol, "");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_counts),	   T(test_malformed), T(test_owner),
		T(test_inherited), T(test_forgotten), T(test_symbols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
