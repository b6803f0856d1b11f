/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The redirects of arm64, executed: function entries of every shape, at random and extreme
 * distances from their targets, with random registers. The target must be reached, with every
 * register, flag and byte of the stack as it was at the function's entry, but for X16, which a
 * veneer may use, and X9, which ftrace's site does.
 */
#include "arm64_redirect_rig.h"

#define RUNS 20000

enum distance {
	RANDOM_NEAR,
	MOST_FORWARD,
	MOST_BACK,
	TOO_FORWARD,
	TOO_BACK,
	RANDOM_FAR,
	FARTHEST_FORWARD,
	FARTHEST_BACK,
	DISTANCES
};

static const char *const distance_names[DISTANCES] = {
	"random within 128 MiB",    "largest forward",	     "largest backward",
	"one step too far forward", "one step too far back", "random within 4 GiB",
	"largest of a veneer",	    "largest of one, back",
};

static u64 pick_target(enum distance distance, u64 from)
{
	switch (distance) {
	case RANDOM_NEAR:
		return from + (rnd() % (256u << 20) - (128u << 20)) / 4 * 4;
	case MOST_FORWARD:
		return from + (128u << 20) - 4;
	case MOST_BACK:
		return from - (128u << 20);
	case TOO_FORWARD:
		return from + (128u << 20);
	case TOO_BACK:
		return from - (128u << 20) - 4;
	case RANDOM_FAR:
		return from + (rnd() % (8ull << 30) - (4ull << 30)) / 4 * 4;
	case FARTHEST_FORWARD:
		return (from & PAGE_MASK) + (4ull << 30) - 4;
	default:
		return (from & PAGE_MASK) - (4ull << 30);
	}
}

struct totals {
	u32 near, far, crossing, ret, shape[NR_SHAPES], distance[DISTANCES];
	s64 min, max; /* displacements of B */
};

static void run(u32 i, struct totals *t)
{
	const struct shape *s = &shapes[i % NR_SHAPES];
	enum distance distance = (enum distance)(i / NR_SHAPES % DISTANCES);
	bool crosses = i / NR_SHAPES / DISTANCES & 1, pad = rnd() & 1;
	struct redirect pieces[REDIRECT_PIECES], *jump;
	struct registers before, after;
	u8 stack_after[PAGE_SIZE];
	u64 page, func, from, to, stack, pc = 0;
	s64 displacement;
	int n;

	do {
		page = canonical(rnd()) & PAGE_MASK;
		func = page + rnd() % (PAGE_SIZE - 64) / 4 * 4;
		if (crosses)
			func = page + PAGE_SIZE - s->entry - 4;
		from = func + s->entry;
		to = pick_target(distance, from);
		stack = canonical(rnd()) & PAGE_MASK;
	} while (!fits(page, CODE_SIZE, to) || !fits(page, CODE_SIZE, stack) ||
		 stack == (to & PAGE_MASK));

	build_entry(s, page, func);
	build_target(to, pad);
	n = plan(s, func, 64, to, pieces);
	assert_int_equal(n, s->entry_piece ? 2 : 1);
	lay(pieces, n);
	jump = &pieces[n - 1];
	displacement = (s64)(to - from);
	assert_int_equal(jump->from, from);
	assert_int_equal(jump->len,
			 displacement >= -(128ll << 20) && displacement < 128ll << 20 ? 4 : 12);

	map_code(page, to, stack);
	random_registers(&before, stack + 2048);
	emulated.writes = 0;
	assert_int_equal(uc_emu_start(emulated.uc, s->executes ? func : from, to, 0, 8), UC_ERR_OK);
	assert_int_equal(uc_reg_read(emulated.uc, UC_ARM64_REG_PC, &pc), UC_ERR_OK);
	assert_int_equal(pc, to);
	read_registers(&after);
	assert_same_registers(&before, &after, jump->len == 12, s->uses_x9);
	assert_int_equal(uc_mem_read(emulated.uc, stack, stack_after, PAGE_SIZE), UC_ERR_OK);
	assert_memory_equal(stack_after, emulated.stack, PAGE_SIZE);
	assert_int_equal(emulated.writes, 0);
	unmap_code(page, to, stack);

	if (jump->len == 4) {
		t->min = MIN(t->min, displacement);
		t->max = MAX(t->max, displacement);
		t->near++;
	} else {
		u32 last;

		memcpy(&last, jump->bytes + 8, 4);
		assert_int_equal(last, pad ? 0xd61f0200 : 0xd65f0200); /* BR X16, RET X16 */
		t->far++;
		t->ret += !pad;
	}
	t->crossing += jump->from / PAGE_SIZE != (jump->from + jump->len - 1) / PAGE_SIZE;
	t->shape[s - shapes]++;
	t->distance[distance]++;
}

