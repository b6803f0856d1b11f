/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of arm64's redirects have in common: two pages of code with a function's entry,
 * which Unicorn runs with random registers.
 */
#ifndef TESTS_ARM64_REDIRECT_RIG_H
#define TESTS_ARM64_REDIRECT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unicorn/unicorn.h>
#include "arch/redirect.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/redirect.h"
#include <suture/abi.h>

#define CODE_SIZE  (2 * PAGE_SIZE)
#define NR_GPRS	   33 /* X0 to X30, SP, NZCV */
#define NR_VECTORS 32

#define NOP	0xd503201fu
#define BTI_C	0xd503245fu
#define BTI_JC	0xd50324dfu
#define PACIASP 0xd503233fu
#define MOV_X9	0xaa1e03e9u
#define BL_FAR	0x97f00000u
#define BRK_BUG 0xd4210000u /* #0x800 */
#define KPROBE	0xd4200080u /* BRK #4 */
#define PUSH	0xa9bf7bfdu /* STP X29, X30, [SP, #-16]! */

struct registers {
	u64 gpr[NR_GPRS];
	u8 vector[NR_VECTORS][16];
};

static struct redirect_machine {
	uc_engine *uc;
	u8 code[CODE_SIZE]; /* two pages, the function begins in the first */
	u8 target[PAGE_SIZE];
	u8 stack[PAGE_SIZE];
	u32 writes;
	u64 base;    /* where `code` is in the guest */
	u64 to_page; /* and `target` */
} emulated;

/* What a function can begin with, and the offset of the redirect's jump. */
struct shape {
	const char *name;
	u32 code[4];
	u32 site, entry;
	bool executes;	  /* else it leads away from here: the run begins behind */
	bool entry_piece; /* there is a piece in front of the jump */
	bool uses_x9;
};

#define NR_SHAPES 9

static const struct shape shapes[NR_SHAPES] = {
	{"neither pad nor site", {PUSH}, SUTURE_NONE, 0, true, false, false},
	{"BTI", {BTI_C, PUSH}, SUTURE_NONE, 4, true, false, false},
	{"BTI for jumps too", {BTI_JC, PUSH}, SUTURE_NONE, 4, true, false, false},
	{"PACIASP is the pad", {PACIASP, PUSH}, SUTURE_NONE, 4, true, true, false},
	{"site", {MOV_X9, NOP, PACIASP, PUSH}, 4, 8, true, false, true},
	{"BTI and site", {BTI_C, MOV_X9, NOP, PACIASP}, 8, 12, true, false, true},
	{"site, as compiled", {BTI_C, NOP, NOP, PACIASP}, 8, 12, true, false, false},
	{"traced", {BTI_C, MOV_X9, BL_FAR, PACIASP}, 8, 12, false, false, false},
	{"probed at its entry", {KPROBE, MOV_X9, NOP, PACIASP}, 8, 12, false, false, false},
};

static u64 seed = 88172645463325252ull;

/* The next number of a generator that begins at the same one in every run. */
static inline u64 rnd(void)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}

/* 48 bits, in the kernel's half or the user's. */
static inline u64 canonical(u64 va)
{
	return (u64)((s64)(va << 16) >> 16);
}

/* Is the page of `at` one that can be mapped beside the code? */
static inline bool fits(u64 code, u64 size, u64 at)
{
	at &= PAGE_MASK;
	return canonical(code + size) == code + size && canonical(at) == at &&
	       canonical(at + PAGE_SIZE) == at + PAGE_SIZE && code >> 63 == at >> 63 &&
	       at - code + PAGE_SIZE >= size + PAGE_SIZE;
}

static inline int gpr(u32 i)
{
	if (i < 29)
		return UC_ARM64_REG_X0 + (int)i;
	return i == 29	 ? UC_ARM64_REG_X29
	       : i == 30 ? UC_ARM64_REG_X30
	       : i == 31 ? UC_ARM64_REG_SP
			 : UC_ARM64_REG_NZCV;
}

static inline bool is_free(u64 start, u64 end, void *arg)
{
	(void)start, (void)end, (void)arg;
	return true;
}

static inline int read_code(u64 at, u8 *buf, size_t len)
{
	if (at - emulated.base < CODE_SIZE && at - emulated.base + len <= CODE_SIZE)
		memcpy(buf, emulated.code + (at - emulated.base), len);
	else if (at - emulated.to_page < PAGE_SIZE && at - emulated.to_page + len <= PAGE_SIZE)
		memcpy(buf, emulated.target + (at - emulated.to_page), len);
	else
		return -EFAULT;
	return 0;
}

static inline void put_insn(u64 at, u32 insn)
{
	memcpy(emulated.code + (at - emulated.base), &insn, sizeof(insn));
}

static inline u32 get_insn(u64 at)
{
	u32 insn;

	memcpy(&insn, emulated.code + (at - emulated.base), sizeof(insn));
	return insn;
}

