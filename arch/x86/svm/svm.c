/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD SVM with nested paging (APM vol. 2, chapter 15): set-up, entry, and the functions of hv_ops.
 */
#include <suture/abi.h>
#include "svm.h"
#include "../insn.h"
#include "../apic.h"
#include "arch/memory.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "stage2/pgtable.h"

#define FN80000001_ECX_SVM	     (1u << 2)
#define FN8000000A_EDX_NP	     (1u << 0)
#define FN8000000A_EDX_NRIP	     (1u << 3)
#define FN80000008_EBX_IBPB	     (1u << 12)
#define FN80000021_EAX_AIBRS	     (1u << 8)
#define FN80000021_EAX_VERW_CLEAR    (1u << 5)
#define FN80000021_ECX_TSA_NO	     (3u << 1) /* TSA_SQ_NO, TSA_L1_NO */
#define FN8000000A_EDX_FLUSH_BY_ASID (1u << 6)

#define VM_CR_R_INIT   (1ull << 1)
#define VM_CR_DISABLED (1ull << 4)

#define IOPM_PAGES  3 /* 64 Ki ports and 3 more bits, rounded up (15.10.1) */
#define MSRPM_PAGES 2 /* two bits for each of three ranges of 8 Ki MSRs (15.11) */
#define GUEST_ASID  1

static struct {
	u8 *iopm, *msrpm;
	bool next_rip;
	bool flush_by_asid;
	bool automatic_ibrs;
	u32 switch_flags;
} svm;

bool svm_needs_barrier(u32 family, u32 features)
{
	return family >= 0x17 && family <= 0x19 && features & FN80000008_EBX_IBPB;
}

bool svm_needs_clearing(u32 eax, u32 ecx)
{
	return eax & FN80000021_EAX_VERW_CLEAR &&
	       (ecx & FN80000021_ECX_TSA_NO) != FN80000021_ECX_TSA_NO;
}

static int svm_probe(char *why, size_t why_size)
{
	struct cpuid later = {0};
	u32 features;

	if (cpuid(0x80000000, 0).eax < 0x8000000a ||
	    !(cpuid(0x80000001, 0).ecx & FN80000001_ECX_SVM))
		return -ENODEV;
	features = cpuid(0x8000000a, 0).edx;
	if (rdmsr(MSR_VM_CR) & VM_CR_DISABLED) {
		format(why, why_size, "the firmware has disabled AMD SVM: enable it in its setup");
		return -EACCES;
	}
	if (!(features & FN8000000A_EDX_NP)) {
		format(why, why_size, "this processor's AMD SVM has no nested paging");
		return -EOPNOTSUPP;
	}
	if (cpuid(0x80000000, 0).eax >= 0x80000021)
		later = cpuid(0x80000021, 0);
	svm.automatic_ibrs = later.eax & FN80000021_EAX_AIBRS;
	svm.switch_flags =
		(svm_needs_barrier(cpu_family(), cpuid(0x80000008, 0).ebx) ? SWITCH_BARRIERS : 0) |
		(svm_needs_clearing(later.eax, later.ecx) ? SWITCH_CLEARS : 0);
	svm.next_rip = features & FN8000000A_EDX_NRIP;
	svm.flush_by_asid = features & FN8000000A_EDX_FLUSH_BY_ASID;
	npt_init(rdmsr(MSR_SYSCFG) & SYSCFG_TOP_MEM2 ? rdmsr(MSR_TOP_MEM2) : 0);
	return 0;
}

/* ---- permission maps ---- */

/* 15.11. An MSR in none of the three ranges exits anyway. */
static void svm_intercept_msr(u32 msr, bool read, bool write)
{
	u32 range = msr & ~0x1fffu;
	u32 base = range == 0xc0000000 ? 0x800 : range == 0xc0010000 ? 0x1000 : 0;
	u32 bit = (msr & 0x1fff) * 2;
	u8 *byte = svm.msrpm + base + bit / 8;

	if (base || !range)
		*byte |= (u8)((read ? 1u : 0) << bit % 8 | (write ? 2u : 0) << bit % 8);
}

static void svm_intercept_ports(u16 first, u16 count)
{
	for (u32 port = first; port < (u32)first + count; port++)
		svm.iopm[port / 8] |= (u8)(1u << port % 8);
}

static int svm_setup(void)
{
	svm.iopm = pool_alloc(IOPM_PAGES);
	svm.msrpm = pool_alloc(MSRPM_PAGES);
	if (!svm.iopm || !svm.msrpm)
		return -ENOMEM;
	return 0;
}

/* ---- one CPU ---- */

