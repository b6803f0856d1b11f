/* SPDX-License-Identifier: BSD-2-Clause */
/* A CPU with a VMCS in memory, and what VMX's part calls, for the tests of that part. */
#ifndef VMX_RIG_H
#define VMX_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "arch/platform.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/emergency.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/pgtable.h"
#include "../../arch/x86/apic.h"
#include "../../arch/x86/icr.h"
#include "../../arch/x86/insn.h"
#include "../../arch/x86/mtrr.h"
#include "../../arch/x86/policy.h"
#include "../../arch/x86/vmx/vmx.h"

#define MAX_BLOCKS 16
#define FIELDS	   0x7000

static struct boot_info info;
struct boot_info *machine = &info;
const struct hv_ops *hv = &vmx_ops;
struct pgtable stage2;
const char vmx_exit_entry[1];
struct descriptor_table host_idt;
static struct arch_cpu arch;
static struct cpu cpu = {.arch = &arch}, *self = &cpu;
static u8 *blocks[MAX_BLOCKS]; /* of the pool, as they were asked for */
static u32 nr_blocks;
static u64 vmcs[FIELDS];
static bool written[FIELDS];
static u64 entered_with; /* the event that the processor was given */
static u32 exit_reason, invalidations, nmi_exits, steps_done, tables_changed, faults;
static bool step_completed, entered_launched, nmis_unblocked;

/* ---- what the code under test calls ---- */

void *pool_alloc(size_t pages)
{
	assert_true(nr_blocks < MAX_BLOCKS);
	blocks[nr_blocks] = aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);
	return memset(blocks[nr_blocks++], 0, pages * PAGE_SIZE);
}

u64 vmcs_read(u32 field)
{
	assert_true(field < FIELDS);
	return vmcs[field];
}

int vmcs_write(u32 field, u64 value)
{
	assert_true(field < FIELDS);
	vmcs[field] = value;
	written[field] = true;
	return 0;
}

int vmx_run(u64 *gprs, bool launched)
{
	(void)gprs;
	entered_with = vmcs[VMCS_ENTRY_EVENT];
	entered_launched = launched;
	vmcs[VMCS_EXIT_REASON] = exit_reason;
	return 0;
}

int vmx_invept(u64 type, const u64 *descriptor)
{
	assert_int_equal(type, 1);
	assert_int_equal(descriptor[0], stage2.root.v | 0x1e);
	invalidations++;
	return 0;
}

int vmx_invvpid(u64 type, const u64 *descriptor)
{
	assert_int_equal(type, 1);
	assert_int_equal(descriptor[0], vmcs[VMCS_VPID] ? vmcs[VMCS_VPID] : 1);
	return 0;
}

int vmx_on(const u64 *pa)
{
	(void)pa;
	return 0;
}

void vmx_off(void)
{
}

int vmcs_clear(const u64 *pa)
{
	(void)pa;
	return 0;
}

int vmcs_load(const u64 *pa)
{
	(void)pa;
	return 0;
}

void vmx_unblock_nmis(void)
{
	nmis_unblocked = true;
}

enum exit_class nmi_exit(struct cpu *c)
{
	assert_ptr_equal(c, self);
	nmi_exits++;
	return EXIT_KICK;
}

void vcpu_step_done(struct cpu *c, bool completed)
{
	steps_done++;
	step_completed = completed;
	c->arch->step = STEP_NONE;
	hv->step_end(c, completed);
}

void vcpu_tables_change(struct cpu *c)
{
	assert_ptr_equal(c, self);
	tables_changed++;
}

void vcpu_die(struct cpu *c, const char *cause, const char *what, u64 code, u64 info1, u64 info2)
{
	(void)c, (void)cause, (void)what, (void)code, (void)info1, (void)info2;
	abort();
}

void vcpu_inject_fault(struct cpu *c, u8 vector, bool has_error, u32 error)
{
	c->arch->vcpu.event = vector | EVENT_EXCEPTION | EVENT_VALID |
			      (has_error ? EVENT_HAS_ERROR | (u64)error << 32 : 0);
	faults++;
}

void vcpu_shutdown(struct cpu *c)
{
	(void)c;
	abort();
}

void machine_reset(void)
{
	abort();
}

void emergency(const char *fmt, ...)
{
	(void)fmt;
}

void vcpu_cpuid(struct cpu *c, u32 len)
{
	(void)c, (void)len;
}

void vcpu_invd(struct cpu *c, u32 len)
{
	(void)c, (void)len;
}

void vcpu_xsetbv(struct cpu *c, u32 len)
{
	(void)c, (void)len;
}

void vcpu_hypercall(struct cpu *c, u32 len)
{
	(void)c, (void)len;
}

void vcpu_io(struct cpu *c, u16 port, u32 size, bool in)
{
	(void)c, (void)port, (void)size, (void)in;
}

static struct stage2_fault fault;

enum exit_class vcpu_stage2_fault(struct cpu *c, const struct stage2_fault *f)
{
	(void)c;
	fault = *f;
	return EXIT_STAGE2_FAULT;
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

u64 arch_time_us(void)
{
	return 0;
}

void arch_debug_putc(char c)
{
	(void)c;
}

/* ---- for each test ---- */

static int setup(void **state)
{
	(void)state;
	memset(&arch, 0, sizeof(arch));
	memset(vmcs, 0, sizeof(vmcs));
	memset(written, 0, sizeof(written));
	nr_blocks = invalidations = nmi_exits = steps_done = tables_changed = faults = 0;
	exit_reason = VMX_CPUID;
	nmis_unblocked = false;
	vmx.controls[VMX_PIN] = PIN_NMI_EXITING | PIN_VIRTUAL_NMIS;
	vmx.cr_fixed0[0] = 0x80000021;
	vmx.cr_fixed0[1] = 1u << 13;
	vmx.cr_fixed1[0] = vmx.cr_fixed1[1] = ~0ull;
	return hv->setup() || hv->setup_cpu(self);
}

static int teardown(void **state)
{
	(void)state;
	while (nr_blocks)
		free(blocks[--nr_blocks]);
	return 0;
}

#endif
