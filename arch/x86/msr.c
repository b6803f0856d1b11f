/* SPDX-License-Identifier: BSD-2-Clause */
/* MSRs: the values that the guest reads, and those that it may write. */
#include "apic.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "firmware_msr.h"
#include "hv.h"
#include "icr.h"
#include "insn.h"
#include "lib/errno.h"
#include "mtrr.h"
#include "policy.h"

/* ---- time ---- */

/*
 * The monitor uses the time stamp counter as its clock. A guest's write therefore only changes an
 * offset of that CPU, which RDTSC, RDTSCP and RDMSR add.
 */
static int get_tsc(struct cpu *c, u32 msr, u64 *value)
{
	(void)msr;
	*value = rdtsc() + c->arch->tsc_offset;
	return 0;
}

static void intercept(bool tsc_moved);

static void move_tsc(struct cpu *c, u64 offset)
{
	intercept(true);
	c->arch->tsc_offset = offset;
}

static int set_tsc(struct cpu *c, u32 msr, u64 value)
{
	(void)msr;
	move_tsc(c, value - rdtsc());
	return 0;
}

/*
 * The APIC's timer compares with the machine's counter; 0 stops it. (No AMD processor has this
 * mode.)
 */
static int get_tsc_deadline(struct cpu *c, u32 msr, u64 *value)
{
	int err = rdmsr_safe(msr, value);

	if (!err && *value)
		*value += c->arch->tsc_offset;
	return err;
}

static int set_tsc_deadline(struct cpu *c, u32 msr, u64 value)
{
	return wrmsr_safe(msr, value ? value - c->arch->tsc_offset : 0);
}

#define FN7_EBX_TSC_ADJUST (1u << 1)

/*
 * A write of TSC_ADJUST moves the counter by the difference, and a write of the counter moves
 * TSC_ADJUST.
 */
static int machine_tsc_adjust(u64 *value)
{
	if (cpuid(0, 0).eax < 7 || !(cpuid(7, 0).ebx & FN7_EBX_TSC_ADJUST))
		return -EIO;
	return rdmsr_safe(MSR_TSC_ADJUST, value);
}

static int get_tsc_adjust(struct cpu *c, u32 msr, u64 *value)
{
	int err = machine_tsc_adjust(value);

	(void)msr;
	if (!err)
		*value += c->arch->tsc_offset;
	return err;
}

static int set_tsc_adjust(struct cpu *c, u32 msr, u64 value)
{
	u64 machines;
	int err = machine_tsc_adjust(&machines);

	(void)msr;
	if (!err)
		move_tsc(c, value - machines);
	return err;
}

/* ---- EFER ---- */

static int get_efer(struct cpu *c, u32 msr, u64 *value)
{
	(void)msr;
	*value = c->arch->vcpu.efer;
	return 0;
}

/*
 * The bits of EFER that the guest sees this processor to support: VMRUN accepts only these and SVME
 * (APM vol. 2, 15.5.1).
 */
static u64 efer_bits(void)
{
	static const struct {
		u64 bit;
		u32 leaf, feature; /* the bit of CPUID that reports it: leaf, register, bit */
		enum cpuid_register reg;
	} optional[] = {
		{EFER_FFXSR, 0x80000001, 1u << 25, D},	{EFER_TCE, 0x80000001, 1u << 17, C},
		{EFER_MCOMMIT, 0x80000008, 1u << 8, B}, {EFER_INTWB, 0x80000008, 1u << 13, B},
		{EFER_UAIE, 0x80000021, 1u << 7, A},	{EFER_AIBRSE, 0x80000021, 1u << 8, A},
	};
	u64 bits = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	u32 last = cpuid(0x80000000, 0).eax;

	for (u32 i = 0; i < ARRAY_SIZE(optional); i++) {
		u32 leaf = optional[i].leaf;
		struct cpuid r = cpuid_filter(leaf, 0, cpuid(leaf, 0), 0);
		u32 reg[] = {[A] = r.eax, [B] = r.ebx, [C] = r.ecx, [D] = r.edx};

		if (leaf <= last && reg[optional[i].reg] & optional[i].feature)
			bits |= optional[i].bit;
	}
	return bits;
}