static int svm_setup_cpu(struct cpu *c)
{
	struct svm_cpu *s = pool_alloc(1);
	struct vmcb *v;

	if (!s)
		return -ENOMEM;
	c->arch->hv = s;
	s->guest = pool_alloc(1);
	s->host = pool_alloc(1);
	s->host_save = pool_alloc(1);
	if (!s->guest || !s->host || !s->host_save)
		return -ENOMEM;

	v = s->guest;
	v->intercept1 = INTERCEPT_NMI | INTERCEPT_INVD | INTERCEPT_INVLPGA | INTERCEPT_IOIO |
			INTERCEPT_MSR | INTERCEPT_SHUTDOWN;
	v->intercept2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |
			INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT;
	v->iopm = arch_pa(svm.iopm).v;
	v->msrpm = arch_pa(svm.msrpm).v;
	v->asid = GUEST_ASID;
	v->nested_control = NESTED_PAGING;
	c->arch->flush = true;
	return 0;
}

static void svm_enable(struct cpu *c)
{
	struct svm_cpu *s = svm_of(c);

	/* The host's EFER: indirect branches do not follow the guest's history (EFER, 3.1.7). */
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME | (svm.automatic_ibrs ? EFER_AIBRSE : 0));
	/* With it the INITs by which CPUs start would be #SX (15.30.1); LOCK does not cover it. */
	if (rdmsr(MSR_VM_CR) & VM_CR_R_INIT)
		wrmsr(MSR_VM_CR, rdmsr(MSR_VM_CR) & ~VM_CR_R_INIT);
	wrmsr(MSR_VM_HSAVE_PA, arch_pa(s->host_save).v);
	__asm__ volatile("clgi; vmsave %0" ::"a"(arch_pa(s->host).v) : "memory");
	s->guest->nested_cr3 = stage2.root.v;
	c->arch->flush = true;
}

/* QEMU delivers pending interrupts late. */
static void svm_disable(struct cpu *c)
{
	(void)c;
	__asm__ volatile("stgi; nop; nop" ::: "memory");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
}

/* ---- CPUID ---- */

/*
 * CPUID exits only while a kernel starts. Once user space runs LGDT and LIDT exit instead: Linux
 * executes them before it jumps into another kernel (machine_kexec()), and each kernel before it
 * asks what processor it has. The instruction is not emulated: it runs again and exits no more.
 */
void svm_catch_cpuid(struct cpu *c)
{
	struct vmcb *v = svm_of(c)->guest;

	v->intercept1 = (v->intercept1 & ~(INTERCEPT_LGDT | INTERCEPT_LIDT)) | INTERCEPT_CPUID;
}

static void svm_catch_tables(struct cpu *c)
{
	svm_of(c)->guest->intercept1 |= INTERCEPT_LGDT | INTERCEPT_LIDT;
}

static void svm_release_cpuid(struct cpu *c)
{
	svm_of(c)->guest->intercept1 &= ~INTERCEPT_CPUID;
	svm_catch_tables(c);
}

/* ---- guest state ---- */

static void load_vcpu(struct cpu *c)
{
	const struct vmcb *b = svm_of(c)->guest;
	struct vcpu *v = &c->arch->vcpu;

	v->gpr[RAX] = b->rax;
	v->gpr[RSP] = b->rsp;
	v->rip = v->exit_rip = b->rip;
	v->rflags = b->rflags;
	v->cr0 = b->cr0;
	v->cr3 = b->cr3;
	v->cr4 = b->cr4;
	v->efer = b->efer & ~EFER_SVME;
	v->gs_base = b->gs.base;
	v->kernel_gs_base = b->syscall[SYSCALL_KERNEL_GS_BASE];
	v->cpl = b->cpl;
	v->long_code = (b->efer & EFER_LMA) && (b->cs.attributes & 1 << 9);
	v->wide_code = b->cs.attributes & 1 << 10;
	v->cs_base = b->cs.base;
	v->shadow = b->interrupt_shadow & 1;
}

static void svm_set_state(struct cpu *c, const struct guest_state *g)
{
	struct svm_cpu *s = svm_of(c);
	struct vmcb *v = s->guest;
	struct vcpu *r = &c->arch->vcpu;

	memset(&v->es, 0, sizeof(*v) - offsetof(struct vmcb, es));
	v->es = g->es;
	v->cs = g->cs;
	v->ss = g->ss;
	v->ds = g->ds;
	v->fs = g->fs;
	v->gs = g->gs;
	v->gdtr = g->gdtr;
	v->ldtr = g->ldtr;
	v->idtr = g->idtr;
	v->tr = g->tr;
	v->efer = g->efer | EFER_SVME;
	v->cr0 = g->cr0;
	v->cr2 = g->cr2;
	v->cr3 = g->cr3;
	v->cr4 = g->cr4;
	v->dr6 = g->dr6;
	v->dr7 = g->dr7;
	v->g_pat = g->pat;
	v->rflags = g->rflags;
	v->rip = g->rip;
	v->rsp = g->gpr[RSP];
	v->rax = g->gpr[RAX];
	memcpy(v->syscall, g->syscall, sizeof(v->syscall));

	s->nmi_blocked = s->over_iret = false;
	svm_catch_cpuid(c);
	v->intercept1 &= ~INTERCEPT_IRET;
	v->intercept_exceptions = 0;
	v->v_intr = 0;
	v->interrupt_shadow = 0;

	memcpy(r->gpr, g->gpr, sizeof(r->gpr));
	r->event = 0;
	load_vcpu(c);
}

