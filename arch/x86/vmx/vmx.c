/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel VMX with extended page tables (SDM vol. 3, part "Virtual Machine Extensions"): set-up,
 * entry, and the functions of hv_ops.
 */
#include "vmx.h"
#include "../insn.h"
#include "arch/memory.h"
#include "core/emergency.h"
#include "core/log.h"
#include "core/pool.h"
#include "lib/debug.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "stage2/pgtable.h"
#include <suture/abi.h>

#define FN1_ECX_VMX		  (1u << 5)
#define FN7_EBX_RTM		  (1u << 11)
#define FN7_EDX_ARCH_CAPABILITIES (1u << 29)
#define FN80000001_EDX_PAGE1GB	  (1u << 26)

#define MSR_ARCH_CAPABILITIES 0x10a
#define PSCHANGE_MC_NO	      (1ull << 6)

#define FEATURE_CONTROL_LOCK  (1ull << 0)
#define FEATURE_CONTROL_VMXON (1ull << 2) /* outside of SMX */

#define CR4_VMXE      (1ull << 13)
#define MSR_SPEC_CTRL 0x48
#define MSR_FLUSH_CMD 0x10b
#define FLUSH_CMD_L1D 1

#define INV_SINGLE 1
#define INV_ALL	   2

#define MSR_RANGE 0x2000u

struct vmx vmx;

/* ---- what the machine has ---- */

static const char *choose_controls(void)
{
	const char *missing = NULL;

	for (enum vmx_controls f = 0; f < NR_VMX_CONTROLS && !missing; f++) {
		vmx.capability[f] = rdmsr(vmx_control_msrs[f]);
		vmx_choose(f, vmx.capability[f], &vmx.controls[f], &missing);
	}
	return missing ? missing : vmx_ept_lacks(rdmsr(MSR_VMX_EPT_VPID));
}

static struct vmx_features read_features(void)
{
	struct vmx_features f = {0};
	struct cpuid leaf;

	if (cpuid(0, 0).eax < 7)
		return f;
	leaf = cpuid(7, 0);
	f.fn7_edx = leaf.edx;
	f.transactions = leaf.ebx & FN7_EBX_RTM;
	if (leaf.eax >= 2)
		f.fn7_2_edx = cpuid(7, 2).edx;
	if (leaf.edx & FN7_EDX_ARCH_CAPABILITIES)
		f.arch_capabilities = rdmsr(MSR_ARCH_CAPABILITIES);
	return f;
}

/*
 * Without this bit a fetch from a page whose leaf changes its size can cause a machine check
 * (CVE-2018-12207).
 */
static enum pt_split split_of_leaves(const struct vmx_features *f)
{
	return f->arch_capabilities & PSCHANGE_MC_NO ? PT_SPLIT_LIVE : PT_SPLIT_PAUSED;
}

static void choose_speculation(const struct vmx_features *f)
{
	vmx.speculation = vmx_choose_speculation(f);
	if (vmx.speculation.lacks)
		log_warn("this processor's microcode has no %s: the guest may be able to read the "
			 "monitor's memory by speculation",
			 vmx.speculation.lacks);
}

static int vmx_probe(char *why, size_t why_size)
{
	struct vmx_features features;
	u64 control, basic;
	const char *missing;

	if (!(cpuid(1, 0).ecx & FN1_ECX_VMX))
		return -ENODEV;
	control = rdmsr(MSR_FEATURE_CONTROL);
	if (control & FEATURE_CONTROL_LOCK && !(control & FEATURE_CONTROL_VMXON)) {
		format(why, why_size,
		       "the firmware has disabled Intel VMX: enable it in its setup");
		return -EACCES;
	}
	basic = rdmsr(MSR_VMX_BASIC);
	missing = basic & BASIC_TRUE_CONTROLS ? choose_controls() : "the TRUE capability MSRs";
	if (missing) {
		format(why, why_size, "this processor's Intel VMX lacks what the monitor needs: %s",
		       missing);
		return -EOPNOTSUPP;
	}
	vmx.revision = BASIC_REVISION(basic);
	for (u32 i = 0; i < 2; i++) {
		vmx.cr_fixed0[i] = rdmsr(MSR_VMX_CR0_FIXED0 + 2 * i);
		vmx.cr_fixed1[i] = rdmsr(MSR_VMX_CR0_FIXED1 + 2 * i);
	}
	features = read_features();
	choose_speculation(&features);
	ept_init(rdmsr(MSR_VMX_EPT_VPID), cpuid(0x80000001, 0).edx & FN80000001_EDX_PAGE1GB,
		 split_of_leaves(&features));
	return 0;
}

/* ---- bitmaps ---- */

