/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the redirect of arm64 goes in a function's entry, and which entries are refused. */
#include "arm64_redirect_rig.h"

#define BASE 0xffff800008100000ull
#define NEAR (BASE + (1u << 20))
#define FAR  (BASE + (1ull << 30))

/* The plan of a shape, at BASE. */
static int plan_shape(const struct shape *s, u64 size, u64 to, struct redirect *pieces)
{
	build_entry(s, BASE, BASE);
	build_target(to, true);
	return plan(s, BASE, size, to, pieces);
}

static void too_short_functions_are_refused(void **state)
{
	struct redirect pieces[REDIRECT_PIECES];

	(void)state;
	for (u32 i = 0; i < NR_SHAPES; i++) {
		const struct shape *s = &shapes[i];
		int n = s->entry_piece ? 2 : 1;

		for (u32 size = 0; size <= 64; size++) {
			assert_int_equal(plan_shape(s, size, NEAR, pieces),
					 size >= s->entry + 4 ? n : -ENOSPC);
			assert_int_equal(plan_shape(s, size, FAR, pieces),
					 size >= s->entry + 12 ? n : -ENOSPC);
		}
	}
}

static void what_is_no_entry_is_refused(void **state)
{
	static const struct {
		struct shape s;
		int err;
	} cases[] = {
		{{.code = {0x1234}, .site = SUTURE_NONE}, -EILSEQ}, /* UDF */
		{{.code = {0xffffffff}, .site = SUTURE_NONE}, -EILSEQ},
		{{.code = {BTI_C, MOV_X9, NOP}, .site = 0}, -EILSEQ},
		{{.code = {BTI_C, MOV_X9, NOP}, .site = 6}, -EILSEQ},
		{{.code = {BTI_C, MOV_X9, NOP}, .site = 12}, -EILSEQ},
		{{.code = {BTI_C, PUSH, NOP}, .site = 8}, -EILSEQ},
		{{.code = {BTI_C, MOV_X9, PUSH}, .site = 8}, -EILSEQ},
		{{.code = {KPROBE, PUSH}, .site = SUTURE_NONE}, -EBUSY},
		{{.code = {BTI_C, KPROBE}, .site = SUTURE_NONE}, -EBUSY},
		{{.code = {BTI_C, MOV_X9, NOP, KPROBE}, .site = 8}, -EBUSY},
		/* the kernel's own, not a probe's */
		{{.code = {BTI_C, BRK_BUG}, .site = SUTURE_NONE}, 1},
	};
	struct redirect pieces[REDIRECT_PIECES];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct shape s = cases[i].s;

		build_entry(&s, BASE, BASE);
		put_insn(BASE, s.code[0]);
		build_target(NEAR, true);
		assert_int_equal(plan(&s, BASE, 64, NEAR, pieces), cases[i].err);
	}
	build_entry(&shapes[0], BASE, BASE);
	assert_int_equal(plan(&shapes[0], BASE + 2, 64, NEAR, pieces), -EILSEQ);
	assert_int_equal(plan(&shapes[0], BASE - 64, 64, NEAR, pieces), -EFAULT);
	assert_int_equal(plan(&shapes[0], BASE, 64, BASE + (5ull << 30), pieces), -ERANGE);
}

/* A function that an indirect call may enter keeps a landing pad. */
static void the_landing_pad_stays(void **state)
{
	struct redirect pieces[REDIRECT_PIECES];

	(void)state;
	for (u32 i = 0; i < NR_SHAPES; i++) {
		u32 first = shapes[i].code[0];
		int n = plan_shape(&shapes[i], 64, NEAR, pieces);

		lay(pieces, n);
		if (first == BTI_C || first == BTI_JC)
			assert_int_equal(get_insn(BASE), first);
		if (first != PACIASP)
			continue;
		assert_int_equal(get_insn(BASE), BTI_C);
		/* behind PACIASP the link register is signed: that is not the entry any more */
		assert_int_equal(pieces[0].lead, 0);
		assert_int_not_equal(pieces[1].lead, 0);
	}
}

static void a_jump_among_instructions(void **state)
{
	static const u32 none[] = {PUSH, BL_FAR, NOP, 0x54000040 /* B.EQ */};
	static const u32 third[] = {PUSH, NOP, 0x17ffffff}, forward[] = {0x14000010};

	(void)state;
	assert_int_equal(arch_redirect_jump((const u8 *)none, sizeof(none), 0x1000), 0);
	assert_int_equal(arch_redirect_jump((const u8 *)third, sizeof(third), 0x1000), 0x1004);
	assert_int_equal(arch_redirect_jump((const u8 *)third, 8, 0x1000), 0);
	assert_int_equal(arch_redirect_jump((const u8 *)third, 11, 0x1000), 0);
	assert_int_equal(arch_redirect_jump((const u8 *)forward, 4, BASE), BASE + 0x40);
}

static void sites_and_breakpoints(void **state)
{
	static const u32 code[] = {NOP, KPROBE, BRK_BUG, 0xd4208000 /* BRK #0x400: kgdb */};
	static const struct {
		u32 insn;
		bool on;
	} sites[] = {{NOP, false}, {BL_FAR, true}, {0x14000010, true}, {PUSH, false}};
	u8 site[ARCH_SITE_LEN] = {0};

	(void)state;
	for (u32 i = 0; i < sizeof(code); i++)
		assert_int_equal(arch_is_breakpoint((const u8 *)code, sizeof(code), i),
				 i / 4 == 1 || i / 4 == 3);
	assert_false(arch_is_breakpoint((const u8 *)code, 6, 5));
	for (u32 i = 0; i < ARRAY_SIZE(sites); i++) {
		memcpy(site, &sites[i].insn, 4);
		assert_int_equal(arch_site_is_on(site), sites[i].on);
	}
	assert_int_equal(arch_patch_unit(), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_short_functions_are_refused),
		cmocka_unit_test(what_is_no_entry_is_refused),
		cmocka_unit_test(the_landing_pad_stays),
		cmocka_unit_test(a_jump_among_instructions),
		cmocka_unit_test(sites_and_breakpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
