/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The redirects of arm64 in functions that have static keys and probes near their entries: executed
 * with every key both ways, at targets that B reaches and that it does not, or refused.
 */
#include "arm64_redirect_rig.h"

#define BASE  0xffff800008100000ull /* of emulated.code */
#define FUNC  0x40
#define SIZE  0x80
#define COLD  0x1800 /* of a split-off part, on the second page */
#define NEAR  (BASE + (64u << 20) + 0x40)
#define FAR   (BASE - (2ull << 30) + 0x80)
#define STACK 0xffff800040100000ull

#define ENTRY 12 /* of the jump: behind BTI and two instructions of ftrace's */

#define KEY(at, to)                                                                                \
	{                                                                                          \
		.kind = SUTURE_SITE_KEY, .offset = (at), .len = 4, .target = (to), .room = 0x40    \
	}

/* A function at FUNC in which sites[] are (offsets from FUNC), and how many pieces its redirect
 * has. */
static const struct sites_round {
	const char *name;
	struct suture_decl_site sites[4];
	int near, far; /* pieces, or negative errno */
} rounds[] = {
	{"no key", {{0}}, 1, 1},
	{"key first", {KEY(12, 0x40)}, 2, 2},
	{"key first, target in a split-off part", {KEY(12, COLD - FUNC)}, 2, 2},
	{"key first, target right behind it", {KEY(12, 16)}, 1, 1},
	{"key first, target in the veneer's room", {KEY(12, 20)}, 2, 2},
	{"key first, another behind it", {KEY(12, 0x40), KEY(16, 0x50)}, 3, 3},
	{"key first, another at its target", {KEY(12, 0x40), KEY(0x40, 0x60)}, 3, 3},
	{"key second", {KEY(16, 0x40)}, 1, 2},
	{"key third", {KEY(20, 0x40)}, 1, 2},
	{"two keys in the veneer's room", {KEY(16, 0x40), KEY(20, 0x50)}, 1, 2},
	{"key behind the veneer", {KEY(24, 0x40)}, 1, 1},
	{"keys that lead back to the entry",
	 {KEY(12, 0x40), KEY(0x40, 12)},
	 -EOPNOTSUPP,
	 -EOPNOTSUPP},
	{"a loop of one key", {KEY(12, 12)}, -EOPNOTSUPP, -EOPNOTSUPP},
	{"a key whose target is not known",
	 {{.kind = SUTURE_SITE_KEY, .offset = 12, .len = 4, .target = 0x40}},
	 -EOPNOTSUPP,
	 -EOPNOTSUPP},
	{"a key that is none",
	 {{.kind = SUTURE_SITE_KEY, .offset = 10, .len = 4, .target = 0x40, .room = 8}},
	 -EILSEQ,
	 -EILSEQ},
	{"a target between instructions", {KEY(12, 0x42)}, -EILSEQ, -EILSEQ},
	{"kprobe first", {{.kind = SUTURE_SITE_PROBE, .offset = 12, .len = 4}}, -EBUSY, -EBUSY},
	{"kprobe second", {{.kind = SUTURE_SITE_PROBE, .offset = 16, .len = 1}}, 1, -EBUSY},
	{"static call first",
	 {{.kind = SUTURE_SITE_CALL, .offset = 12, .len = 4}},
	 -EOPNOTSUPP,
	 -EOPNOTSUPP},
	{"another function's entry is no obstacle",
	 {{.kind = SUTURE_SITE_ENTRY, .offset = 12, .len = 1}},
	 1,
	 1},
};

static u32 nr_sites(const struct sites_round *s)
{
	u32 n = 0;

	while (n < ARRAY_SIZE(s->sites) && s->sites[n].len)
		n++;
	return n;
}

static void write_key(const struct suture_decl_site *s, bool jump)
{
	u32 words = (u32)(s->target - s->offset) / 4;

	put_insn(BASE + FUNC + (u64)(s64)s->offset, jump ? 0x14000000 | (words & 0x3ffffff) : NOP);
}

static void write_keys(const struct sites_round *s, u32 keys)
{
	for (u32 i = 0; i < nr_sites(s); i++)
		if (s->sites[i].kind == SUTURE_SITE_KEY && s->sites[i].offset % 4 == 0)
			write_key(&s->sites[i], keys >> i & 1);
}

static void build_round(const struct sites_round *s, u64 to)
{
	static const struct shape entry = {.code = {BTI_C, MOV_X9, NOP, PACIASP}};

	build_entry(&entry, BASE, BASE + FUNC);
	/* whoever executes the original is seen by the stack */
	for (u64 at = FUNC + ENTRY; at < FUNC + SIZE; at += 4)
		put_insn(BASE + at, PUSH);
	for (u64 at = COLD; at < COLD + 0x40; at += 4)
		put_insn(BASE + at, PUSH);
	write_keys(s, 0);
	build_target(to, true);
}

static int plan_round(const struct sites_round *s, u64 size, u64 to, struct redirect *pieces,
		      struct redirect_obstacle *o)
{
	struct redirect_request q = {.func = BASE + FUNC,
				     .size = size,
				     .site = 8,
				     .to = to,
				     .sites = s->sites,
				     .nr_sites = nr_sites(s),
				     .read = read_code,
				     .is_free = is_free};