/* APM vol. 2, 3.1.7 and 14.6.1 */
static int set_efer(struct cpu *c, u32 msr, u64 value)
{
	struct vcpu *v = &c->arch->vcpu;

	(void)msr;
	if (value & ~efer_bits())
		return -EIO;
	if ((v->cr0 & CR0_PG) && ((value ^ v->efer) & EFER_LME))
		return -EIO;
	/* The processor sets LMA. */
	hv->set_efer(c, (value & ~EFER_LMA) | (v->efer & EFER_LMA));
	return 0;
}

/* ---- others ---- */

/*
 * Without a local APIC no NMI, and so no pause, would reach this CPU: it is turned off by its
 * software only, in which state it accepts NMIs (APM vol. 2, 16.3.1 and 16.4.7).
 */
static void turn_apic_off(struct cpu *c)
{
	apic_write(APIC_SVR, apic_read(APIC_SVR) & ~APIC_SVR_ENABLE);
	log_limited(LOG_ACCESS, LOG_WARN,
		    "guest CPU %u turns its local APIC off: it stays on for NMIs", c->id);
}

static int set_apic_base(struct cpu *c, u32 msr, u64 value)
{
	if ((value & APIC_BASE_ADDR) != machine->local_apic.v) {
		log_limited(LOG_ACCESS, LOG_ERROR,
			    "guest CPU %u wants its local APIC at %#llx: refused", c->id,
			    (unsigned long long)(value & APIC_BASE_ADDR));
		return -EIO;
	}
	if (!(value & APIC_BASE_ENABLE)) {
		turn_apic_off(c);
		return 0;
	}
	/* From x2APIC the way back leads through off, which the hardware has not seen. */
	if (apic_is_x2() && !(value & APIC_BASE_X2APIC))
		wrmsr_safe(msr, value & ~APIC_BASE_ENABLE);
	return wrmsr_safe(msr, value);
}

static int set_lstar(struct cpu *c, u32 msr, u64 value)
{
	u32 unused = c->arch->vcpu.cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	(void)msr;
	if ((u64)((s64)(value << unused) >> unused) != value)
		return -EIO;
	kexec_entry(c, value);
	hv->set_lstar(c, value);
	return 0;
}

/* APM vol. 2, 16.11.1: a write that sets one faults. */
#define X2APIC_ICR_RESERVED 0xfff32000u

static int set_x2apic_icr(struct cpu *c, u32 msr, u64 value)
{
	if ((u32)value & X2APIC_ICR_RESERVED)
		return -EIO;
	if (apic_is_x2() && !icr_filter(c, (u32)value, (u32)(value >> 32), true))
		return 0;
	return wrmsr_safe(msr, value);
}

#define FEATURE_CONTROL_LOCK   (1ull << 0)
#define FEATURE_CONTROL_HIDDEN 0x6fffeull /* VMXON, SENTER, SGX */

static int get_feature_control(struct cpu *c, u32 msr, u64 *value)
{
	int err = rdmsr_safe(msr, value);

	(void)c;
	if (!err)
		*value = (*value & ~FEATURE_CONTROL_HIDDEN) | FEATURE_CONTROL_LOCK;
	return err;
}

#define VM_CR_LOCK     (1ull << 3)
#define VM_CR_DISABLED (1ull << 4)

/* As where the firmware has turned SVM off, which does not clear its bit in CPUID. */
static int get_vm_cr(struct cpu *c, u32 msr, u64 *value)
{
	int err = rdmsr_safe(msr, value);

	(void)c;
	if (!err)
		*value |= VM_CR_LOCK | VM_CR_DISABLED;
	return err;
}

static int set_mtrr(struct cpu *c, u32 msr, u64 value)
{
	int err = wrmsr_safe(msr, value);

	(void)c;
	if (!err)
		mtrr_note(msr, value);
	return err;
}

/* ---- the table ---- */

#define ONE(msr)     (msr), (msr)
#define HIDDEN	     HIDE, HIDE, ALWAYS, NULL, NULL
#define X2APIC_ICR   (MSR_X2APIC + APIC_ICR / 16)
#define MTRR_WRITTEN PASS, MIRROR, ALWAYS, NULL, set_mtrr
#define CONSTANT     PASS, REFUSE, ALWAYS, NULL, NULL
#define MICROCODE    PASS, EMULATE, ALWAYS, NULL, firmware_ignore_microcode

