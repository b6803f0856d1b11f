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
#include "arch/redirect.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/shadow.h"
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
	u64 base; /* where `code` is in the guest */
} machine;

static u64 taken; /* a byte that is not free */

static bool is_free(u64 start, u64 end, void *arg)
{
	(void)arg;
	return taken - start >= end - start;
}

static int read_code(u64 at, u8 *buf, size_t len)
{
	if (at < machine.base || at + len > machine.base + CODE_SIZE)
		return -EFAULT;
	memcpy(buf, machine.code + (at - machine.base), len);
	return 0;
}

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
	assert_memory_equal(machine.code + (pieces[0].from - machine.base), pieces[0].old,
			    pieces[0].len);
	memcpy(machine.code + (pieces[0].from - machine.base), pieces[0].bytes, pieces[0].len);
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

	memset(machine.code, 0xf4, sizeof(machine.code));
	memset(machine.target, 0xf4, sizeof(machine.target));
	assert_int_equal(build_entry(s, machine.code + (function - page)), entry);
	machine.base = page;
	len = lay_one(function, 64, site_of(s), to);
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

/* ---- round sites ---- */

#define BASE   0xffffffff81234000ull /* of machine.code */
#define FUNC   0x40
#define COLD   0x1800 /* of a split-off part, on the second page */
#define TARGET 0xffffffffc0123450ull
#define STACK  0xffffc90000100000ull

static const u8 nop2[] = {0x66, 0x90}, nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
static const u8 padding[] = {0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0};

/*
 * A function at FUNC: five bytes of ftrace site, and behind them what `code` says, in which
 * sites[] are (offsets from FUNC). Static keys are written as NOPs and as jumps in turn.
 */
static const struct shape_round {
	const char *name;
	u8 code[48];
	struct suture_decl_site sites[4];
	u32 padding; /* bytes of it in front of the function */
	u32 pieces;
} rounds[] = {
	{"key of 5 bytes first",
	 {0x0f, 0x1f, 0x44, 0, 0, 0x55, 0x48, 0x89, 0xe5, 0x53},
	 {{.kind = 1, .offset = 5, .len = 5, .target = 0x30, .room = 0x50}},
	 0,
	 2},
	{"key of 2 bytes first",
	 {0x66, 0x90, 0x55, 0x48, 0x89, 0xe5, 0x53, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = 0x30, .room = 0x50}},
	 0,
	 2},
	{"behind a prologue",
	 {0x55, 0x48, 0x89, 0xe5, 0x0f, 0x1f, 0x44, 0, 0, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 9, .len = 5, .target = 0x30, .room = 0x50}},
	 0,
	 3},
	{"2 bytes behind a prologue",
	 {0x41, 0x57, 0x41, 0x56, 0x66, 0x90, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 9, .len = 2, .target = 0x30, .room = 0x50}},
	 0,
	 3},
	{"target in a split-off part",
	 {0x55, 0x0f, 0x1f, 0x44, 0, 0, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 6, .len = 5, .target = COLD - FUNC, .room = 8}},
	 0,
	 3},
	{"target right behind the key",
	 {0x66, 0x90, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = 7, .room = 0x50}},
	 0,
	 1},
	{"target 3 bytes behind it",
	 {0x66, 0x90, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = 10, .room = 0x50}},
	 0,
	 2},
	{"target 5 bytes behind it",
	 {0x66, 0x90, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = 12, .room = 0x50}},
	 0,
	 2},
	{"two keys in a row",
	 {0x55, 0x66, 0x90, 0x0f, 0x1f, 0x44, 0, 0, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 6, .len = 2, .target = 0x30, .room = 0x50},
	  {.kind = 1, .offset = 8, .len = 5, .target = 0x38, .room = 0x48}},
	 0,
	 4},
	{"a key behind and at the target",
	 {0x66, 0x90, 0x53, 0x0f, 0x1f, 0x44, 0, 0, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = COLD - FUNC, .room = 0x40},
	  {.kind = 1, .offset = 8, .len = 5, .target = 0x30, .room = 0x50},
	  {.kind = 1, .offset = COLD - FUNC + 1, .len = 2, .target = 0x28, .room = 0x58}},
	 0,
	 6},
	{"static call behind 2 bytes",
	 {0x31, 0xff, 0xe8, 1, 2, 3, 4, 0x53},
	 {{.kind = 2, .offset = 7, .len = 5}},
	 11,
	 2},
	{"static call behind 4 bytes",
	 {0x55, 0x48, 0x89, 0xfb, 0xe8, 1, 2, 3, 4, 0x53},
	 {{.kind = 2, .offset = 9, .len = 5}},
	 5,
	 2},
	{"static call behind a key",
	 {0x66, 0x90, 0x55, 0x53, 0xe8, 1, 2, 3, 4, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = 0x30, .room = 0x50},
	  {.kind = 2, .offset = 9, .len = 5}},
	 8,
	 3},
	{"padding of the function behind",
	 {0x31, 0xff, 0xe8, 1, 2, 3, 4, 0x53},
	 {{.kind = 2, .offset = 7, .len = 5}, {.kind = 4, .offset = 0x60, .len = 1}},
	 99,
	 2},
	{"padding of the function in front",
	 {0x31, 0xff, 0xe8, 1, 2, 3, 4, 0x53},
	 {{.kind = 2, .offset = 7, .len = 5}, {.kind = 4, .offset = -0x20, .len = 1}},
	 98,
	 2},
	{"end of the function", {0x31, 0xc0, 0xc3}, {{.kind = 1, .offset = 0x70, .len = 2}}, 6, 2},
};