/* "MSR-Bitmap Address": reads of low and of high MSRs, then writes. Others exit anyway. */
static void vmx_intercept_msr(u32 msr, bool read, bool write)
{
	u32 base = msr & ~(MSR_RANGE - 1), bit = msr & (MSR_RANGE - 1);
	u8 *map = vmx.msr_bitmap + (base ? 1024 : 0) + bit / 8;

	if (base && base != 0xc0000000)
		return;
	map[0] |= (u8)((read ? 1u : 0) << bit % 8);
	map[2048] |= (u8)((write ? 1u : 0) << bit % 8);
}

/* "I/O-Bitmap Addresses": two pages, one behind the other here */
static void vmx_intercept_ports(u16 first, u16 count)
{
	for (u32 port = first; port < (u32)first + count; port++)
		vmx.io_bitmaps[port / 8] |= (u8)(1u << port % 8);
}

static int vmx_setup(void)
{
	vmx.io_bitmaps = pool_alloc(2);
	vmx.msr_bitmap = pool_alloc(1);
	return vmx.io_bitmaps && vmx.msr_bitmap ? 0 : -ENOMEM;
}

/* ---- one CPU ---- */

static int vmx_setup_cpu(struct cpu *c)
{
	struct vmx_cpu *s = pool_alloc(1);
	struct msr_entry *msrs = pool_alloc(1);

	c->arch->hv = s;
	if (!s || !msrs)
		return -ENOMEM;
	s->vmxon = pool_alloc(1);
	s->vmcs = pool_alloc(1);
	if (!s->vmxon || !s->vmcs)
		return -ENOMEM;
	memcpy(s->vmxon, &vmx.revision, sizeof(vmx.revision));
	memcpy(s->vmcs, &vmx.revision, sizeof(vmx.revision));
	s->guest_msrs = msrs;
	s->host_msrs = msrs + 1;
	*s->guest_msrs = (struct msr_entry){.msr = MSR_SPEC_CTRL};
	*s->host_msrs =
		(struct msr_entry){.msr = MSR_SPEC_CTRL, .value = vmx.speculation.spec_ctrl};
	return 0;
}

static _Noreturn void refuse_to_start(const struct cpu *c, const char *what)
{
	emergency("CPU %u: %s failed (FEATURE_CONTROL %#llx, CR0 %#llx, CR4 %#llx)", c->id, what,
		  (unsigned long long)rdmsr(MSR_FEATURE_CONTROL), (unsigned long long)read_cr0(),
		  (unsigned long long)read_cr4());
	machine_reset();
}

static void invalidate(u64 type)
{
	const u64 ept[2] = {stage2.root.v | EPTP_WB_4_LEVELS, 0}, vpid[2] = {1, 0};

	vmx_invept(type, ept);
	vmx_invvpid(type, vpid);
}

/*
 * "Enabling and Entering VMX Operation". The VMCS keeps its contents over VMCLEAR, which disable()
 * and this execute; the next entry launches it.
 */
static void vmx_enable(struct cpu *c)
{
	struct vmx_cpu *s = vmx_of(c);
	u64 vmxon = arch_pa(s->vmxon).v, vmcs = arch_pa(s->vmcs).v;
	u64 control = rdmsr(MSR_FEATURE_CONTROL);

	if (!(control & FEATURE_CONTROL_LOCK))
		wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMXON);
	write_cr4(read_cr4() | CR4_VMXE);
	if (vmx_on(&vmxon))
		refuse_to_start(c, "VMXON");
	if (vmcs_clear(&vmcs) || vmcs_load(&vmcs))
		refuse_to_start(c, "VMPTRLD");
	s->launched = false;
	vmx_write_constants(c);
	/* of an earlier VMX operation ("Guidelines for Use of the INVEPT Instruction") */
	invalidate(INV_ALL);
}

/* Behind VMXOFF what was blocked in VMX operation is taken: NMIs, INIT. */
static void vmx_disable(struct cpu *c)
{
	u64 vmcs = arch_pa(vmx_of(c)->vmcs).v;

	vmcs_clear(&vmcs);
	vmx_off();
	write_cr4(read_cr4() & ~CR4_VMXE);
}

/* ---- entry ---- */

