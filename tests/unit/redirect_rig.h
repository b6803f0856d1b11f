/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the tests of x86-64's redirects: two pages of code with a function's entry, which
 * Unicorn runs with random registers.
 */
#ifndef TESTS_REDIRECT_RIG_H
#define TESTS_REDIRECT_RIG_H

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

#define CODE_SIZE (2 * PAGE_SIZE)
#define NR_GPRS	  19
#define NR_XMM	  16
#define NR_SITES  5

struct registers {
	u64 gpr[NR_GPRS];
	u8 xmm[NR_XMM][16];
};

static struct redirect_machine {
	uc_engine *uc;
	u8 code[CODE_SIZE]; /* two pages, the function begins in the first */
	u8 target[PAGE_SIZE];
	u8 stack[PAGE_SIZE];
	u32 writes, instructions;
	u64 base; /* where `code` is in the guest */
} emulated;

static u64 taken; /* a byte that is not free */

/* What may be at an ftrace site. */
struct site {
	const char *name;
	u8 bytes[5];
	u32 len;
	bool executes; /* else it leads away from here: the run begins behind */
};

static const struct site sites[NR_SITES] = {
	{"no ftrace site", {0}, 0, true},
	{"long NOP", {0x0f, 0x1f, 0x44, 0x00, 0x00}, 5, true},
	{"prefixed NOP", {0x66, 0x66, 0x66, 0x66, 0x90}, 5, true},
	{"traced (call)", {0xe8, 0x12, 0x34, 0x56, 0x78}, 5, false},
	{"traced (jump)", {0xe9, 0x12, 0x34, 0x56, 0x78}, 5, false},
};

static const u8 endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

static u64 seed = 88172645463325252ull;

/* The next number of a generator that begins at the same one in every run. */
static inline u64 rnd(void)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}

static const int gprs[NR_GPRS] = {
	UC_X86_REG_RAX, UC_X86_REG_RBX,	    UC_X86_REG_RCX,	UC_X86_REG_RDX,	   UC_X86_REG_RSI,
	UC_X86_REG_RDI, UC_X86_REG_RBP,	    UC_X86_REG_RSP,	UC_X86_REG_R8,	   UC_X86_REG_R9,
	UC_X86_REG_R10, UC_X86_REG_R11,	    UC_X86_REG_R12,	UC_X86_REG_R13,	   UC_X86_REG_R14,
	UC_X86_REG_R15, UC_X86_REG_FS_BASE, UC_X86_REG_GS_BASE, UC_X86_REG_RFLAGS,
};

#define RFLAGS_STATUS 0xcd5u /* CF PF AF ZF SF DF OF */

/* For struct redirect_request, as read_code(). */
static inline bool is_free(u64 start, u64 end, void *arg)
{
	(void)arg;
	return taken - start >= end - start;
}

static inline int read_code(u64 at, u8 *buf, size_t len)
{
	if (at < emulated.base || at + len > emulated.base + CODE_SIZE)
		return -EFAULT;
	memcpy(buf, emulated.code + (at - emulated.base), len);
	return 0;
}

static inline void count_write(uc_engine *uc, uc_mem_type type, uint64_t address, int size,
			       int64_t value, void *arg)
{
	(void)uc, (void)type, (void)address, (void)size, (void)value, (void)arg;
	emulated.writes++;
}

static inline void count_instruction(uc_engine *uc, uint64_t address, uint32_t size, void *arg)
{
	(void)uc, (void)address, (void)size, (void)arg;
	emulated.instructions++;
}

/* For cmocka: open Unicorn, which counts writes and instructions. */
static inline int machine_setup(void **state)
{
	uc_hook hook;

	(void)state;
	return uc_open(UC_ARCH_X86, UC_MODE_64, &emulated.uc) ||
	       uc_hook_add(emulated.uc, &hook, UC_HOOK_MEM_WRITE, (void *)count_write, NULL, 1,
			   0) ||
	       uc_hook_add(emulated.uc, &hook, UC_HOOK_CODE, (void *)count_instruction, NULL, 1, 0);
}

static inline int machine_teardown(void **state)
{
	(void)state;
	return uc_close(emulated.uc);
}

static inline void random_registers(struct registers *r, u64 rsp)
{
	for (u32 i = 0; i < ARRAY_SIZE(gprs); i++) {
		r->gpr[i] = rnd();
		if (gprs[i] == UC_X86_REG_RSP)
			r->gpr[i] = rsp;
		else if (gprs[i] == UC_X86_REG_RFLAGS)
			r->gpr[i] = (r->gpr[i] & RFLAGS_STATUS) | 2;
		assert_int_equal(uc_reg_write(emulated.uc, gprs[i], &r->gpr[i]), UC_ERR_OK);
	}
	for (u32 i = 0; i < NR_XMM; i++) {
		u64 value[2] = {rnd(), rnd()};

		memcpy(r->xmm[i], value, sizeof(value));
		assert_int_equal(uc_reg_write(emulated.uc, UC_X86_REG_XMM0 + (int)i, r->xmm[i]),
				 UC_ERR_OK);
	}
}

static inline void read_registers(struct registers *r)
{
	for (u32 i = 0; i < ARRAY_SIZE(gprs); i++)
		assert_int_equal(uc_reg_read(emulated.uc, gprs[i], &r->gpr[i]), UC_ERR_OK);
	for (u32 i = 0; i < NR_XMM; i++)
		assert_int_equal(uc_reg_read(emulated.uc, UC_X86_REG_XMM0 + (int)i, r->xmm[i]),
				 UC_ERR_OK);
}

/* Write an entry, with HLT behind it; returns its length. */
static inline u32 build_entry(bool endbr, const struct site *site, u8 *function)
{
	u32 len = 0;

	memset(function, 0xf4, 64); /* HLT: execution must not get here */
	if (endbr) {
		memcpy(function, endbr64, sizeof(endbr64));
		len = sizeof(endbr64);
	}
	memcpy(function + len, site->bytes, site->len);
	return len + site->len;
}

/* The offset of the ftrace site in it, or SUTURE_NONE. */
static inline u32 site_of(bool endbr, const struct site *site)
{
	if (!site->len)
		return SUTURE_NONE;
	return endbr ? sizeof(endbr64) : 0;
}

#endif
