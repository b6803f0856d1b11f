/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The redirects of x86-64, executed: function entries of every shape, at random and extreme
 * distances from their targets, with random registers. The target must be reached, with every
 * register, flag and byte of the stack as it was at the function's entry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unicorn/unicorn.h>
#include "core/arch.h"
#include "core/errno.h"
#include "core/lib/string.h"
#include <suture/abi.h>

#define RUNS	  20000
#define CODE_SIZE (2 * PAGE_SIZE)

static const u8 endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

static const struct site {
	const char *name;
	u8 bytes[5];
	u32 len;
	bool executes; /* else it leads away from here: the run begins behind */
} sites[] = {
	{"no ftrace site", {0}, 0, true},
	{"long NOP", {0x0f, 0x1f, 0x44, 0x00, 0x00}, 5, true},
	{"prefixed NOP", {0x66, 0x66, 0x66, 0x66, 0x90}, 5, true},
	{"traced (call)", {0xe8, 0x12, 0x34, 0x56, 0x78}, 5, false},
	{"traced (jump)", {0xe9, 0x12, 0x34, 0x56, 0x78}, 5, false},
};

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

static u64 seed = 88172645463325252ull;

static u64 rnd(void)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}

/* ---- the machine ---- */

static const int gprs[] = {
	UC_X86_REG_RAX, UC_X86_REG_RBX,	    UC_X86_REG_RCX,	UC_X86_REG_RDX,	   UC_X86_REG_RSI,
	UC_X86_REG_RDI, UC_X86_REG_RBP,	    UC_X86_REG_RSP,	UC_X86_REG_R8,	   UC_X86_REG_R9,
	UC_X86_REG_R10, UC_X86_REG_R11,	    UC_X86_REG_R12,	UC_X86_REG_R13,	   UC_X86_REG_R14,
	UC_X86_REG_R15, UC_X86_REG_FS_BASE, UC_X86_REG_GS_BASE, UC_X86_REG_RFLAGS,
};

#define RFLAGS_STATUS 0xcd5u /* CF PF AF ZF SF DF OF */
#define NR_XMM	      16

struct registers {
	u64 gpr[ARRAY_SIZE(gprs)];
	u8 xmm[NR_XMM][16];
};

static struct {
	uc_engine *uc;
	u8 code[CODE_SIZE]; /* two pages, the function begins in the first */
	u8 target[PAGE_SIZE];
	u8 stack[PAGE_SIZE];
	u32 writes, instructions;
} machine;

static void count_write(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
			void *arg)
{
	(void)uc, (void)type, (void)address, (void)size, (void)value, (void)arg;
	machine.writes++;
}

static void count_instruction(uc_engine *uc, uint64_t address, uint32_t size, void *arg)
{
	(void)uc, (void)address, (void)size, (void)arg;
	machine.instructions++;
}

static int setup(void **state)
{
	uc_hook hook;

	(void)state;
	return uc_open(UC_ARCH_X86, UC_MODE_64, &machine.uc) ||
	       uc_hook_add(machine.uc, &hook, UC_HOOK_MEM_WRITE, (void *)count_write, NULL, 1, 0) ||
	       uc_hook_add(machine.uc, &hook, UC_HOOK_CODE, (void *)count_instruction, NULL, 1, 0);
}

static int teardown(void **state)
{
	(void)state;
	return uc_close(machine.uc);
}

static void random_registers(struct registers *r, u64 rsp)
{
	for (u32 i = 0; i < ARRAY_SIZE(gprs); i++) {
		r->gpr[i] = rnd();
		if (gprs[i] == UC_X86_REG_RSP)
			r->gpr[i] = rsp;
		else if (gprs[i] == UC_X86_REG_RFLAGS)
			r->gpr[i] = (r->gpr[i] & RFLAGS_STATUS) | 2;
		assert_int_equal(uc_reg_write(machine.uc, gprs[i], &r->gpr[i]), UC_ERR_OK);
	}
	for (u32 i = 0; i < NR_XMM; i++) {
		u64 value[2] = {rnd(), rnd()};

		memcpy(r->xmm[i], value, sizeof(value));
		assert_int_equal(uc_reg_write(machine.uc, UC_X86_REG_XMM0 + (int)i, r->xmm[i]),
				 UC_ERR_OK);
	}
}

