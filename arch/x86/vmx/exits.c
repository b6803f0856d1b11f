/* SPDX-License-Identifier: BSD-2-Clause */
/* The handler of each exit. Sections are those of the Intel SDM, vol. 3, by title. */
#include "../insn.h"
#include "../policy.h"
#include "vmx.h"

typedef enum exit_class (*exit_handler)(struct cpu *c);

static u32 insn_len(void)
{
	return (u32)vmcs_read(VMCS_EXIT_LENGTH);
}

/* ---- events ---- */

/*
 * An IRET that ended the blocking of NMIs and then faulted has it back. info: what tells it; it is
 * not valid during the delivery of an event, nor of a double fault ("Information About NMI
 * Unblocking Due to IRET").
 */
static void block_nmis_again(u64 info)
{
	if (info & NMI_UNBLOCKED && !(vmcs_read(VMCS_VECTORING_EVENT) & EVENT_VALID))
		vmx_block(BLOCKED_BY_NMI, true);
}

/* What the processor does beside DR6 when it delivers #DB ("Debug Exceptions"). */
static void note_debug_exception(u64 qualification)
{
	write_dr6((read_dr6() & ~DR6_CAUSES) | (qualification & (DR6_CAUSES | DR6_BD | DR6_BS)));
	vmcs_write(VMCS_GUEST_DR7, vmcs_read(VMCS_GUEST_DR7) & ~DR7_GD);
	vmcs_write(VMCS_GUEST_DEBUGCTL, vmcs_read(VMCS_GUEST_DEBUGCTL) & ~DEBUGCTL_LBR);
}

/* "Exception Bitmap": only during a single step, which the exception ends. */
static enum exit_class on_exception(struct cpu *c, u32 event)
{
	u64 qualification = vmcs_read(VMCS_QUALIFICATION);
	u8 vector = EVENT_VECTOR(event);

	if (c->arch->step)
		vcpu_step_done(c, false);
	if (vector != VEC_DF)
		block_nmis_again(event);
	if (EVENT_TYPE(event) != EVENT_EXCEPTION)
		return EXIT_SINGLE_STEP; /* of INT3, INTO or INT1, which runs again */
	if (vector == VEC_PF)
		write_cr2(qualification);
	if (vector == VEC_DB)
		note_debug_exception(qualification);
	vcpu_inject_fault(c, vector, event & EVENT_HAS_ERROR, (u32)vmcs_read(VMCS_EXIT_ERROR));
	return EXIT_SINGLE_STEP;
}

/* An NMI that causes an exit is taken by it, and blocks others until an IRET. */
static enum exit_class on_exception_or_nmi(struct cpu *c)
{
	u32 event = (u32)vmcs_read(VMCS_EXIT_EVENT);

	if (EVENT_TYPE(event) != EVENT_NMI)
		return on_exception(c, event);
	vmx_unblock_nmis();
	return nmi_exit(c);
}

/*
 * force_exit() has armed it. It is disarmed first: an NMI that comes from here on arms it again.
 */
static enum exit_class on_timer(struct cpu *c)
{
	vmcs_write(VMCS_PIN_CONTROLS, vmx.controls[VMX_PIN]);
	return nmi_exit(c);
}

static enum exit_class on_nmi_window(struct cpu *c)
{
	vmx_control(c, CPU_NMI_WINDOW_EXITING, false);
	return EXIT_OTHER;
}

static enum exit_class on_step(struct cpu *c)
{
	if (c->arch->step)
		vcpu_step_done(c, true);
	return EXIT_SINGLE_STEP;
}

/* Of the chipset: the guest's own is filtered (icr.c). A reset of the processor is one of the
 * machine.
 */
static enum exit_class on_reset(struct cpu *c)
{
	vcpu_shutdown(c);
}

/* ---- instructions ---- */

static enum exit_class on_cpuid(struct cpu *c)
{
	vcpu_cpuid(c, insn_len());
	return EXIT_CPU_ID;
}

static enum exit_class on_invd(struct cpu *c)
{
	vcpu_invd(c, insn_len());
	return EXIT_OTHER;
}

static enum exit_class on_xsetbv(struct cpu *c)
{
	vcpu_xsetbv(c, insn_len());
	return EXIT_OTHER;
}

static enum exit_class on_vmcall(struct cpu *c)
{
	vcpu_hypercall(c, insn_len());
	return EXIT_HYPERCALL;
}

static enum exit_class on_rdmsr(struct cpu *c)
{
	return vcpu_rdmsr(c, insn_len());
}

static enum exit_class on_wrmsr(struct cpu *c)
{
	return vcpu_wrmsr(c, insn_len());
}

