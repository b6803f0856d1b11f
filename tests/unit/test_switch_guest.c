/* SPDX-License-Identifier: BSD-2-Clause */
/* Actions of the guest during a switch, and functions that cannot be redirected. */
#include "switch_rig.h"

/* ---- the guest changes its code ---- */

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

/* What the service CPU does not know of yet must come to nothing. */
static void the_kernel_ends(void **state)
{
	u64 dropped_key = 0;

	(void)state;
	add_func("a", A, A, NEW_A);
	assert_done();
	assert_int_equal(drop_range(NEW_B, NEW_B + SIZE), 0);
	assert_int_equal(redirects(), 1);
	assert_int_equal(drop_all(KERNEL_REPLACED), 1);
	assert_false(drop_take(&dropped_key)); /* the end says so */
	assert_int_equal(redirects(), 0);
	set.count = 0;
	add_func("b", B, B, NEW_B);
	assert_fails(-EAGAIN, "");
	assert_int_equal(redirects(), 0);
	assert_int_equal(kernel_end(), KERNEL_REPLACED);
	kernel_end_known(KERNEL_REPLACED);
	assert_int_equal(kernel_end(), KERNEL_STAYS);
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

	add_func("call", A, A, NEW_A);
	add_site(&funcs[1], SUTURE_SITE_CALL, FAKE_REDIRECT_LEN - 1);
	assert_refused(-EOPNOTSUPP, "call: the kernel itself rewrites a static call 8 bytes from");

	add_func("site", A, A, NEW_A);
	add_site(&funcs[1], SUTURE_SITE_CALL, FAKE_SITE_LEN);
	funcs[1].ftrace_site = 0;
	assert_refused(-EOPNOTSUPP, "site: the kernel itself rewrites a static call 4 bytes from");

	add_func("a", A, A, NEW_A);
	add_site(&funcs[1], SUTURE_SITE_CALL, FAKE_REDIRECT_LEN);
	assert_int_equal(switch_validate(&set, &report), 0);
	assert_nothing_changed();
	assert_done();
}

/* With a name of any length the message has the whole obstacle and what to do. */
static void refusals_are_whole(void **state)
{
	const struct {
		u32 kind;
		int err;
		const char *end;
	} cases[] = {
		{SUTURE_SITE_CALL, -EOPNOTSUPP, "patch its callers instead"},
		{SUTURE_SITE_PROBE, -EBUSY, "remove it"},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		set.count = 0;
		add_func("f", A, A, NEW_A);
		memset(funcs[0].name, 'f', SUTURE_SYM_LEN - 1);
		add_site(&funcs[0], cases[i].kind, 5);
		assert_int_equal(switch_validate(&set, &report), cases[i].err);
		assert_string_equal(report.reason + strlen(report.reason) - strlen(cases[i].end),
				    cases[i].end);
	}
}

/* A probe that is not armed has copied the instruction too: the jump may not lie on it. */
static void a_probe_that_is_not_armed(void **state)
{
	(void)state;
	add_func("a", A, A, NEW_A);
	add_site(&funcs[0], SUTURE_SITE_PROBE, 3);
	assert_int_equal(switch_validate(&set, &report), -EBUSY);
	assert_fails(-EAGAIN, "a: a kprobe of the guest's is where its jump would be, 3 bytes");
	assert_nothing_changed();
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
	assert_fails(-EAGAIN, "it could not be told");
	assert_non_null(strstr(report.detail, "kprobes cannot be found"));
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
	assert_fails(-EAGAIN, "a: a breakpoint (a kprobe?) of the guest's");
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

/* Without a known end of the function the check would find nothing. */
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
	const struct check_range extra[] = {{.start = A + 0x800, .end = A + 0x810, .name = "a"},
					    {.start = NEW_A, .end = NEW_2, .name = "fix"}};
	u64 sp = syn_sleep(sleeper, 64);

	(void)state;
	add_func("a", A, A, NEW_A);
	set.extra = extra;
	set.nr_extra = 2;
	syn_set(sp, A + 0x808);
	assert_fails(-EAGAIN, "sleeper (100) is in a");
	syn_set(sp, NEW_B);
	assert_fails(-EAGAIN, "sleeper (100) is in fix");
	/* nothing to redirect, but a task is in it */
	set.count = 0;
	assert_fails(-EAGAIN, "sleeper (100) is in fix");
	syn_set(sp, 0);
	assert_done();
	set.count = 1;
	assert_done();
	assert_int_equal(target(A), NEW_A);
}

static void thousands_of_functions(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(funcs); i++)
		add_func("f", SYN_TEXT + 0x10000 + i * 0x40, SYN_TEXT + 0x10000 + i * 0x40, NEW_A);
	assert_done();
	assert_int_equal(redirects(), ARRAY_SIZE(funcs));
	assert_int_equal(report.functions_verified, ARRAY_SIZE(funcs));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_guest_changes_its_code),
		TEST(dropped_behind_the_engines_back),
		TEST(the_kernel_ends),
		TEST(functions_that_take_no_redirect),
		TEST(refusals_are_whole),
		TEST(a_probe_that_is_not_armed),
		TEST(optimized_probes_in_a_module),
		TEST(probes_of_the_guest_are_waited_for),
		TEST(active_code_of_unknown_size),
		TEST(parts_and_payloads_count),
		TEST(thousands_of_functions),
		TEST(memory_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