/* ---- entry ---- */

/*
 * Seen in multi-threaded QEMU, 7.2 and 10.0: an exit saved the monitor's own state as the guest's.
 * Each later entry would run the monitor's code in the guest.
 */
static bool has_host_state(const struct vmcb *v)
{
	return v->cr3 == host_root() && v->rip - machine->memory.v < machine->image_size;
}

static _Noreturn void die_of_host_state(struct cpu *c, const struct vmcb *v)
{
	char what[160];

	format(what, sizeof(what),
	       "the exit saved the monitor's state as the guest's, at %#llx of its image "
	       "(interrupted event %#llx)",
	       (unsigned long long)(v->rip - machine->memory.v),
	       (unsigned long long)v->exit_int_info);
	vcpu_die(c, "host-state", what, v->exit_code, v->exit_info1, v->exit_info2);
}

static enum exit_class svm_enter(struct cpu *c)
{
	struct svm_cpu *s = svm_of(c);
	struct vmcb *v = s->guest;
	struct vcpu *r = &c->arch->vcpu;

	v->rax = r->gpr[RAX];
	v->rsp = r->gpr[RSP];
	v->rip = r->rip;
	v->rflags = r->rflags;
	v->event_injection = r->event;
	v->tlb_control = !c->arch->flush     ? TLB_FLUSH_NONE
			 : svm.flush_by_asid ? TLB_FLUSH_GUEST
					     : TLB_FLUSH_ALL;
	c->arch->flush = false;
	v->tsc_offset = c->arch->tsc_offset;
	v->clean = 0;

	svm_run(r->gpr, arch_pa(v).v, arch_pa(s->host).v, svm.switch_flags);

	if (has_host_state(v))
		die_of_host_state(c, v);
	r->event = event_again(v->exit_int_info);
	load_vcpu(c);
	return svm_exit(c);
}

/* ---- the other functions of hv_ops ---- */

u32 svm_insn_len(const struct cpu *c, u32 usual)
{
	const struct vmcb *v = svm_of(c)->guest;

	return svm.next_rip ? (u32)(v->next_rip - v->rip) : usual;
}

/*
 * A single step of the guest's own ends behind the instruction too, unless it is one of branches.
 * The step of the monitor's ends behind the next instruction.
 */
static void svm_skip(struct cpu *c, u32 len)
{
	struct vcpu *r = &c->arch->vcpu;

	vcpu_advance(r, len);
	svm_of(c)->guest->interrupt_shadow = 0;
	if (c->arch->step || !(r->rflags & RFLAGS_TF) || host_debugctl() & DEBUGCTL_BTF)
		return;
	svm_of(c)->guest->dr6 |= DR6_BS;
	vcpu_inject_fault(c, VEC_DB, false, 0);
}

/* SVM has no NMI-window exit (15.21.6). An event that is to be injected is delivered first. */
static bool svm_nmi_window(struct cpu *c)
{
	struct svm_cpu *s = svm_of(c);

	if (s->nmi_blocked)
		return false;
	if (c->arch->vcpu.event) {
		arch_kick(c);
		return false;
	}
	s->nmi_blocked = true;
	s->guest->intercept1 |= INTERCEPT_IRET;
	return true;
}

static void svm_set_efer(struct cpu *c, u64 efer)
{
	svm_of(c)->guest->efer = efer | EFER_SVME;
	/* NXE changes the meaning of page-table entries. */
	c->arch->flush = true;
}

/* VMLOAD loads it at the next entry. */
static void svm_set_lstar(struct cpu *c, u64 lstar)
{
	svm_of(c)->guest->syscall[SYSCALL_LSTAR] = lstar;
}

const struct hv_ops svm_ops = {
	.name = "AMD SVM",
	.hypercall_insn = SUTURE_INSN_VMMCALL,
	.probe = svm_probe,
	.stage2_format = npt_format,
	.setup = svm_setup,
	.setup_cpu = svm_setup_cpu,
	.intercept_ports = svm_intercept_ports,
	.intercept_msr = svm_intercept_msr,
	.enable = svm_enable,
	.disable = svm_disable,
	.set_state = svm_set_state,
	.run = svm_enter,
	.skip = svm_skip,
	.nmi_window = svm_nmi_window,
	.step_begin = svm_step_begin,
	.step_end = svm_step_end,
	.set_efer = svm_set_efer,
	.set_lstar = svm_set_lstar,
	.release_cpuid = svm_release_cpuid,
	.catch_tables = svm_catch_tables,
};