static void read_registers(struct registers *r)
{
	for (u32 i = 0; i < ARRAY_SIZE(gprs); i++)
		assert_int_equal(uc_reg_read(machine.uc, gprs[i], &r->gpr[i]), UC_ERR_OK);
	for (u32 i = 0; i < NR_XMM; i++)
		assert_int_equal(uc_reg_read(machine.uc, UC_X86_REG_XMM0 + (int)i, r->xmm[i]),
				 UC_ERR_OK);
}

/* ---- a run ---- */

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

static u32 build_entry(const struct shape *s, u8 *function)
{
	u32 len = 0;

	memset(function, 0xf4, 64); /* HLT: who gets here went wrong */
	if (s->endbr) {
		memcpy(function, endbr64, sizeof(endbr64));
		len = sizeof(endbr64);
	}
	memcpy(function + len, s->site->bytes, s->site->len);
	return len + s->site->len;
}

static u32 site_of(const struct shape *s)
{
	if (!s->site->len)
		return SUTURE_NONE;
	return s->endbr ? sizeof(endbr64) : 0;
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
	int offset, len;

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

	memset(machine.code, 0xf4, sizeof(machine.code));
	memset(machine.target, 0xf4, sizeof(machine.target));
	assert_int_equal(build_entry(s, machine.code + (function - page)), entry);
	offset = arch_redirect_offset(machine.code + (function - page), 64, site_of(s), function,
				      to);
	assert_int_equal(offset, entry);
	len = arch_redirect_encode(from, to, machine.code + (from - page));
	assert_true(len > 0 && len <= REDIRECT_MAX);
	if (s->distance != RANDOM_FAR)
		assert_int_equal(len, far_or_near);
	for (u32 i = 0; i < PAGE_SIZE; i++)
		machine.stack[i] = (u8)rnd();

	assert_int_equal(uc_mem_map_ptr(machine.uc, page, CODE_SIZE, UC_PROT_READ | UC_PROT_EXEC,
					machine.code),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_map_ptr(machine.uc, to & PAGE_MASK, PAGE_SIZE,
					UC_PROT_READ | UC_PROT_EXEC, machine.target),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_map(machine.uc, stack, PAGE_SIZE, UC_PROT_READ | UC_PROT_WRITE),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_write(machine.uc, stack, machine.stack, PAGE_SIZE), UC_ERR_OK);

	random_registers(&before, stack + 2048 + rnd() % 512 * 8 % 1024);
	machine.writes = machine.instructions = 0;
	assert_int_equal(uc_emu_start(machine.uc, s->site->executes ? function : from, to, 0, 8),
			 UC_ERR_OK);
	read_registers(&after);
	u64 rip = 0;

	assert_int_equal(uc_reg_read(machine.uc, UC_X86_REG_RIP, &rip), UC_ERR_OK);
	assert_int_equal(rip, to);
	assert_memory_equal(&after, &before, sizeof(before));
	assert_int_equal(uc_mem_read(machine.uc, stack, stack_after, PAGE_SIZE), UC_ERR_OK);
	assert_memory_equal(stack_after, machine.stack, PAGE_SIZE);
	assert_int_equal(machine.writes, 0);
	assert_int_equal(machine.instructions,
			 s->site->executes ? (s->endbr + (s->site->len != 0) + 1) : 1);

	assert_int_equal(uc_mem_unmap(machine.uc, page, CODE_SIZE), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(machine.uc, to & PAGE_MASK, PAGE_SIZE), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(machine.uc, stack, PAGE_SIZE), UC_ERR_OK);

	if (len == 5) {
		s64 displacement = (s64)(to - (from + 5));

		t->min = MIN(t->min, displacement);
		t->max = MAX(t->max, displacement);
		t->near++;
	} else {
		t->far++;
	}
	t->crossing += from / PAGE_SIZE != (from + (u64)len - 1) / PAGE_SIZE;
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

/* ---- refusals ---- */

static void too_short_functions_are_refused(void **state)
{
	const u64 from = 0xffffffff81000000ull;
	const u64 near = from + 0x1000, far = 0xffff888000000000ull;

	(void)state;
	for (u32 i = 0; i < 2 * ARRAY_SIZE(sites); i++) {
		struct shape s = {.endbr = i & 1, .site = &sites[i / 2]};
		u8 code[64];
		u32 entry = build_entry(&s, code);

		for (u32 size = 0; size <= sizeof(code); size++) {
			u32 site = site_of(&s);

			if (size < entry) {
				int refused = arch_redirect_offset(code, size, site, from, far);

				/* there is no room for the site, or none behind it */
				assert_true(refused == -EILSEQ || refused == -ENOSPC);
				continue;
			}
			assert_int_equal(arch_redirect_offset(code, size, site, from, near),
					 size >= entry + 5 ? (int)entry : -ENOSPC);
			assert_int_equal(arch_redirect_offset(code, size, site, from, far),
					 size >= entry + 14 ? (int)entry : -ENOSPC);
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
		assert_int_equal(
			arch_redirect_offset(code, sizeof(code), SUTURE_NONE, 0x1000, 0x2000),
			-EILSEQ);
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
		/* what cannot be */
		{{0x55, 0x0f, 0x1f, 0x44, 0x00, 0x00}, 1, -EILSEQ},
		{{0x55, 0x0f, 0x1f, 0x44, 0x00, 0x00}, 0x1000, -EILSEQ},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(arch_redirect_offset(cases[i].code, sizeof(cases[i].code),
						      cases[i].site, 0x1000, 0x2000),
				 cases[i].offset);
}

/* Instructions of the function begin behind the jump where they did before. */
static void padded_to_the_next_instruction(void **state)
{
	static const struct {
		u8 code[16];
		int len, padded;
	} cases[] = {
		{{0x55, 0x53, 0x48, 0x89, 0xfb, 0x90}, 5, 5}, /* ends where the jump does */
		{{0x55, 0x53, 0x48, 0x81, 0xec, 1, 1, 0, 0, 0x90}, 5, 9}, /* sub $257, %rsp */
		{{0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0x90}, 5, 10},	  /* movabs */
		{{0x55, 0xcc, 0x48, 0x81, 0xec, 1, 1, 0, 0}, 5, -EBUSY},
		{{0xcc, 0x53, 0x48, 0x81, 0xec, 1, 1, 0, 0}, 5, -EBUSY},
		{{0x55, 0x53, 0x48, 0xc7, 0xc0, 0xcc, 0xcc, 0, 0}, 5, 9}, /* cc in an operand */
		{{0x55, 0x53, 0x48, 0x89, 0xfb, 0xcc}, 5, 5},		  /* behind the jump */
		{{0x06, 0x06, 0x06, 0x06, 0x06, 0x06}, 5, 5},		  /* no instructions */
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u8 buf[REDIRECT_MAX], expected[REDIRECT_MAX];

		memset(buf, 0x11, sizeof(buf));
		memcpy(expected, buf, sizeof(buf));
		if (cases[i].padded > cases[i].len)
			memset(expected + cases[i].len, 0x90,
			       (size_t)(cases[i].padded - cases[i].len));
		assert_int_equal(
			arch_redirect_pad(cases[i].code, sizeof(cases[i].code), buf, cases[i].len),
			cases[i].padded);
		assert_memory_equal(buf, expected, sizeof(buf));
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
		cmocka_unit_test_setup_teardown(target_reached_and_nothing_touched, setup,
						teardown),
		cmocka_unit_test(too_short_functions_are_refused),
		cmocka_unit_test(what_is_no_function_is_refused),
		cmocka_unit_test(the_site_is_where_the_guest_says),
		cmocka_unit_test(padded_to_the_next_instruction),
		cmocka_unit_test(a_jump_among_instructions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