static void target_reached_and_nothing_touched(void **state)
{
	struct totals t = {0};

	(void)state;
	for (u32 i = 0; i < RUNS; i++)
		run(i, &t);
	print_message("%u runs: %u B (displacement %lld to %lld), %u veneers, %u of them with RET; "
		      "%u redirects across a page boundary\n",
		      RUNS, t.near, (long long)t.min, (long long)t.max, t.far, t.ret, t.crossing);
	for (u32 i = 0; i < NR_SHAPES; i++)
		print_message("  %-26s %u\n", shapes[i].name, t.shape[i]);
	for (u32 i = 0; i < DISTANCES; i++)
		print_message("  %-26s %u\n", distance_names[i], t.distance[i]);
	assert_int_equal(t.min, -(128ll << 20));
	assert_int_equal(t.max, (128ll << 20) - 4);
	assert_true(t.crossing > RUNS / 8);
}

/* ---- functions that are too short for a veneer ---- */

static u64 taken; /* a slot that another redirect has */

static bool is_not_taken(u64 start, u64 end, void *arg)
{
	(void)arg;
	return taken < start || taken >= end;
}

/* A function of one instruction behind its site, at the end of a page of text. */
static int plan_short(u64 page, u64 to, u64 text_end, struct redirect *pieces)
{
	struct redirect_request q = {.func = page,
				     .size = 16,
				     .site = 8,
				     .to = to,
				     .text_end = text_end,
				     .read = read_code,
				     .is_free = is_not_taken};
	struct redirect_obstacle o = {0};

	return arch_redirect_plan(&q, pieces, &o);
}

static void short_functions_use_the_padding(void **state)
{
	const struct shape *s = &shapes[5];
	u64 page = 0xffff800008010000, end = page + CODE_SIZE, pc = 0;
	u64 to = page + (1ull << 30), stack = page + (1ull << 31);
	struct redirect pieces[REDIRECT_PIECES];
	struct registers before, after;

	(void)state;
	for (u32 taken_slots = 0; taken_slots < 2; taken_slots++) {
		u64 slot = end - 16 * (1 + taken_slots);

		taken = taken_slots ? end - 16 : 0;
		build_entry(s, page, page);
		memset(emulated.code + CODE_SIZE - 256, 0, 256);
		build_target(to, true);
		assert_int_equal(plan_short(page, to, end, pieces), 2);
		assert_int_equal(pieces[0].from, page + 12);
		assert_int_equal(pieces[0].len, 4);
		assert_int_equal(pieces[1].from, slot);
		assert_int_equal(pieces[1].len, 12);
		lay(pieces, 2);
		map_code(page, to, stack);
		random_registers(&before, stack + 2048);
		assert_int_equal(uc_emu_start(emulated.uc, page, to, 0, 8), UC_ERR_OK);
		assert_int_equal(uc_reg_read(emulated.uc, UC_ARM64_REG_PC, &pc), UC_ERR_OK);
		assert_int_equal(pc, to);
		read_registers(&after);
		assert_same_registers(&before, &after, true, true);
		unmap_code(page, to, stack);
	}
	/* what is near needs none */
	assert_int_equal(plan_short(page, emulated.to_page = page + 0x100000, end, pieces), 1);
}

/* No text, one without padding, one whose zeros are too few, and all of them taken. */
static void short_functions_without_padding(void **state)
{
	u64 page = 0xffff800008010000, end = page + CODE_SIZE, to = page + (1ull << 30);
	struct redirect pieces[REDIRECT_PIECES];

	(void)state;
	taken = 0;
	build_entry(&shapes[5], page, page);
	build_target(to, true);
	assert_int_equal(plan_short(page, to, 0, pieces), -ENOSPC);
	assert_int_equal(plan_short(page, to, end, pieces), -ENOSPC);
	memset(emulated.code + CODE_SIZE - 76, 0, 76);
	assert_int_equal(plan_short(page, to, end, pieces), -ENOSPC);
	memset(emulated.code + CODE_SIZE - 80, 0, 80);
	assert_int_equal(plan_short(page, to, end, pieces), 2);
	taken = end - 16;
	assert_int_equal(plan_short(page, to, end, pieces), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(short_functions_use_the_padding, machine_setup,
						machine_teardown),
		cmocka_unit_test(short_functions_without_padding),
		cmocka_unit_test_setup_teardown(target_reached_and_nothing_touched, machine_setup,
						machine_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
