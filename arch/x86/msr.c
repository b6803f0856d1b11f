/* SPDX-License-Identifier: BSD-2-Clause */
/* MSRs that the vendor's bitmap intercepts, and those that no bitmap covers. */
#include "apic.h"
#include "hv.h"
#include "icr.h"
#include "insn.h"
#include "core/errno.h"
#include "core/log.h"

static int read_msr(struct cpu *c, u32 msr, u64 *value)
{
	switch (msr) {
	case MSR_EFER:
		*value = c->arch->vcpu.efer;
		return 0;
	case MSR_VM_CR:
	case MSR_VM_HSAVE_PA:
		return -EIO; /* belong to what CPUID does not show */
	}
	return rdmsr_safe(msr, value);
}

/* APM vol. 2, 3.1.7 and 14.6.1 */
static int write_efer(struct cpu *c, u64 value)
{
	struct vcpu *v = &c->arch->vcpu;
	const u64 known = 0xffff & ~(EFER_SVME | EFER_LMA);

	if (value & ~(known | EFER_LMA | 1ull << 17 | 1ull << 18 | 1ull << 20 | 1ull << 21))
		return -EIO;
	if ((v->cr0 & CR0_PG) && ((value ^ v->efer) & EFER_LME))
		return -EIO;
	/* LMA is the processor's own. */
	hv->set_efer(c, (value & ~EFER_LMA) | (v->efer & EFER_LMA));
	return 0;
}

static int write_apic_base(struct cpu *c, u64 value)
{
	if ((value & APIC_BASE_ADDR) != machine->local_apic.v) {
		log_error("guest CPU %u wants its local APIC at %#llx: refused", c->id,
			  (unsigned long long)(value & APIC_BASE_ADDR));
		return -EIO;
	}
	return wrmsr_safe(MSR_APIC_BASE, value);
}

static int write_lstar(struct cpu *c, u64 value)
{
	u32 unused = c->arch->vcpu.cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	if ((u64)((s64)(value << unused) >> unused) != value)
		return -EIO;
	newkernel_entry(c, value);
	hv->set_lstar(c, value);
	return 0;
}

static int write_msr(struct cpu *c, u32 msr, u64 value)
{
	switch (msr) {
	case MSR_EFER:
		return write_efer(c, value);
	case MSR_VM_CR:
	case MSR_VM_HSAVE_PA:
		return -EIO;
	case MSR_LSTAR:
		return write_lstar(c, value);
	case MSR_APIC_BASE:
		return write_apic_base(c, value);
	case MSR_X2APIC + APIC_ICR / 16:
		if (apic_is_x2() && !icr_filter(c, (u32)value, (u32)(value >> 32), true))
			return 0;
		break;
	}
	return wrmsr_safe(msr, value);
}

enum exit_class vcpu_rdmsr(struct cpu *c, u32 len)
{
	struct vcpu *v = &c->arch->vcpu;
	u64 value;

	if (read_msr(c, (u32)v->gpr[RCX], &value)) {
		hv->inject_fault(c, VEC_GP, true, 0);
		return EXIT_MSR;
	}
	v->gpr[RAX] = (u32)value;
	v->gpr[RDX] = value >> 32;
	hv->skip(c, len);
	return EXIT_MSR;
}

enum exit_class vcpu_wrmsr(struct cpu *c, u32 len)
{
	struct vcpu *v = &c->arch->vcpu;
	u32 msr = (u32)v->gpr[RCX];

	if (write_msr(c, msr, v->gpr[RDX] << 32 | (u32)v->gpr[RAX]))
		hv->inject_fault(c, VEC_GP, true, 0);
	else
		hv->skip(c, len);
	return msr == MSR_X2APIC + APIC_ICR / 16 ? EXIT_APIC : EXIT_MSR;
}
