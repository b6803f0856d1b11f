/* SPDX-License-Identifier: BSD-2-Clause */
/* A CPU with a VMCS in memory, and what VMX's part calls, for the tests of that part. */
#ifndef VMX_RIG_H
#define VMX_RIG_H

#include "core/emergency.h"
#include "x86_rig.h"
#include "../../arch/x86/vmx/vmx.h"

#define FIELDS 0x7000

const struct hv_ops *hv = &vmx_ops;
const char vmx_exit_entry[1];
struct descriptor_table host_idt;
static u64 vmcs[FIELDS];
static bool written[FIELDS];
static u64 entered_with; /* the event that the processor was given */
static u32 exit_reason, invalidations, nmi_exits, steps_done, tables_changed, faults;
static bool step_completed, entered_launched, entered_cleared, nmis_unblocked;

/* ---- what the code under test calls ---- */

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

int vmx_run(u64 *gprs, u32 flags)
{
	(void)gprs;
	entered_with = vmcs[VMCS_ENTRY_EVENT];
	entered_launched = flags & SWITCH_RESUMES;
	entered_cleared = flags & SWITCH_CLEARS;
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

void vcpu_io(struct cpu *c, u16 port, u32 size, bool in, bool string)
{
	(void)c, (void)port, (void)size, (void)in, (void)string;
}

static struct stage2_fault fault;

enum exit_class vcpu_stage2_fault(struct cpu *c, const struct stage2_fault *f)
{
	(void)c;
	fault = *f;
	return EXIT_STAGE2_FAULT;
}

/* ---- for each test ---- */

static int setup(void **state)
{
	(void)state;
	memset(vmcs, 0, sizeof(vmcs));
	memset(written, 0, sizeof(written));
	invalidations = nmi_exits = steps_done = tables_changed = faults = 0;
	exit_reason = VMX_CPUID;
	nmis_unblocked = false;
	vmx.speculation = (struct vmx_speculation){0};
	vmx.controls[VMX_PIN] = PIN_NMI_EXITING | PIN_VIRTUAL_NMIS;
	vmx.cr_fixed0[0] = 0x80000021;
	vmx.cr_fixed0[1] = 1u << 13;
	vmx.cr_fixed1[0] = vmx.cr_fixed1[1] = ~0ull;
	return setup_cpu();
}

#endif
