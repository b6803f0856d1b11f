/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the redirect of x86-64 goes in a function's entry, and which entries are refused. */
#include "redirect_rig.h"

/* The plan of code alone, which is at 0x1000: the first piece, and what arch_redirect_plan() says.
 */
static int plan_code(const u8 *code, u64 size, u32 site, u64 to, struct redirect *first)
{
	struct redirect_request q = {.func = 0x1000,
				     .size = size,
				     .site = site,
				     .to = to,
				     .read = read_code,
				     .is_free = is_free};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o;
	int n;

	emulated.base = 0x1000;
	memset(emulated.code, 0x90, 128);
	memcpy(emulated.code, code, MIN(size, 64u));
	n = arch_redirect_plan(&q, pieces, &o);
	if (n > 0 && first)
		*first = pieces[0];
	return n;
}

static void too_short_functions_are_refused(void **state)
{
	const u64 near = 0x2000, far = 0xffff888000000000ull;

	(void)state;
	for (u32 i = 0; i < 2 * ARRAY_SIZE(sites); i++) {
		const struct site *at = &sites[i / 2];
		u8 code[64];
		u32 entry = build_entry(i & 1, at, code);

		for (u32 size = 0; size <= sizeof(code); size++) {
			u32 site = site_of(i & 1, at);
			struct redirect r = {0};

			if (size < entry) {
				int refused = plan_code(code, size, site, far, NULL);

				/* there is no room for the site, or none behind it */
				assert_true(refused == -EILSEQ || refused == -ENOSPC);
				continue;
			}
			assert_int_equal(plan_code(code, size, site, near, &r),
					 size >= entry + 5 ? 1 : -ENOSPC);
			if (r.len)
				assert_int_equal(r.from, 0x1000 + entry);
			assert_int_equal(plan_code(code, size, site, far, NULL),
					 size >= entry + 14 ? 1 : -ENOSPC);
		}
	}
}

static void what_is_no_function_is_refused(void **state)
{
	static const u8 fill[] = {0x00, 0xcc, 0xff};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(fill); i++) {
		u8 code[64];

		memset(code, fill[i], sizeof(code));
		assert_int_equal(plan_code(code, sizeof(code), SUTURE_NONE, 0x2000, NULL), -EILSEQ);
	}
}

/* Whether a call or NOP at the entry is ftrace's, its bytes do not say: the guest does. */
static void the_site_is_where_the_guest_says(void **state)
{
	static const struct {
		u8 code[16];
		u32 site;
		int offset;
	} cases[] = {
		{{0xe9, 0x12, 0x34, 0x56, 0x00, 0xcc}, SUTURE_NONE, 0}, /* only a tail call */
		{{0xe8, 0x12, 0x34, 0x56, 0x00, 0x5b}, SUTURE_NONE, 0}, /* a call of its own */
		{{0xe8, 0x12, 0x34, 0x56, 0x00, 0x5b}, 0, 5},
		{{0xe9, 0x12, 0x34, 0x56, 0x00, 0x5b}, 0, 5},
		{{0x0f, 0x1f, 0x44, 0x00, 0x00, 0x5b}, SUTURE_NONE, 0},
		{{0xcc, 0x1f, 0x44, 0x00, 0x00, 0x5b}, 0, 5}, /* being changed */
		{{0xf3, 0x0f, 0x1e, 0xfa, 0xe8, 0x12, 0x34, 0x56, 0x00, 0x5b}, 4, 9},
		{{0xf3, 0x0f, 0x1e, 0xfa, 0x5b}, SUTURE_NONE, 4},
		{{0xcc, 0x0f, 0x1e, 0xfa, 0xe8, 0x12, 0x34, 0x56, 0x00, 0x5b}, 4, 9},
		/* a landing pad that the kernel overwrote at boot */
		{{0x66, 0x0f, 0x1f, 0x00, 0x5b}, SUTURE_NONE, 4},
		{{0x0f, 0x1f, 0x40, 0xd6, 0x5b}, SUTURE_NONE, 4},
		{{0x66, 0x0f, 0x1f, 0x00, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0x5b}, 4, 9},
		/* what cannot be */
		{{0x55, 0x0f, 0x1f, 0x44, 0x00, 0x00}, 1, -EILSEQ},
		{{0x55, 0x0f, 0x1f, 0x44, 0x00, 0x00}, 0x1000, -EILSEQ},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct redirect r;
		int n = plan_code(cases[i].code, sizeof(cases[i].code), cases[i].site, 0x2000, &r);

		assert_int_equal(n < 0 ? n : (int)(r.from - 0x1000), cases[i].offset);
	}
}

/* Instructions of the function begin behind the jump where they did before. */
static void padded_to_the_next_instruction(void **state)
{
	static const struct {
		u8 code[16];
		int padded;
	} cases[] = {
		{{0x55, 0x53, 0x48, 0x89, 0xfb, 0x90}, 5}, /* ends where the jump does */
		{{0x55, 0x53, 0x48, 0x81, 0xec, 1, 1, 0, 0, 0x90}, 9}, /* sub $257, %rsp */
		{{0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0x90}, 10},      /* movabs */
		{{0x55, 0xcc, 0x48, 0x81, 0xec, 1, 1, 0, 0}, -EBUSY},
		{{0xcc, 0x53, 0x48, 0x81, 0xec, 1, 1, 0, 0}, -EBUSY},
		{{0x55, 0x53, 0x48, 0xc7, 0xc0, 0xcc, 0xcc, 0, 0}, 9}, /* cc in an operand */
		{{0x55, 0x53, 0x48, 0x89, 0xfb, 0xcc}, 5},	       /* behind the jump */
		{{0x06, 0x06, 0x06, 0x06, 0x06, 0x06}, 5},	       /* no instructions */
		/* what the compiler puts behind what does not go on is no breakpoint */
		{{0x31, 0xc0, 0xc3, 0xcc, 0x66, 0x90}, 6},
		{{0x31, 0xc0, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc}, 5},
		{{0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc}, 5},
		{{0xeb, 0x10, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc}, 5},
		{{0x31, 0xc0, 0xcc, 0xcc, 0x66, 0x90}, -EBUSY},
		{{0xf0, 0x48, 0x0f, 0xba, 0x2f, 0x05, 0x90}, 6}, /* lock bts: its prefix stays */
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct redirect r;
		int n = plan_code(cases[i].code, sizeof(cases[i].code), SUTURE_NONE, 0x2000, &r);

		assert_int_equal(n < 0 ? n : (int)r.len, cases[i].padded);
		for (u32 k = 5; n > 0 && k < r.len; k++)
			assert_int_equal(r.bytes[k], 0x90);
	}
}

static void a_jump_among_instructions(void **state)
{
	static const u8 none[] = {0x55, 0x53, 0x48, 0xc7, 0xc0, 0xe9, 0, 0, 0};
	static const u8 third[] = {0x55, 0x53, 0xe9, 0xf0, 0xff, 0xff, 0xff};

	(void)state;
	assert_int_equal(arch_redirect_jump(none, sizeof(none), 0x1000), 0);
	assert_int_equal(arch_redirect_jump(third, sizeof(third), 0x1000), 0xff7);
	assert_int_equal(arch_redirect_jump(third, 5, 0x1000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_short_functions_are_refused),
		cmocka_unit_test(what_is_no_function_is_refused),
		cmocka_unit_test(the_site_is_where_the_guest_says),
		cmocka_unit_test(padded_to_the_next_instruction),
		cmocka_unit_test(a_jump_among_instructions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
