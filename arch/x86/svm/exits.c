/* SPDX-License-Identifier: BSD-2-Clause */
/* The handler of each exit. Sections are those of the AMD APM, vol. 2, revision 3.4x. */
#include "svm.h"
#include "../insn.h"

typedef enum exit_class (*exit_handler)(struct cpu *c);

/* 15.13.2: the NMI waits until GIF is set; take it now, in the monitor. */
static enum exit_class on_nmi(struct cpu *c)
{
	svm_open_window();
	svm_delivered(c);
	return nmi_exit(c);
}

static enum exit_class on_cpuid(struct cpu *c)
{
	vcpu_cpuid(c, svm_insn_len(c, 2));
	return EXIT_CPU_ID;
}

/* 15.8.3: before the write. */
static enum exit_class on_descriptor_table(struct cpu *c)
{
	svm_catch_cpuid(c);
	vcpu_tables_change(c);
	return EXIT_OTHER;
}

/* Vol. 3, VMMCALL: exits from any privilege level. */
static enum exit_class on_vmmcall(struct cpu *c)
{
	vcpu_hypercall(c, svm_insn_len(c, 3));
	return EXIT_HYPERCALL;
}

/* 15.9: INVD would discard the monitor's data in the caches. */
static enum exit_class on_invd(struct cpu *c)
{
	vcpu_invd(c, svm_insn_len(c, 2));
	return EXIT_OTHER;
}

/* 15.11: exit_info1 is 0 for RDMSR, 1 for WRMSR. */
static enum exit_class on_msr(struct cpu *c)
{
	u32 len = svm_insn_len(c, 2);

	return svm_of(c)->guest->exit_info1 ? vcpu_wrmsr(c, len) : vcpu_rdmsr(c, len);
}

/* 15.10.2: exit_info2 is the RIP behind the instruction. */
static enum exit_class on_io(struct cpu *c)
{
	const struct vmcb *v = svm_of(c)->guest;
	u32 info = (u32)v->exit_info1;

	vcpu_io(c, IOIO_PORT(info), IOIO_SIZE(info), info & IOIO_IN, info & IOIO_STRING);
	hv->skip(c, (u32)(v->exit_info2 - v->rip));
	return EXIT_IO;
}

/* 15.25.6 */
static enum exit_class on_npf(struct cpu *c)
{
	const struct vmcb *v = svm_of(c)->guest;
	struct stage2_fault f = {
		.ipa = IPA(v->exit_info2),
		.write = v->exit_info1 & NPF_WRITE,
		.fetch = v->exit_info1 & NPF_FETCH,
		.table_walk = v->exit_info1 & NPF_TABLE_WALK,
	};

	return vcpu_stage2_fault(c, &f);
}

/* 15.9: before the IRET of the guest's NMI handler. */
static enum exit_class on_iret(struct cpu *c)
{
	svm_iret(c);
	return EXIT_SINGLE_STEP;
}

/* The instructions of SVM raise #UD, since CPUID does not show SVM (15.4). */
static enum exit_class on_undefined(struct cpu *c)
{
	vcpu_inject_fault(c, VEC_UD, false, 0);
	return EXIT_OTHER;
}

static enum exit_class on_shutdown(struct cpu *c)
{
	vcpu_shutdown(c);
}

/* 15.12, only during a single step: it has completed, or the instruction caused an exception. */
static enum exit_class on_exception(struct cpu *c)
{
	const u32 with_error = 1u << 8 | 0x1fu << 10 | 1u << 17 | 1u << 21 | 1u << 30;
	struct svm_cpu *s = svm_of(c);
	struct vmcb *v = s->guest;
	u8 vector = (u8)(v->exit_code - VMEXIT_EXCEPTION);
	bool stepped = vector == VEC_DB && (v->dr6 & DR6_BS);
	bool guest_too = (v->dr6 & 0xf) || (s->stepped_rflags & RFLAGS_TF);

	vcpu_step_done(c, stepped);
	if (stepped && !guest_too) {
		v->dr6 = s->stepped_dr6;
		return EXIT_SINGLE_STEP;
	}
	if (vector == VEC_PF)
		v->cr2 = v->exit_info2;
	vcpu_inject_fault(c, vector, with_error >> vector & 1, (u32)v->exit_info1);
	return EXIT_SINGLE_STEP;
}

static const exit_handler handlers[] = {
	[VMEXIT_EXCEPTION... VMEXIT_EXCEPTION + 31] = on_exception,
	[VMEXIT_NMI] = on_nmi,
	[VMEXIT_LIDT] = on_descriptor_table,
	[VMEXIT_LGDT] = on_descriptor_table,
	[VMEXIT_CPUID] = on_cpuid,
	[VMEXIT_IRET] = on_iret,
	[VMEXIT_INVD] = on_invd,
	[VMEXIT_INVLPGA] = on_undefined,
	[VMEXIT_IOIO] = on_io,
	[VMEXIT_MSR] = on_msr,
	[VMEXIT_SHUTDOWN] = on_shutdown,
	[VMEXIT_VMRUN] = on_undefined,
	[VMEXIT_VMMCALL] = on_vmmcall,
	[VMEXIT_VMLOAD] = on_undefined,
	[VMEXIT_VMSAVE] = on_undefined,
	[VMEXIT_STGI] = on_undefined,
	[VMEXIT_CLGI] = on_undefined,
	[VMEXIT_SKINIT] = on_undefined,
};

enum exit_class svm_exit(struct cpu *c)
{
	const struct vmcb *v = svm_of(c)->guest;
	/* QEMU 7.2 leaves the upper half of VMEXIT_INVALID clear. */
	u32 code = (u32)v->exit_code;

	if (code == VMEXIT_NPF)
		return on_npf(c);
	if (code < ARRAY_SIZE(handlers) && handlers[code])
		return handlers[code](c);
	vcpu_die(c, "unexpected-exit",
		 "the processor left the guest for a reason that has no handler", v->exit_code,
		 v->exit_info1, v->exit_info2);
}