/* The function's entry; all else is BRK: who gets there went wrong. */
static inline void build_entry(const struct shape *s, u64 page, u64 func)
{
	emulated.base = page;
	for (u64 at = page; at < page + CODE_SIZE; at += 4)
		put_insn(at, BRK_BUG);
	for (u32 i = 0; i < ARRAY_SIZE(s->code); i++)
		if (s->code[i])
			put_insn(func + 4ull * i, s->code[i]);
}

static inline void build_target(u64 to, bool pad)
{
	u32 first = pad ? BTI_C : PUSH;

	emulated.to_page = to & PAGE_MASK;
	memcpy(emulated.target + to % PAGE_SIZE, &first, sizeof(first));
}

static inline int plan(const struct shape *s, u64 func, u64 size, u64 to, struct redirect *pieces)
{
	struct redirect_request q = {.func = func,
				     .size = size,
				     .site = s->site,
				     .to = to,
				     .read = read_code,
				     .is_free = is_free};
	struct redirect_obstacle o = {0};

	return arch_redirect_plan(&q, pieces, &o);
}

static inline void lay(const struct redirect *pieces, int n)
{
	for (int i = 0; i < n; i++) {
		u8 *at = emulated.code + (pieces[i].from - emulated.base);

		assert_in_range(pieces[i].len, 4, REDIRECT_MAX);
		assert_int_equal((pieces[i].from | pieces[i].len) % 4, 0);
		assert_memory_equal(at, pieces[i].old, pieces[i].len);
		memcpy(at, pieces[i].bytes, pieces[i].len);
	}
}

/* ---- Unicorn ---- */

static inline void count_write(uc_engine *uc, uc_mem_type type, uint64_t address, int size,
			       int64_t value, void *arg)
{
	(void)uc, (void)type, (void)address, (void)size, (void)value, (void)arg;
	emulated.writes++;
}

/* For cmocka: open Unicorn, which counts writes. */
static inline int machine_setup(void **state)
{
	uc_hook hook;

	(void)state;
	return uc_open(UC_ARCH_ARM64, UC_MODE_ARM, &emulated.uc) ||
	       uc_hook_add(emulated.uc, &hook, UC_HOOK_MEM_WRITE, (void *)count_write, NULL, 1, 0);
}

static inline int machine_teardown(void **state)
{
	(void)state;
	return uc_close(emulated.uc);
}

/* Code that stood there before may have been translated. */
static inline void forget_code(u64 page)
{
	for (u64 at = page; at < page + CODE_SIZE; at += 4)
		uc_ctl_remove_cache(emulated.uc, at, at + 4);
}

static inline void map_code(u64 page, u64 to, u64 stack)
{
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
	forget_code(page);
}

static inline void unmap_code(u64 page, u64 to, u64 stack)
{
	assert_int_equal(uc_mem_unmap(emulated.uc, page, CODE_SIZE), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(emulated.uc, to & PAGE_MASK, PAGE_SIZE), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(emulated.uc, stack, PAGE_SIZE), UC_ERR_OK);
}

static inline void random_registers(struct registers *r, u64 sp)
{
	for (u32 i = 0; i < NR_GPRS; i++) {
		r->gpr[i] = rnd();
		if (gpr(i) == UC_ARM64_REG_SP)
			r->gpr[i] = sp;
		else if (gpr(i) == UC_ARM64_REG_NZCV)
			r->gpr[i] &= 0xf0000000;
		assert_int_equal(uc_reg_write(emulated.uc, gpr(i), &r->gpr[i]), UC_ERR_OK);
	}
	for (u32 i = 0; i < NR_VECTORS; i++) {
		u64 value[2] = {rnd(), rnd()};

		memcpy(r->vector[i], value, sizeof(value));
		assert_int_equal(uc_reg_write(emulated.uc, UC_ARM64_REG_V0 + (int)i, r->vector[i]),
				 UC_ERR_OK);
	}
}

static inline void read_registers(struct registers *r)
{
	memset(r, 0, sizeof(*r));
	for (u32 i = 0; i < NR_GPRS; i++)
		assert_int_equal(uc_reg_read(emulated.uc, gpr(i), &r->gpr[i]), UC_ERR_OK);
	for (u32 i = 0; i < NR_VECTORS; i++)
		assert_int_equal(uc_reg_read(emulated.uc, UC_ARM64_REG_V0 + (int)i, r->vector[i]),
				 UC_ERR_OK);
}

static inline void assert_same_registers(const struct registers *before, struct registers *after,
					 bool veneer, bool site)
{
	if (veneer)
		after->gpr[16] = before->gpr[16];
	if (site) {
		assert_int_equal(after->gpr[9], before->gpr[30]);
		after->gpr[9] = before->gpr[9];
	}
	for (u32 i = 0; i < NR_GPRS; i++)
		if (after->gpr[i] != before->gpr[i])
			fail_msg("register %u: %#llx, was %#llx", i,
				 (unsigned long long)after->gpr[i],
				 (unsigned long long)before->gpr[i]);
	assert_memory_equal(after->vector, before->vector, sizeof(before->vector));
}

#endif