static void write_key(const struct suture_decl_site *s, bool jump)
{
	u8 *at = machine.code + FUNC + s->offset;
	s32 displacement = s->target - s->offset - s->len;
	bool fits = displacement == (int8_t)displacement;

	if (!jump || (s->len == 2 && !fits)) {
		memcpy(at, s->len == 2 ? nop2 : nop5, s->len);
	} else if (s->len == 2) {
		at[0] = 0xeb;
		at[1] = (u8)displacement;
	} else {
		at[0] = 0xe9;
		memcpy(at + 1, &displacement, 4);
	}
}

/* The pieces stand, the sites are as they were, and nothing else has changed. */
static void lay_round(const struct shape_round *s, const struct redirect *pieces, u32 n)
{
	u8 before[CODE_SIZE], owned[CODE_SIZE] = {0};

	memcpy(before, machine.code, CODE_SIZE);
	for (u32 i = 0; i < n; i++) {
		u64 at = pieces[i].from - BASE;

		assert_memory_equal(machine.code + at, pieces[i].old, pieces[i].len);
		for (u32 k = 0; k < pieces[i].len; k++)
			assert_int_equal(owned[at + k]++, 0);
		memcpy(machine.code + at, pieces[i].bytes, pieces[i].len);
	}
	for (u32 i = 0; i < 4 && s->sites[i].len; i++)
		assert_memory_equal(machine.code + FUNC + s->sites[i].offset,
				    before + FUNC + s->sites[i].offset, s->sites[i].len);
}

static u32 nr_sites(const struct shape_round *s)
{
	u32 n = 0;

	while (n < ARRAY_SIZE(s->sites) && s->sites[n].len)
		n++;
	return n;
}

static int plan_round(const struct shape_round *s, u64 size, struct redirect *pieces,
		      struct redirect_obstacle *o)
{
	struct redirect_request q = {.func = BASE + FUNC,
				     .size = size,
				     .site = 0,
				     .to = TARGET,
				     .sites = s->sites,
				     .nr_sites = nr_sites(s),
				     .read = read_code,
				     .is_free = is_free};

	machine.base = BASE;
	return arch_redirect_plan(&q, pieces, o);
}

static void build_round(const struct shape_round *s)
{
	memset(machine.code, 0x53, CODE_SIZE); /* push %rbx: seen by the stack */
	memcpy(machine.code + FUNC, nop5, 5);
	memcpy(machine.code + FUNC + 5, s->code, sizeof(s->code));
	for (u32 i = 0; i < sizeof(s->code); i++)
		if (!s->code[i] && i > 16)
			machine.code[FUNC + 5 + i] = 0x53;
	if (s->padding == 99)
		memcpy(machine.code + FUNC + 0x60 - 11, padding, 11);
	else if (s->padding == 98)
		memcpy(machine.code + FUNC - 0x20 - 11, padding, 11);
	else if (s->padding)
		memcpy(machine.code + FUNC - s->padding, padding + 11 - s->padding, s->padding);
	if (s->padding == 5)
		memcpy(machine.code + FUNC - 5, nop5, 5);
	if (s->padding == 6)
		memcpy(machine.code + FUNC - 6, "\xcc\xcc\x66\x90\x90\x90", 6);
	if (s->padding == 8)
		memcpy(machine.code + FUNC - 8, "\x0f\x1f\x84\0\0\0\0\0", 8);
}

/* From the function's entry to the new one, with every key both ways. */
static void execute_round(const struct shape_round *s, u32 keys)
{
	struct registers before, after;
	u64 rip = 0;

	for (u32 i = 0; i < nr_sites(s); i++)
		if (s->sites[i].kind == SUTURE_SITE_KEY && s->sites[i].offset != 0x70)
			write_key(&s->sites[i], keys >> i & 1);
	random_registers(&before, STACK + 2048);
	machine.writes = 0;
	assert_int_equal(uc_emu_start(machine.uc, BASE + FUNC, TARGET, 0, 40), UC_ERR_OK);
	read_registers(&after);
	assert_int_equal(uc_reg_read(machine.uc, UC_X86_REG_RIP, &rip), UC_ERR_OK);
	if (rip != TARGET)
		fail_msg("%s, keys %u: at %#llx", s->name, keys, (unsigned long long)rip);
	assert_memory_equal(&after, &before, sizeof(before));
	assert_int_equal(machine.writes, 0);
}

