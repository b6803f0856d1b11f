/* SPDX-License-Identifier: BSD-2-Clause */
/* Switches that succeed, and those that a task blocks. */
#include "switch_rig.h"

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
	assert_int_equal(report.functions_verified, 3);
	assert_int_equal(report.pages_remapped, 3);
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
	assert_int_equal(report.functions_verified, 6); /* the originals too */
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

/* ---- blockers ---- */

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
	assert_int_equal(report.functions_verified, 2);
}

/* A revert checks for the code that is active: the new one. */
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
	assert_int_equal(report.pages_remapped, 0);
	assert_int_equal(target(A), NEW_A);
	syn_set(word, A + SIZE); /* stale: the old code has not run since */
	assert_done();
}

/* A CPU has followed the redirect, and executed nothing of the new function yet. */
static void at_the_entry_of_the_new_code(void **state)
{
	u64 word = syn_stack_end(sleeper) - 32;

	(void)state;
	add_func("a", A, A, NEW_A);
	/* who is at the original's entry reaches the redirect */
	syn_set(word, A);
	assert_done();
	syn_set(word, NEW_A);
	for (u32 i = 0; i < 2; i++) {
		set.count = 0;
		add_func("a", A, NEW_A, i ? NEW_2 : 0);
		assert_fails(-EAGAIN, "is in a");
		assert_int_equal(target(A), NEW_A);
	}
	syn_set(word, NEW_A - 1);
	assert_done();
}

/* Split-off parts, the text of payloads; overlapping ranges are distinguished. */
static void more_code_blocks_under_its_own_name(void **state)
{
	const struct check_range extra[] = {
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
	set.extra = extra;
	set.nr_extra = ARRAY_SIZE(extra);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		syn_set(word, cases[i].word);
		assert_fails(-EAGAIN, cases[i].name);
	}
	syn_set(word, 0);
	assert_done();
}

/* A jump may be more than one instruction: no task may be in the middle of it. */
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

/* Forced: a task after the replaced bytes may continue in the old code. */
static void forced_looks_at_the_jump_only(void **state)
{
	u64 word = syn_stack_end(sleeper) - 32;

	(void)state;
	set.mode = SWITCH_FORCED;
	add_func("a", A, A, NEW_A);
	syn_set(word, A + 4);
	assert_fails(-EAGAIN, "is in a");
	/* right behind it */
	syn_set(word, A + 0x10);
	assert_done();
	set.count = 0;
	add_func("a", A, NEW_A, 0);
	syn_set(word, A + 4);
	assert_fails(-EAGAIN, "is in a");
	syn_set(word, NEW_A + 4);
	assert_done();
	assert_original(A);
}

/* ---- a static key among the bytes ---- */

/* The key is the guest's; before it nothing is done, behind it and at its target is the jump. */
static void a_key_stays_the_guests(void **state)
{
	const s32 at[] = {0, 3, FAKE_REDIRECT_LEN - 1};
	u8 code[FAKE_REDIRECT_LEN];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
		u64 key = A + (u64)at[i];

		set.count = 0;
		add_func("a", A, A, NEW_A);
		add_key(&funcs[0], at[i]);
		assert_done();
		assert_int_equal(redirects(), 1);
		fetch(A, code, sizeof(code));
		for (s32 k = 0; k < at[i]; k++)
			assert_int_equal(code[k], 0);
		fetch(key, code, 2);
		assert_memory_equal(code, syn_at(key), 2);
		assert_int_equal(target(key + 2), NEW_A);
		assert_int_equal(target(A + KEY_TARGET), NEW_A);

		/* another version, and back */
		set.count = 0;
		add_func("a", A, NEW_A, NEW_2);
		add_key(&funcs[0], at[i]);
		assert_done();
		assert_int_equal(target(key + 2), NEW_2);
		assert_int_equal(target(A + KEY_TARGET), NEW_2);
		set.count = 0;
		add_func("a", A, NEW_2, 0);
		add_key(&funcs[0], at[i]);
		assert_done();
		assert_original(A);
		assert_original(key + 2);
		assert_original(A + KEY_TARGET);
	}
}

