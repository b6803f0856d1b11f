/* SPDX-License-Identifier: BSD-2-Clause */
/* A CPU without hardware, and what both vendors' parts and the table of MSRs call, for their tests.
 */
#ifndef X86_RIG_H
#define X86_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "arch/upcalls.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/pgtable.h"
#include "../../arch/x86/apic.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/icr.h"
#include "../../arch/x86/insn.h"
#include "../../arch/x86/mtrr.h"
#include "../../arch/x86/policy.h"

#define MAX_BLOCKS 16

static struct boot_info info;
struct boot_info *machine = &info;
struct pgtable stage2;
static struct arch_cpu arch;
static struct cpu cpu = {.arch = &arch}, *self = &cpu;
static u8 *blocks[MAX_BLOCKS]; /* of the pool, as they were asked for */
static u32 nr_blocks;

void *pool_alloc(size_t pages)
{
	assert_true(nr_blocks < MAX_BLOCKS);
	blocks[nr_blocks] = aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);
	return memset(blocks[nr_blocks++], 0, pages * PAGE_SIZE);
}

void vcpu_die(struct cpu *c, const char *cause, const char *what, u64 code, u64 info1, u64 info2)
{
	(void)c, (void)cause, (void)what, (void)code, (void)info1, (void)info2;
	abort();
}

u64 host_root(void)
{
	return 0x1000;
}

int rdmsr_safe(u32 msr, u64 *value)
{
	(void)msr;
	*value = 0;
	return 0;
}

int wrmsr_safe(u32 msr, u64 value)
{
	(void)msr, (void)value;
	return 0;
}

u32 apic_read(enum apic_register r)
{
	(void)r;
	return 0;
}

void apic_write(enum apic_register r, u32 value)
{
	(void)r, (void)value;
}

bool apic_is_x2(void)
{
	return false;
}

void mtrr_note(u32 msr, u64 value)
{
	(void)msr, (void)value;
}

bool icr_filter(struct cpu *c, u32 icr, u32 destination, bool x2)
{
	(void)c, (void)icr, (void)destination, (void)x2;
	return false;
}

void kexec_entry(struct cpu *c, u64 va)
{
	(void)c, (void)va;
}

static int setup_cpu(void)
{
	memset(&arch, 0, sizeof(arch));
	nr_blocks = 0;
	return hv->setup() || hv->setup_cpu(self);
}

static int teardown(void **state)
{
	(void)state;
	while (nr_blocks)
		free(blocks[--nr_blocks]);
	return 0;
}

static inline const struct msr_rule *rule_of(u32 msr)
{
	for (u32 i = 0; i < nr_msr_rules; i++)
		if (msr >= msr_rules[i].first && msr <= msr_rules[i].last)
			return &msr_rules[i];
	return NULL;
}

#endif