static void write_event(const struct vcpu *r)
{
	u32 event = (u32)r->event;

	/* Real mode has no error codes ("Checks on VMX Controls", of VM-entry control fields). */
	if (!(r->cr0 & CR0_PE))
		event &= ~EVENT_HAS_ERROR;
	vmcs_write(VMCS_ENTRY_EVENT, event);
	if (!(event & EVENT_VALID))
		return;
	if (event & EVENT_HAS_ERROR)
		vmcs_write(VMCS_ENTRY_ERROR, r->event >> 32);
	/* An exception is not delivered to a CPU that halts ("Checks on Guest Non-Register State").
	 */
	vmcs_write(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
}

/* The event whose delivery the exit interrupted. Its error code is the upper half. */
static u64 interrupted_event(void)
{
	u64 event = event_again((u32)vmcs_read(VMCS_VECTORING_EVENT));

	if (event & EVENT_HAS_ERROR)
		event |= vmcs_read(VMCS_VECTORING_ERROR) << 32;
	/* the entry that injects it blocks NMIs again */
	if (event && EVENT_TYPE(event) == EVENT_NMI)
		vmx_block(BLOCKED_BY_NMI, false);
	/* bit 12 is undefined after an exit and reserved at an entry */
	return event & ~NMI_UNBLOCKED;
}

static void assert_entry(struct cpu *c)
{
	const char *failed = vmx_check(vmx.capability);

	if (failed)
		vcpu_die(c, "entry-check", failed, vmcs_read(VMCS_ENTRY_EVENT),
			 vmcs_read(VMCS_GUEST_ACTIVITY), vmcs_read(VMCS_GUEST_INTERRUPTIBILITY));
}

static enum exit_class vmx_enter(struct cpu *c)
{
	struct vmx_cpu *s = vmx_of(c);
	struct vcpu *r = &c->arch->vcpu;
	u32 reason;

	vmcs_write(VMCS_GUEST_RSP, r->gpr[RSP]);
	vmcs_write(VMCS_GUEST_RIP, r->rip);
	vmcs_write(VMCS_GUEST_RFLAGS, r->rflags);
	vmcs_write(VMCS_TSC_OFFSET, c->arch->tsc_offset);
	write_event(r);
	if (c->arch->flush)
		invalidate(INV_SINGLE);
	c->arch->flush = false;
	if (DEBUG_BUILD)
		assert_entry(c);
	/* last: what follows reads the guest's registers and this function's stack */
	if (vmx.speculation.flush_l1d)
		wrmsr(MSR_FLUSH_CMD, FLUSH_CMD_L1D);

	if (vmx_run(r->gpr, (s->launched ? SWITCH_RESUMES : 0) |
				    (vmx.speculation.clear_buffers ? SWITCH_CLEARS : 0)))
		vcpu_die(c, "entry-refused", "the entry did not begin",
			 vmcs_read(VMCS_INSTRUCTION_ERROR), s->launched, 0);
	s->launched = true;
	reason = (u32)vmcs_read(VMCS_EXIT_REASON);
	r->event = reason & EXIT_ENTRY_FAILED ? 0 : interrupted_event();
	vmx_load_vcpu(c);
	return vmx_exit(c, reason);
}

/* ---- the other functions of hv_ops ---- */

/* On that CPU, in its handler of NMIs: the VMCS is loaded, since its state is CPU_GUEST or
 * CPU_HELD.
 */
static void vmx_force_exit(struct cpu *c)
{
	(void)c;
	vmcs_write(VMCS_PIN_CONTROLS, vmx.controls[VMX_PIN] | PIN_PREEMPTION_TIMER);
}

/* A single step of the guest's own ends behind the instruction too, unless it is one of branches.
 */
static void vmx_skip(struct cpu *c, u32 len)
{
	struct vcpu *r = &c->arch->vcpu;

	vcpu_advance(r, len);
	vmx_block(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS, false);
	if (r->rflags & RFLAGS_TF && !(vmcs_read(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF))
		vmcs_write(VMCS_GUEST_PENDING_DEBUG,
			   vmcs_read(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

static void vmx_set_efer(struct cpu *c, u64 efer)
{
	vmcs_write(VMCS_GUEST_EFER, efer);
	/* NXE changes the meaning of page-table entries. */
	c->arch->flush = true;
}

/* Entries and exits do not switch it. */
static void vmx_set_lstar(struct cpu *c, u64 lstar)
{
	(void)c;
	wrmsr_safe(MSR_LSTAR, lstar);
}

const struct hv_ops vmx_ops = {
	.name = "Intel VMX",
	.hypercall_insn = SUTURE_INSN_VMCALL,
	.probe = vmx_probe,
	.stage2_format = ept_format,
	.setup = vmx_setup,
	.setup_cpu = vmx_setup_cpu,
	.intercept_ports = vmx_intercept_ports,
	.intercept_msr = vmx_intercept_msr,
	.enable = vmx_enable,
	.disable = vmx_disable,
	.set_state = vmx_set_state,
	.run = vmx_enter,
	.force_exit = vmx_force_exit,
	.skip = vmx_skip,
	.nmi_window = vmx_nmi_window,
	.step_begin = vmx_step_begin,
	.step_end = vmx_step_end,
	.set_efer = vmx_set_efer,
	.set_lstar = vmx_set_lstar,
	.catch_tables = vmx_catch_tables,
};
