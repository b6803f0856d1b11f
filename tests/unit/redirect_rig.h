/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of x86-64's redirects have in common: two pages of code with a function's entry,
 * which Unicorn runs with random registers.
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

extern struct redirect_machine {
	uc_engine *uc;
	u8 code[CODE_SIZE]; /* two pages, the function begins in the first */
	u8 target[PAGE_SIZE];
	u8 stack[PAGE_SIZE];
	u32 writes, instructions;
	u64 base; /* where `code` is in the guest */
} emulated;

extern u64 taken; /* a byte that is not free */

/* What may be at an ftrace site. */
struct site {
	const char *name;
	u8 bytes[5];
	u32 len;
	bool executes; /* else it leads away from here: the run begins behind */
};

extern const struct site sites[NR_SITES];

/* The next number of a generator that begins at the same one in every run. */
u64 rnd(void);

/* For struct redirect_request. */
bool is_free(u64 start, u64 end, void *arg);
int read_code(u64 at, u8 *buf, size_t len);

/* For cmocka: open Unicorn, which counts writes and instructions. */
int machine_setup(void **state);
int machine_teardown(void **state);
void random_registers(struct registers *r, u64 rsp);
void read_registers(struct registers *r);

/* Write an entry, with HLT behind it; returns its length. */
u32 build_entry(bool endbr, const struct site *site, u8 *function);
/* The offset of the ftrace site in it, or SUTURE_NONE. */
u32 site_of(bool endbr, const struct site *site);

#endif