/* In front of the function it is free for others only; then that of another function serves. */
static void padding_that_is_taken(void)
{
	static const struct shape_round s = {
		"",
		{0x31, 0xff, 0xe8, 1, 2, 3, 4, 0x53},
		{{.kind = 2, .offset = 7, .len = 5}, {.kind = 4, .offset = 0x60, .len = 1}},
		11,
		0};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o = {0};

	build_round(&s);
	memcpy(machine.code + FUNC + 0x60 - 11, padding, 11);
	assert_int_equal(plan_round(&s, 0x80, pieces, &o), 2);
	assert_int_equal(pieces[0].from, BASE + FUNC - 11);
	taken = BASE + FUNC - 1;
	assert_int_equal(plan_round(&s, 0x80, pieces, &o), 2);
	assert_int_equal(pieces[0].from, BASE + FUNC + 0x60 - 11);
	taken = 0;
}

/* What has no ftrace site may be assembly: where its symbol ends says nothing, nor what is before.
 */
static void no_short_jump_in_assembly(void)
{
	struct redirect_request q = {.func = BASE + FUNC,
				     .size = 3,
				     .site = SUTURE_NONE,
				     .to = TARGET,
				     .read = read_code,
				     .is_free = is_free};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o = {0};

	machine.base = BASE;
	memset(machine.code, 0xcc, FUNC);
	memset(machine.code + FUNC, 0x53, 16);
	assert_int_equal(arch_redirect_plan(&q, pieces, &o), -ENOSPC);
}

static void round_the_sites(void **state)
{
	u32 runs = 0;

	(void)state;
	assert_int_equal(uc_mem_map_ptr(machine.uc, BASE, CODE_SIZE, UC_PROT_READ | UC_PROT_EXEC,
					machine.code),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_map_ptr(machine.uc, TARGET & PAGE_MASK, PAGE_SIZE,
					UC_PROT_READ | UC_PROT_EXEC, machine.target),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_map(machine.uc, STACK, PAGE_SIZE, UC_PROT_READ | UC_PROT_WRITE),
			 UC_ERR_OK);
	for (u32 i = 0; i < ARRAY_SIZE(rounds); i++) {
		const struct shape_round *s = &rounds[i];
		struct redirect pieces[REDIRECT_PIECES];
		struct redirect_obstacle o = {0};
		u64 size = s->sites[0].offset == 0x70 ? 8 : 0x80;
		int n;

		build_round(s);
		for (u32 k = 0; k < nr_sites(s); k++)
			if (s->sites[k].kind == SUTURE_SITE_KEY && s->sites[k].offset != 0x70)
				write_key(&s->sites[k], false);
		n = plan_round(s, size, pieces, &o);
		if (n != (int)s->pieces)
			fail_msg("%s: %d (%#llx, %u)", s->name, n, (unsigned long long)o.at,
				 o.kind);
		lay_round(s, pieces, (u32)n);
		for (u32 keys = 0; keys < 1u << nr_sites(s); keys++, runs++) {
			assert_int_equal(uc_ctl_remove_cache(machine.uc, BASE, BASE + CODE_SIZE),
					 UC_ERR_OK);
			execute_round(s, keys);
		}
		print_message("  %-32s %d pieces\n", s->name, n);
	}
	padding_that_is_taken();
	no_short_jump_in_assembly();
	print_message("%u shapes, %u runs\n", (u32)ARRAY_SIZE(rounds), runs);
	assert_int_equal(uc_mem_unmap(machine.uc, BASE, CODE_SIZE), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(machine.uc, TARGET & PAGE_MASK, PAGE_SIZE), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(machine.uc, STACK, PAGE_SIZE), UC_ERR_OK);
}