	return arch_redirect_plan(&q, pieces, o);
}

/* The sites are as they were, and no two pieces meet. */
static void lay_round(const struct sites_round *s, const struct redirect *pieces, int n)
{
	u8 before[CODE_SIZE], owned[CODE_SIZE] = {0};

	memcpy(before, emulated.code, CODE_SIZE);
	lay(pieces, n);
	for (int i = 0; i < n; i++)
		for (u32 k = 0; k < pieces[i].len; k++)
			assert_int_equal(owned[pieces[i].from - BASE + k]++, 0);
	for (u32 i = 0; i < nr_sites(s); i++)
		if (s->sites[i].kind != SUTURE_SITE_ENTRY)
			assert_memory_equal(emulated.code + FUNC + s->sites[i].offset,
					    before + FUNC + s->sites[i].offset, s->sites[i].len);
}

/* From the function's entry to the new one. */
static void execute_round(const struct sites_round *s, u64 to, u32 keys)
{
	struct registers before, after;
	u64 pc = 0;
	uc_err err;

	random_registers(&before, STACK + 2048);
	emulated.writes = 0;
	err = uc_emu_start(emulated.uc, BASE + FUNC, to, 0, 12);
	assert_int_equal(uc_reg_read(emulated.uc, UC_ARM64_REG_PC, &pc), UC_ERR_OK);
	if (err || pc != to)
		fail_msg("%s, keys %u: at %#llx, %u", s->name, keys, (unsigned long long)pc, err);
	read_registers(&after);
	assert_same_registers(&before, &after, to == FAR, true);
	if (emulated.writes)
		fail_msg("%s, keys %u: the original was executed", s->name, keys);
}

/* Whoever stands on a piece that others lead to has executed something. */
static void check_leads(const struct redirect *pieces, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(pieces[i].lead == 0, pieces[i].from == BASE + FUNC + ENTRY);
}

static u32 try_round(const struct sites_round *s, u64 to, int expected)
{
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o = {0};
	u32 runs = 0;
	int n;

	build_round(s, to);
	n = plan_round(s, SIZE, to, pieces, &o);
	if (n != expected)
		fail_msg("%s: %d, not %d", s->name, n, expected);
	if (n < 0) {
		assert_int_not_equal(o.at, 0);
		return 0;
	}
	lay_round(s, pieces, n);
	check_leads(pieces, n);
	for (u32 keys = 0; keys < 1u << nr_sites(s); keys++, runs++) {
		write_keys(s, keys);
		map_code(BASE, to, STACK);
		execute_round(s, to, keys);
		unmap_code(BASE, to, STACK);
	}
	return runs;
}

static void round_the_sites(void **state)
{
	u32 runs = 0;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rounds); i++) {
		runs += try_round(&rounds[i], NEAR, rounds[i].near);
		runs += try_round(&rounds[i], FAR, rounds[i].far);
	}
	print_message("%zu functions, %u runs\n", ARRAY_SIZE(rounds), runs);
}

/* A key where the veneer would be, and the function ends behind it. */
static void no_room_behind_a_key(void **state)
{
	static const struct sites_round s = {"", {KEY(16, 0x40)}, 0, 0};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o = {0};

	(void)state;
	build_round(&s, FAR);
	assert_int_equal(plan_round(&s, 32, FAR, pieces, &o), 2);
	assert_int_equal(plan_round(&s, 28, FAR, pieces, &o), -EOPNOTSUPP);
	assert_int_equal(o.at, BASE + FUNC + 16);
	assert_int_equal(o.kind, SUTURE_SITE_KEY);
}

/* With CALL_OPS the eight bytes in front of the next function are ftrace's. */
static void the_next_functions_ops_are_spared(void **state)
{
	static const struct sites_round s = {"", {{0}}, 0, 0};
	static const u32 ops[][2] = {{0x09876540, 0xffff8000}, {NOP, NOP}};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o = {0};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(ops); i++) {
		build_round(&s, FAR);
		put_insn(BASE + FUNC + 24, ops[i][0]);
		put_insn(BASE + FUNC + 28, ops[i][1]);
		assert_int_equal(plan_round(&s, 32, FAR, pieces, &o), 1);
		put_insn(BASE + FUNC + 16, ops[i][0]);
		put_insn(BASE + FUNC + 20, ops[i][1]);
		assert_int_equal(plan_round(&s, 24, FAR, pieces, &o), -ENOSPC);
		assert_int_equal(plan_round(&s, 24, BASE, pieces, &o), 1);
		put_insn(BASE + FUNC + 8, NOP);
		put_insn(BASE + FUNC + 12, ops[i][1]);
		/* four bytes that are no pair are code */
		assert_int_equal(plan_round(&s, 20, BASE, pieces, &o), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(round_the_sites, machine_setup, machine_teardown),
		cmocka_unit_test(no_room_behind_a_key),
		cmocka_unit_test(the_next_functions_ops_are_spared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