/* No task may be between the pieces, also where the guest's own bytes are. */
static void on_the_way_between_pieces(void **state)
{
	const struct {
		u64 word;
		bool blocks;
	} cases[] = {
		{A, false}, /* has executed nothing yet */
		{A + 1, true},
		{A + 3, true}, /* the key: the NOPs before it have been executed */
		{A + 4, true},
		{A + 5, true}, /* behind the key */
		{A + 5 + FAKE_REDIRECT_LEN, true},
		{A + 5 + FAKE_REDIRECT_LEN + 1, false},
		{A + KEY_TARGET - 1, false},
		{A + KEY_TARGET, true},
		{A + KEY_TARGET + 1, true},
		{A + KEY_TARGET + FAKE_REDIRECT_LEN + 1, false},
	};
	u64 word = syn_stack_end(sleeper) - 32;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		for (u32 forced = 0; forced < 2; forced++) {
			set.count = 0;
			set.mode = SWITCH_SAFE;
			syn_set(word, 0);
			add_func("a", A, A, NEW_A);
			add_key(&funcs[0], 3);
			assert_done();
			set.count = 0;
			set.mode = forced ? SWITCH_FORCED : SWITCH_SAFE;
			add_func("a", A, NEW_A, 0);
			add_key(&funcs[0], 3);
			syn_set(word, cases[i].word);
			assert_int_equal(attempt(), cases[i].blocks ? -EAGAIN : 0);
			if (cases[i].blocks) {
				assert_int_equal(report.blocker.address, cases[i].word);
				syn_set(word, 0);
				assert_done();
			}
			/* and the pieces that come */
			set.count = 0;
			add_func("a", A, A, NEW_A);
			add_key(&funcs[0], 3);
			set.mode = SWITCH_FORCED;
			syn_set(word, cases[i].word);
			assert_int_equal(attempt(), cases[i].blocks ? -EAGAIN : 0);
			syn_set(word, 0);
			if (cases[i].blocks)
				assert_done();
			set.count = 0;
			add_func("a", A, NEW_A, 0);
			assert_done();
		}
	}
}

/* ---- a hook, where no jump has room ---- */

#define HOOK (SYN_TEXT + 0x9ff8)

static u64 hook_word(void)
{
	u64 word;

	fetch(HOOK, (u8 *)&word, sizeof(word));
	return word;
}

static void add_hooked(u64 active, u64 new)
{
	set.count = 0;
	add_func("a", A, active, new);
	add_site(&funcs[0], SUTURE_SITE_CALL, 3);
	funcs[0].hook = HOOK;
}

static void a_hook_leads_on(void **state)
{
	const u64 targets[] = {NEW_A, NEW_2, 0, NEW_A, 0};
	u64 active = A;

	(void)state;
	syn_set(HOOK, 0);
	for (u32 i = 0; i < ARRAY_SIZE(targets); i++) {
		add_hooked(active, targets[i]);
		if (targets[i])
			assert_int_equal(switch_validate(&set, &report), 0);
		assert_done();
		assert_int_equal(hook_word(), targets[i]);
		assert_int_equal(*(u64 *)syn_at(HOOK), 0); /* the guest's page is as it was */
		assert_original(A);
		assert_int_equal(redirects(), targets[i] ? 1 : 0);
		active = targets[i] ? targets[i] : A;
	}

	/* where a jump has room there is one */
	add_hooked(A, NEW_A);
	funcs[0].nr_sites = 0;
	assert_done();
	assert_int_equal(hook_word(), 0);
	assert_int_equal(target(A), NEW_A);
}

static void a_hook_that_is_none(void **state)
{
	(void)state;
	add_hooked(A, NEW_A);
	syn_set(HOOK, 1);
	assert_fails(-EFAULT, "a: there is no word of 0 at");
	syn_set(HOOK, 0);
	funcs[0].hook = SYN_TEXT + SYN_TEXT_SIZE;
	assert_fails(-EFAULT, "a: there is no word of 0 at");
	funcs[0].hook = 0;
	assert_fails(-EOPNOTSUPP, "hook of ftrace");
	assert_nothing_changed();
	assert_int_equal(hook_word(), 0);
}