/* The instructions of VMX raise #UD, since CPUID does not show VMX. */
static enum exit_class on_undefined(struct cpu *c)
{
	vcpu_inject_fault(c, VEC_UD, false, 0);
	return EXIT_OTHER;
}

static enum exit_class on_io(struct cpu *c)
{
	u64 q = vmcs_read(VMCS_QUALIFICATION);

	vcpu_io(c, IOQ_PORT(q), IOQ_SIZE(q), q & IOQ_IN, q & IOQ_STRING);
	hv->skip(c, insn_len());
	return EXIT_IO;
}

/*
 * MOV to CR0 or CR4 that changes a bit which the mask has ("Guest/Host Masks and Read Shadows for
 * CR0 and CR4"). If the guest may, its bits become the shadow, and the instruction runs again: then
 * it changes no such bit and does not exit, and the processor carries out the rest of it, with its
 * checks and the change of mode.
 */
static enum exit_class on_cr(struct cpu *c)
{
	u64 q = vmcs_read(VMCS_QUALIFICATION);
	u64 value = c->arch->vcpu.gpr[CRQ_REGISTER(q)];
	u32 cr = CRQ_CR(q);

	if (!c->arch->vcpu.long_code)
		value = (u32)value;
	if (CRQ_KIND(q) != CRQ_MOV_TO || (cr != 0 && cr != 4) || !cr_allows(cr, value))
		vcpu_inject_fault(c, VEC_GP, true, 0);
	else
		vmcs_write(cr ? VMCS_CR4_SHADOW : VMCS_CR0_SHADOW, value);
	return EXIT_SYSREG;
}

static enum exit_class on_gdtr_idtr(struct cpu *c)
{
	vmx_table_access(c, TABLE_INSN_LOADS(vmcs_read(VMCS_EXIT_INSTRUCTION)));
	return EXIT_OTHER;
}

static enum exit_class on_ldtr_tr(struct cpu *c)
{
	vmx_table_access(c, false);
	return EXIT_OTHER;
}

/* ---- stage 2 ---- */

static enum exit_class on_ept_violation(struct cpu *c)
{
	u64 q = vmcs_read(VMCS_QUALIFICATION);
	struct stage2_fault f = {
		.ipa = IPA(vmcs_read(VMCS_GUEST_PHYSICAL)),
		.write = q & EPTV_WRITE,
		.fetch = q & EPTV_FETCH,
		.table_walk = (q & EPTV_LINEAR_VALID) && !(q & EPTV_TRANSLATED),
	};

	block_nmis_again(q);
	return vcpu_stage2_fault(c, &f);
}

static enum exit_class on_misconfiguration(struct cpu *c)
{
	vcpu_die(c, "stage-2-misconfigured", "an EPT entry has a form that the processor refuses",
		 VMX_EPT_MISCONFIGURATION, vmcs_read(VMCS_GUEST_PHYSICAL), 0);
}

static const exit_handler handlers[] = {
	[VMX_EXCEPTION_OR_NMI] = on_exception_or_nmi,
	[VMX_TRIPLE_FAULT] = on_reset,
	[VMX_INIT] = on_reset,
	[VMX_NMI_WINDOW] = on_nmi_window,
	[VMX_CPUID] = on_cpuid,
	[VMX_GETSEC] = on_undefined,
	[VMX_INVD] = on_invd,
	[VMX_VMCALL] = on_vmcall,
	[VMX_VMCLEAR... VMX_VMXON] = on_undefined,
	[VMX_CR_ACCESS] = on_cr,
	[VMX_IO] = on_io,
	[VMX_RDMSR] = on_rdmsr,
	[VMX_WRMSR] = on_wrmsr,
	[VMX_MONITOR_TRAP] = on_step,
	[VMX_GDTR_IDTR] = on_gdtr_idtr,
	[VMX_LDTR_TR] = on_ldtr_tr,
	[VMX_EPT_VIOLATION] = on_ept_violation,
	[VMX_EPT_MISCONFIGURATION] = on_misconfiguration,
	[VMX_INVEPT] = on_undefined,
	[VMX_PREEMPTION_TIMER] = on_timer,
	[VMX_INVVPID] = on_undefined,
	[VMX_XSETBV] = on_xsetbv,
	[VMX_VMFUNC] = on_undefined,
};

enum exit_class vmx_exit(struct cpu *c, u32 reason)
{
	if (reason < ARRAY_SIZE(handlers) && handlers[reason])
		return handlers[reason](c);
	vcpu_die(c, reason & EXIT_ENTRY_FAILED ? "entry-refused" : "unexpected-exit",
		 reason & EXIT_ENTRY_FAILED
			 ? "the processor refused the guest state"
			 : "the processor left the guest for a reason that has no handler",
		 reason, vmcs_read(VMCS_QUALIFICATION), vmcs_read(VMCS_EXIT_EVENT));
}