/* What cannot be gone round, and what the guest says that is not so. */
static void sites_that_stop_it(void **state)
{
	static const struct {
		struct shape_round s;
		int error;
		u32 kind;
		u32 at; /* from FUNC */
	} cases[] = {
		{{"call first", {0xe8, 1, 2, 3, 4}, {{.kind = 2, .offset = 5, .len = 5}}, 11, 0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_CALL,
		 5},
		{{"call behind one byte",
		  {0x55, 0xe8, 1, 2, 3, 4},
		  {{.kind = 2, .offset = 6, .len = 5}},
		  11,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_CALL,
		 6},
		{{"no padding",
		  {0x31, 0xff, 0xe8, 1, 2, 3, 4},
		  {{.kind = 2, .offset = 7, .len = 5}},
		  0,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_CALL,
		 7},
		{{"call too far from the padding",
		  {0x66, 0x90},
		  {{.kind = 1, .offset = 5, .len = 2, .target = COLD - FUNC, .room = 0x40},
		   {.kind = 2, .offset = COLD - FUNC + 2, .len = 5}},
		  11,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_CALL,
		 COLD - FUNC + 2},
		{{"the padding of a function out of reach",
		  {0x31, 0xff, 0xe8, 1, 2, 3, 4, 0x53},
		  {{.kind = 2, .offset = 7, .len = 5}, {.kind = 4, .offset = 0xa0, .len = 1}},
		  0,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_CALL,
		 7},
		{{"target not known", {0x66, 0x90}, {{.kind = 1, .offset = 5, .len = 2}}, 0, 0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_KEY,
		 5},
		{{"a loop around nothing but the key",
		  {0x55, 0x66, 0x90},
		  {{.kind = 1, .offset = 6, .len = 2, .target = 5, .room = 0x50}},
		  0,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_KEY,
		 5},
		{{"the same, 2 bytes before it",
		  {0x55, 0x66, 0x90},
		  {{.kind = 1, .offset = 6, .len = 2, .target = 3, .room = 0x50}},
		  0,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_KEY,
		 5},
		{{"no key is there",
		  {0x55, 0x48, 0x89, 0xe5, 0x53},
		  {{.kind = 1, .offset = 6, .len = 2, .target = 0x30, .room = 0x50}},
		  0,
		  0},
		 -EILSEQ,
		 SUTURE_SITE_KEY,
		 6},
		{{"of another length",
		  {0x55, 0x66, 0x90},
		  {{.kind = 1, .offset = 6, .len = 3, .target = 0x30, .room = 0x50}},
		  0,
		  0},
		 -EILSEQ,
		 SUTURE_SITE_KEY,
		 6},
		{{"a target in the key",
		  {0x0f, 0x1f, 0x44, 0, 0},
		  {{.kind = 1, .offset = 5, .len = 5, .target = 7, .room = 0x50}},
		  0,
		  0},
		 -EILSEQ,
		 SUTURE_SITE_KEY,
		 5},
		{{"a part without room",
		  {0x66, 0x90},
		  {{.kind = 1, .offset = 5, .len = 2, .target = COLD - FUNC, .room = 4}},
		  0,
		  0},
		 -ENOSPC,
		 0,
		 COLD - FUNC + 4},
		{{"a probe that is not armed",
		  {0x55, 0x53, 0x53, 0x53, 0x53, 0x53},
		  {{.kind = 3, .offset = 7, .len = 1}},
		  0,
		  0},
		 -EBUSY,
		 SUTURE_SITE_PROBE,
		 7},
		{{"a probe at the target",
		  {0x66, 0x90},
		  {{.kind = 1, .offset = 5, .len = 2, .target = 0x30, .room = 0x50},
		   {.kind = 3, .offset = 0x34, .len = 1}},
		  0,
		  0},
		 -EBUSY,
		 SUTURE_SITE_PROBE,
		 0x34},
		{{"a part that cannot be read",
		  {0x66, 0x90},
		  {{.kind = 1, .offset = 5, .len = 2, .target = 0x10000, .room = 0x50}},
		  0,
		  0},
		 -EFAULT,
		 0,
		 0x10000},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct redirect pieces[REDIRECT_PIECES];
		struct redirect_obstacle o = {0};
		int n;

		build_round(&cases[i].s);
		n = plan_round(&cases[i].s, 0x80, pieces, &o);
		if (n != cases[i].error || o.kind != cases[i].kind ||
		    o.at != BASE + FUNC + cases[i].at)
			fail_msg("%s: %d at %#llx, %u", cases[i].s.name, n,
				 (unsigned long long)(o.at - BASE - FUNC), o.kind);
	}
}

/* ---- refusals ---- */

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

	machine.base = 0x1000;
	memset(machine.code, 0x90, 128);
	memcpy(machine.code, code, MIN(size, 64u));
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
		struct shape s = {.endbr = i & 1, .site = &sites[i / 2]};
		u8 code[64];
		u32 entry = build_entry(&s, code);

		for (u32 size = 0; size <= sizeof(code); size++) {
			u32 site = site_of(&s);
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
		cmocka_unit_test_setup_teardown(target_reached_and_nothing_touched, setup,
						teardown),
		cmocka_unit_test_setup_teardown(round_the_sites, setup, teardown),
		cmocka_unit_test(sites_that_stop_it),
		cmocka_unit_test(too_short_functions_are_refused),
		cmocka_unit_test(what_is_no_function_is_refused),
		cmocka_unit_test(the_site_is_where_the_guest_says),
		cmocka_unit_test(padded_to_the_next_instruction),
		cmocka_unit_test(a_jump_among_instructions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