/* The function's module goes, or what the hook leads to. */
static void a_hook_is_dropped(void **state)
{
	(void)state;
	syn_set(HOOK, 0);
	for (u32 i = 0; i < 2; i++) {
		u64 at = i ? NEW_A : A;

		add_hooked(A, NEW_A);
		assert_done();
		assert_int_equal(drop_range(at - 1, at), 0);
		assert_int_equal(hook_word(), NEW_A);
		assert_int_equal(drop_range(at, at + 1), 1);
		assert_int_equal(hook_word(), 0);
		assert_int_equal(redirects(), 0);
	}
}

/* A task with the address after the ftrace site, or of the new function, may be in the hook. */
static void on_the_way_through_a_hook(void **state)
{
	const struct {
		u64 word;
		bool coming, going; /* blocks */
	} cases[] = {
		{A, false, false},	  {A + 9, true, true},	     {A + 16, true, true},
		{A + 17, true, false},	  {NEW_A - 1, false, false}, {NEW_A, false, true},
		{NEW_A + 1, false, true},
	};
	u64 word = syn_stack_end(sleeper) - 32;

	(void)state;
	syn_set(HOOK, 0);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		for (u32 going = 0; going < 2; going++) {
			bool blocks = going ? cases[i].going : cases[i].coming;

			add_hooked(going ? NEW_A : A, going ? 0 : NEW_A);
			syn_set(word, cases[i].word);
			assert_int_equal(attempt(), blocks ? -EAGAIN : 0);
			if (blocks) {
				assert_int_equal(report.blocker.address, cases[i].word);
				assert_string_equal(report.blocker.func, "a");
			}
			syn_set(word, 0);
			if (blocks)
				assert_done();
		}
	}
}

static void offline_looks_at_nothing(void **state)
{
	(void)state;
	set.mode = SWITCH_OFFLINE;
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
	assert_fails(-EAGAIN, "it could not be told where each task of the guest was");
	assert_string_equal(report.detail, "the list of tasks cannot be followed");
	assert_nothing_changed();
	syn_set(link, before);
	assert_done();
}

/* Names of maximal length: what is the matter with them is said to its end. */
static void reasons_are_whole(void **state)
{
	static const char *const ends[] = {
		"said to be there: check that the patch was built for this kernel",
		"its jump would overlap that of another function",
		"is too short for a jump (2 bytes): patch its callers instead",
	};
	char name[SUTURE_SYM_LEN];
	u64 before = syn_get(A);

	(void)state;
	memset(name, 'f', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (u32 i = 0; i < ARRAY_SIZE(ends); i++) {
		set.count = 0;
		add_func(name, A, A, NEW_A);
		if (i == 1)
			add_func(name, A + 1, A + 1, NEW_B);
		if (i == 2)
			funcs[0].old_size = 2;
		syn_set(A, i ? before : 0);
		assert_true(attempt() < 0);
		if (!strstr(report.reason, name) || !strstr(report.reason, ends[i]))
			fail_msg("not whole: %s", report.reason);
	}
	/* and a task that blocks */
	set.count = 0;
	add_func(name, B, B, NEW_B);
	syn_set(syn_sleep(sleeper, 64), B + 4);
	assert_fails(-EAGAIN, name);
	assert_non_null(strstr(report.reason, " (stack)"));
}

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
		TEST(at_the_entry_of_the_new_code),
		TEST(more_code_blocks_under_its_own_name),
		TEST(the_jump_itself_blocks),
		TEST(forced_looks_at_the_jump_only),
		TEST(a_key_stays_the_guests),
		TEST(on_the_way_between_pieces),
		TEST(a_hook_leads_on),
		TEST(a_hook_that_is_none),
		TEST(a_hook_is_dropped),
		TEST(on_the_way_through_a_hook),
		TEST(offline_looks_at_nothing),
		TEST(what_cannot_be_judged_is_tried_again),
		TEST(reasons_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
