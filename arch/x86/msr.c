/* SPDX-License-Identifier: BSD-2-Clause */
/* MSRs that the vendor's bitmap intercepts, and those that no bitmap covers. */
#include "apic.h"
#include "core/log.h"
#include "hv.h"
#include "icr.h"
#include "insn.h"
#include "lib/errno.h"

/*
 * The time stamp counter is the monitor's clock too: what the guest writes is an offset of that CPU
 * alone, in RDTSC, RDTSCP and here. (No AMD processor has the timer mode that would compare with
 * the machine's own counter.)
 */
static u64 read_tsc(const struct cpu *c)
{
	return rdtsc() + c->arch->tsc_offset;
}

#define FN7_EBX_TSC_ADJUST (1u << 1)

/* Its writes move the counter by as much, and the other way round. */
static int machine_tsc_adjust(u64 *value)
{
	if (cpuid(0, 0).eax < 7 || !(cpuid(7, 0).ebx & FN7_EBX_TSC_ADJUST))
		return -EIO;
	return rdmsr_safe(MSR_TSC_ADJUST, value);
}

static int read_tsc_adjust(const struct cpu *c, u64 *value)
{
	int err = machine_tsc_adjust(value);

	if (!err)
		*value += c->arch->tsc_offset;
	return err;
}

static int write_tsc_adjust(struct cpu *c, u64 value)
{
	u64 machines;
	int err = machine_tsc_adjust(&machines);

	if (!err)
		c->arch->tsc_offset = value - machines;
	return err;
}

static int read_msr(struct cpu *c, u32 msr, u64 *value)
{
	switch (msr) {
	case MSR_EFER:
		*value = c->arch->vcpu.efer;
		return 0;
	case MSR_TSC:
		*value = read_tsc(c);
		return 0;
	case MSR_TSC_ADJUST:
		return read_tsc_adjust(c, value);
	case MSR_VM_CR:
	case MSR_VM_HSAVE_PA:
	case MSR_TSC_RATIO:
		return -EIO; /* belong to what CPUID does not show */
	}
	return rdmsr_safe(msr, value);
}

/* Which bits of EFER this processor has, but SVME: VMRUN takes no others (APM vol. 2, 15.5.1). */
static u64 efer_bits(void)
{
	static const struct {
		u64 bit;
		u32 leaf, feature; /* CPUID says so in this register of the leaf */
		enum { A, B, C, D } reg;
	} optional[] = {
		{EFER_FFXSR, 0x80000001, 1u << 25, D},	{EFER_TCE, 0x80000001, 1u << 17, C},
		{EFER_MCOMMIT, 0x80000008, 1u << 8, B}, {EFER_INTWB, 0x80000008, 1u << 13, B},
		{EFER_UAIE, 0x80000021, 1u << 7, A},	{EFER_AIBRSE, 0x80000021, 1u << 8, A},
	};
	u64 bits = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	u32 last = cpuid(0x80000000, 0).eax;

	for (u32 i = 0; i < ARRAY_SIZE(optional); i++) {
		struct cpuid r = cpuid(optional[i].leaf, 0);
		u32 reg[] = {[A] = r.eax, [B] = r.ebx, [C] = r.ecx, [D] = r.edx};

		if (optional[i].leaf <= last && reg[optional[i].reg] & optional[i].feature)
			bits |= optional[i].bit;
	}
	return bits;
}

/* APM vol. 2, 3.1.7 and 14.6.1 */
static int write_efer(struct cpu *c, u64 value)
{
	struct vcpu *v = &c->arch->vcpu;

	if (value & ~efer_bits())
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
		log_limited(LOG_ACCESS, LOG_ERROR,
			    "guest CPU %u wants its local APIC at %#llx: refused", c->id,
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
	case MSR_TSC:
		c->arch->tsc_offset = value - rdtsc();
		return 0;
	case MSR_TSC_ADJUST:
		return write_tsc_adjust(c, value);
	case MSR_VM_CR:
	case MSR_VM_HSAVE_PA:
	case MSR_TSC_RATIO:
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
		return EXIT_SYSREG;
	}
	v->gpr[RAX] = (u32)value;
	v->gpr[RDX] = value >> 32;
	hv->skip(c, len);
	return EXIT_SYSREG;
}

enum exit_class vcpu_wrmsr(struct cpu *c, u32 len)
{
	struct vcpu *v = &c->arch->vcpu;
	u32 msr = (u32)v->gpr[RCX];

	if (write_msr(c, msr, v->gpr[RDX] << 32 | (u32)v->gpr[RAX]))
		hv->inject_fault(c, VEC_GP, true, 0);
	else
		hv->skip(c, len);
	return msr == MSR_X2APIC + APIC_ICR / 16 ? EXIT_IRQCHIP : EXIT_SYSREG;
}