/* clang-format off */
const struct msr_rule msr_rules[] = {
	/*
	 * the guest's counter has an offset from the monitor's clock (APM vol. 2, 15.5.1; SDM vol.
	 * 3, "Time-Stamp Counter Offset")
	 */
	{ONE(MSR_TSC), EMULATE, EMULATE, ALWAYS, get_tsc, set_tsc},
	/* the APIC's address must not change: its page is write-protected (APM vol. 2, 16.3.1) */
	{ONE(MSR_APIC_BASE), PASS, MIRROR, ALWAYS, NULL, set_apic_base},
	/* reads as locked with VMX, SMX and SGX off (SDM vol. 3, "Enabling and Entering VMX
	 * Operation") */
	{ONE(MSR_FEATURE_CONTROL), MIRROR, REFUSE, ALWAYS, get_feature_control, NULL},
	/* a write moves the counter (SDM vol. 3, "IA32_TSC_ADJUST Support"); an idle Linux reads it
	 * once a second on each CPU */
	{ONE(MSR_TSC_ADJUST), EMULATE, EMULATE, READ_TSC_MOVED, get_tsc_adjust, set_tsc_adjust},
	/* would change the processor below the monitor, and of the service CPU not (SDM vol. 3,
	 * "Microcode Update Loader") */
	{ONE(MSR_BIOS_UPDT_TRIG), MICROCODE},
	/* belongs to VMX (SDM vol. 3, "Dual-Monitor Treatment") */
	{ONE(MSR_SMM_MONITOR_CTL), HIDDEN},
	/* CPUID does not show FRED (SDM vol. 3, "FRED MSRs") */
	{MSR_FRED, 0x1d4, HIDDEN},
	/* the firmware's protection of SMM and of other memory (SDM vol. 3, "SMRR") */
	{MSR_SMRR, 0x1f5, CONSTANT},
	/* All CPUs must have the same, also the service CPU (APM vol. 2, 7.7.5), and stage 2 their types
	 * (memory_type.c) */
	{MSR_MTRR_VARIABLE, 0x21f, MTRR_WRITTEN},
	{MSR_MTRR_FIXED, 0x26f, MTRR_WRITTEN},
	{ONE(MSR_MTRR_DEFAULT), MTRR_WRITTEN},
	/* CPUID does not show the debug store (SDM vol. 3, "Debug Store (DS) Mechanism") */
	{MSR_PEBS, 0x3f2, HIDDEN},
	/* CPUID does not show VMX (SDM vol. 3, "VMX Capability Reporting Facility") */
	{MSR_VMX, 0x493, HIDDEN},
	/* CPUID does not show processor trace (SDM vol. 3, "Intel Processor Trace") */
	{MSR_RTIT, 0x587, HIDDEN},
	/* as 3f1h */
	{ONE(MSR_DS_AREA), HIDDEN},
	/* compares with the machine's counter (SDM vol. 3, "TSC-Deadline Mode") */
	{ONE(MSR_TSC_DEADLINE), EMULATE, EMULATE, TSC_MOVED, get_tsc_deadline, set_tsc_deadline},
	/* the monitor carries out INIT, SIPI and NMI (APM vol. 2, 16.5 and 16.13) */
	{ONE(X2APIC_ICR), PASS, MIRROR, ALWAYS, NULL, set_x2apic_icr},
	/* the firmware's setting of memory encryption (SDM vol. 3, "Total Memory Encryption") */
	{MSR_TME, 0x984, CONSTANT},
	/* CPUID does not show user interrupts (SDM vol. 3, "User Interrupts") */
	{MSR_UINTR, 0x98a, HIDDEN},
	/* SVME must be set, and the guest must not see it (APM vol. 2, 15.4 and 15.5.1) */
	{ONE(MSR_EFER), EMULATE, EMULATE, ALWAYS, get_efer, set_efer},
	/* the address of the system call entry identifies the kernel (guest/kexec.c) */
	{ONE(MSR_LSTAR), PASS, MIRROR, ALWAYS, NULL, set_lstar},
	/* CPUID does not show SVM: all that belongs to it (APM vol. 2, 15.29 and 15.30) */
	{ONE(MSR_TSC_RATIO), HIDDEN},
	/*
	 * the firmware's setting of memory encryption must stay: stage 2 does not set its bit (APM
	 * vol. 2, 7.10 and 15.36); so must that of what is memory (7.9.4)
	 */
	{ONE(MSR_SYSCFG), PASS, MIRROR, ALWAYS, NULL, firmware_set_syscfg},
	/* SMM and its lock, what exits as INVD does, user mode without CPUID (APM vol. 2, 3.2.10) */
	{ONE(MSR_HWCR), PASS, MIRROR, ALWAYS, NULL, firmware_set_hwcr},
	/* which addresses are memory, and which are devices (APM vol. 2, 7.9.2 and 7.9.4) */
	{MSR_IORR, 0xc0010019, CONSTANT},
	{ONE(MSR_TOP_MEM), CONSTANT},
	{ONE(MSR_TOP_MEM2), CONSTANT},
	/* as 79h */
	{ONE(MSR_PATCH_LOADER), MICROCODE},
	/* SMIs on accesses to ports (BKDG, MSRC001_0050 to 0056) */
	{MSR_SMI_IO, 0xc0010056, CONSTANT},
	/* PCI configuration space in memory: would uncover the NIC (BKDG, MSRC001_0058) */
	{ONE(MSR_MMIO_CFG_BASE), CONSTANT},
	/* where SMM is (APM vol. 2, 10.3) */
	{MSR_SMM_BASE, 0xc0010113, CONSTANT},
	/* reads as locked with SVM off (APM vol. 2, 15.30.1) */
	{ONE(MSR_VM_CR), MIRROR, REFUSE, ALWAYS, get_vm_cr, NULL},
	{ONE(MSR_SMM_CTL), CONSTANT},
	{MSR_VM_HSAVE_PA, MSR_SVM_KEY, HIDDEN},
	{ONE(MSR_SMM_KEY), CONSTANT},
	{ONE(MSR_AVIC_DOORBELL), HIDDEN},
	/* CPUID does not show memory encryption of guests (APM vol. 2, 15.34) */
	{ONE(MSR_VMPAGE_FLUSH), HIDDEN},
	{MSR_SEV, 0xc0010133, HIDDEN},
	{ONE(MSR_RMP_CFG), HIDDEN},
};
/* clang-format on */
const u32 nr_msr_rules = ARRAY_SIZE(msr_rules);

