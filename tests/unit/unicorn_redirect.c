/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The redirects of x86-64, executed: function entries of every shape, at random and extreme
 * distances from their targets, with random registers. The target must be reached, with every
 * register, flag and byte of the stack as it was at the function's entry.
 */
#include "redirect_rig.h"

#define RUNS 20000

enum distance {
	RANDOM_NEAR,
	MOST_FORWARD,
	MOST_BACK,
	TOO_FORWARD,
	TOO_BACK,
	RANDOM_FAR,
	DISTANCES
};

static const char *const distance_names[DISTANCES] = {
	"random within 2 GiB",	    "largest forward",		 "largest backward",
	"one byte too far forward", "one byte too far backward", "random anywhere",
};

struct shape {
	bool endbr;
	const struct site *site;
	bool crosses; /* the redirect lies in two pages */
	enum distance distance;
};

struct totals {
	u32 near, far, crossing, endbr, site[ARRAY_SIZE(sites)], distance[DISTANCES];
	s64 min, max; /* displacements of near jumps */
};

static u64 canonical(u64 va)
{
	return (u64)((s64)(va << 16) >> 16);
}

/* Where the redirect of the shape at `from` leads to. */
static u64 pick_target(enum distance distance, u64 from)
{
	u64 next = from + 5;

	switch (distance) {
	case RANDOM_NEAR:
		return next + (u64)(s64)(s32)rnd();
	case MOST_FORWARD:
		return next + 0x7fffffff;
	case MOST_BACK:
		return next - 0x80000000u;
	case TOO_FORWARD:
		return next + 0x80000000u;
	case TOO_BACK:
		return next - 0x80000001u;
	default:
		return canonical(rnd());
	}
}

/* Plan the redirect of a function without sites, of one piece, and write it; returns its length. */
static u32 lay_one(u64 function, u64 size, u32 site, u64 to)
{
	struct redirect_request q = {.func = function,
				     .size = size,
				     .site = site,
				     .to = to,
				     .read = read_code,
				     .is_free = is_free};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o;

	assert_int_equal(arch_redirect_plan(&q, pieces, &o), 1);
	assert_int_equal(pieces[0].lead, 0);
	assert_in_range(pieces[0].len, 1, REDIRECT_MAX);
	assert_memory_equal(emulated.code + (pieces[0].from - emulated.base), pieces[0].old,
			    pieces[0].len);
	memcpy(emulated.code + (pieces[0].from - emulated.base), pieces[0].bytes, pieces[0].len);
	return pieces[0].len;
}

static bool pages_clash(u64 a, u64 a_size, u64 b)
{
	return b - a + PAGE_SIZE < a_size + PAGE_SIZE || canonical(b) != b;
}