static const struct msr_rule *find_rule(u32 msr)
{
	for (u32 i = 0; i < nr_msr_rules; i++)
		if (msr >= msr_rules[i].first && msr <= msr_rules[i].last)
			return &msr_rules[i];
	return NULL;
}

bool msr_exits(const struct msr_rule *r, bool write, bool tsc_moved)
{
	bool now = tsc_moved || r->when == ALWAYS || (write && r->when == READ_TSC_MOVED);

	return now && (write ? r->write : r->read) != PASS;
}

static void intercept(bool tsc_moved)
{
	for (u32 i = 0; i < nr_msr_rules; i++) {
		const struct msr_rule *r = &msr_rules[i];
		bool read = msr_exits(r, false, tsc_moved), write = msr_exits(r, true, tsc_moved);

		/* what exits always is not touched again while guests run */
		for (u32 msr = r->first; msr <= r->last && (!tsc_moved || r->when != ALWAYS); msr++)
			hv->intercept_msr(msr, read, write);
	}
}

void msr_init(void)
{
	intercept(false);
}

/* ---- exits ---- */

static int read_msr(struct cpu *c, u32 msr, u64 *value)
{
	const struct msr_rule *r = find_rule(msr);

	if (!r || r->read == PASS || r->read == REFUSE)
		return rdmsr_safe(msr, value);
	return r->read == HIDE ? -EIO : r->get(c, msr, value);
}

static int write_msr(struct cpu *c, u32 msr, u64 value)
{
	const struct msr_rule *r = find_rule(msr);

	if (!r || r->write == PASS)
		return wrmsr_safe(msr, value);
	return r->write == HIDE || r->write == REFUSE ? -EIO : r->set(c, msr, value);
}

enum exit_class vcpu_rdmsr(struct cpu *c, u32 len)
{
	struct vcpu *v = &c->arch->vcpu;
	u64 value;

	if (read_msr(c, (u32)v->gpr[RCX], &value)) {
		vcpu_inject_fault(c, VEC_GP, true, 0);
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
		vcpu_inject_fault(c, VEC_GP, true, 0);
	else
		hv->skip(c, len);
	return msr == X2APIC_ICR ? EXIT_IRQCHIP : EXIT_SYSREG;
}