static void run(const struct shape *s, struct totals *t)
{
	struct registers before, after;
	u64 page, function, from, to, stack;
	u32 entry, far_or_near;
	u8 stack_after[PAGE_SIZE];
	u32 len;

	entry = (s->endbr ? 4 : 0) + s->site->len;
	far_or_near = s->distance >= TOO_FORWARD ? 14 : 5;
	do {
		/* The kernel's half or the user's, where no distance wraps around. */
		page = canonical(rnd()) & PAGE_MASK;
		function = page + rnd() % (PAGE_SIZE - 64);
		if (s->crosses)
			function = page + PAGE_SIZE - entry - 1 - rnd() % (far_or_near - 1);
		from = function + entry;
		to = pick_target(s->distance, from);
		stack = canonical(rnd()) & PAGE_MASK;
	} while (canonical(page + CODE_SIZE) != page + CODE_SIZE ||
		 pages_clash(page, CODE_SIZE, to & PAGE_MASK) ||
		 pages_clash(page, CODE_SIZE, stack) || stack == (to & PAGE_MASK) ||
		 canonical(to) != to);

	memset(emulated.code, 0xf4, sizeof(emulated.code));
	memset(emulated.target, 0xf4, sizeof(emulated.target));
	assert_int_equal(build_entry(s->endbr, s->site, emulated.code + (function - page)), entry);
	emulated.base = page;
	len = lay_one(function, 64, site_of(s->endbr, s->site), to);
	if (s->distance != RANDOM_FAR)
		assert_int_equal(len, far_or_near);
	for (u32 i = 0; i < PAGE_SIZE; i++)
		emulated.stack[i] = (u8)rnd();

	assert_int_equal(uc_mem_map_ptr(emulated.uc, page, CODE_SIZE, UC_PROT_READ | UC_PROT_EXEC,
					emulated.code),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_map_ptr(emulated.uc, to & PAGE_MASK, PAGE_SIZE,
					UC_PROT_READ | UC_PROT_EXEC, emulated.target),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_map(emulated.uc, stack, PAGE_SIZE, UC_PROT_READ | UC_PROT_WRITE),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_write(emulated.uc, stack, emulated.stack, PAGE_SIZE), UC_ERR_OK);

	random_registers(&before, stack + 2048 + rnd() % 512 * 8 % 1024);
	emulated.writes = emulated.instructions = 0;
	assert_int_equal(uc_emu_start(emulated.uc, s->site->executes ? function : from, to, 0, 8),
			 UC_ERR_OK);
	read_registers(&after);
	u64 rip = 0;

	assert_int_equal(uc_reg_read(emulated.uc, UC_X86_REG_RIP, &rip), UC_ERR_OK);
	assert_int_equal(rip, to);
	assert_memory_equal(&after, &before, sizeof(before));
	assert_int_equal(uc_mem_read(emulated.uc, stack, stack_after, PAGE_SIZE), UC_ERR_OK);
	assert_memory_equal(stack_after, emulated.stack, PAGE_SIZE);
	assert_int_equal(emulated.writes, 0);
	assert_int_equal(emulated.instructions,
			 s->site->executes ? (s->endbr + (s->site->len != 0) + 1) : 1);

	assert_int_equal(uc_mem_unmap(emulated.uc, page, CODE_SIZE), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(emulated.uc, to & PAGE_MASK, PAGE_SIZE), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(emulated.uc, stack, PAGE_SIZE), UC_ERR_OK);

	if (len == 5) {
		s64 displacement = (s64)(to - (from + 5));

		t->min = MIN(t->min, displacement);
		t->max = MAX(t->max, displacement);
		t->near++;
	} else {
		t->far++;
	}
	t->crossing += from / PAGE_SIZE != (from + len - 1) / PAGE_SIZE;
	t->endbr += s->endbr;
	t->site[s->site - sites]++;
	t->distance[s->distance]++;
}

static void target_reached_and_nothing_touched(void **state)
{
	struct totals t = {0};

	(void)state;
	for (u32 i = 0; i < RUNS; i++) {
		struct shape s = {
			.endbr = i & 1,
			.site = &sites[i / 2 % ARRAY_SIZE(sites)],
			.crosses = i / 8 % 2,
			.distance = (enum distance)(i / 16 % DISTANCES),
		};

		run(&s, &t);
	}
	print_message(
		"%u runs: %u near jumps (displacement %lld to %lld), %u far ones; %u redirects "
		"across a page boundary, %u behind ENDBR64\n",
		RUNS, t.near, (long long)t.min, (long long)t.max, t.far, t.crossing, t.endbr);
	for (u32 i = 0; i < ARRAY_SIZE(sites); i++)
		print_message("  %-26s %u\n", sites[i].name, t.site[i]);
	for (u32 i = 0; i < DISTANCES; i++)
		print_message("  %-26s %u\n", distance_names[i], t.distance[i]);
	assert_int_equal(t.min, -0x80000000ll);
	assert_int_equal(t.max, 0x7fffffffll);
	assert_true(t.crossing > RUNS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(target_reached_and_nothing_touched, machine_setup,
						machine_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
