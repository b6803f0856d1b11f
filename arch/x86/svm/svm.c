/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD SVM with nested paging (APM vol. 2, chapter 15): set-up, entry, and what hv_ops asks for. */
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
#define FN8000000A_EDX_FLUSH_BY_ASID (1u << 6)

#define VM_CR_DISABLED (1ull << 4)

#define IOPM_PAGES  3 /* 64 Ki ports and 3 more bits, rounded up (15.10.1) */
#define MSRPM_PAGES 2 /* two bits for each of three ranges of 8 Ki MSRs (15.11) */
#define GUEST_ASID  1

static struct {
	u8 *iopm, *msrpm;
	bool next_rip;
	bool flush_by_asid;
} svm;

static int svm_probe(char *why, size_t why_size)
{
	u32 features;

	if (cpuid(0x80000000, 0).eax < 0x8000000a ||
	    !(cpuid(0x80000001, 0).ecx & FN80000001_ECX_SVM)) {
		format(why, why_size,
		       "this processor has no virtualization that the monitor knows "
		       "(AMD SVM)");
		return -ENODEV;
	}
	features = cpuid(0x8000000a, 0).edx;
	if (rdmsr(MSR_VM_CR) & VM_CR_DISABLED) {
		format(why, why_size, "the firmware has disabled AMD SVM: enable it in its setup");
		return -EACCES;
	}
	if (!(features & FN8000000A_EDX_NP)) {
		format(why, why_size, "this processor's AMD SVM has no nested paging");
		return -EOPNOTSUPP;
	}
	svm.next_rip = features & FN8000000A_EDX_NRIP;
	svm.flush_by_asid = features & FN8000000A_EDX_FLUSH_BY_ASID;
	return 0;
}

/* ---- permission maps ---- */

static void intercept_msr(u32 msr, bool read, bool write)
{
	u32 base = msr < 0x2000 ? 0 : msr >> 16 == 0xc000 ? 0x800 : 0x1000;
	u32 bit = (msr & 0x1fff) * 2;
	u8 *byte = svm.msrpm + base + bit / 8;

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
	intercept_msr(MSR_TSC, true, true);
	intercept_msr(MSR_TSC_ADJUST, true, true);
	intercept_msr(MSR_TSC_RATIO, true, true);
	intercept_msr(MSR_EFER, true, true);
	intercept_msr(MSR_VM_CR, true, true);
	intercept_msr(MSR_VM_HSAVE_PA, true, true);
	intercept_msr(MSR_LSTAR, false, true);
	intercept_msr(MSR_APIC_BASE, false, true);
	intercept_msr(MSR_X2APIC + APIC_ICR / 16, false, true);
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
	v->intercept1 = INTERCEPT_NMI | INTERCEPT_CPUID | INTERCEPT_INVLPGA | INTERCEPT_IOIO |
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

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, arch_pa(s->host_save).v);
	__asm__ volatile("clgi; vmsave %0" ::"a"(arch_pa(s->host).v) : "memory");
	s->guest->nested_cr3 = stage2.root.v;
	c->arch->flush = true;
}

/* ---- guest state ---- */

/* A segment as its descriptor in the current GDT says. */
static struct vmcb_segment read_segment(const struct descriptor_table *gdt, u16 selector)
{
	struct vmcb_segment s = {.selector = selector};
	u64 d;

	if (!(selector & ~7) || selector + 7u > gdt->limit)
		return s;
	memcpy(&d, (const void *)(gdt->base + (selector & ~7u)), sizeof(d));
	s.attributes = (u16)((d >> 40 & 0xff) | (d >> 52 & 0xf) << 8);
	s.limit = (u32)((d & 0xffff) | (d >> 32 & 0xf0000));
	if (d >> 55 & 1)
		s.limit = s.limit << 12 | 0xfff;
	s.base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
	return s;
}

#define SELECTOR(name)                                                                             \
	({                                                                                         \
		u16 selector_;                                                                     \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(selector_));                         \
		selector_;                                                                         \
	})

static void load_vcpu(struct cpu *c)
{
	const struct vmcb *b = svm_of(c)->guest;
	struct vcpu *v = &c->arch->vcpu;

	v->gpr[RAX] = b->rax;
	v->gpr[RSP] = b->rsp;
	v->rip = b->rip;
	v->rflags = b->rflags;
	v->cr0 = b->cr0;
	v->cr3 = b->cr3;
	v->cr4 = b->cr4;
	v->efer = b->efer & ~EFER_SVME;
	v->gs_base = b->gs.base;
	v->kernel_gs_base = b->kernel_gs_base;
	v->cpl = b->cpl;
	v->long_code = (b->efer & EFER_LMA) && (b->cs.attributes & 1 << 9);
	v->wide_code = b->cs.attributes & 1 << 10;
	v->cs_base = b->cs.base;
	v->shadow = b->interrupt_shadow & 1;
}

static void svm_capture(struct cpu *c, const struct native_frame *frame)
{
	struct vmcb *v = svm_of(c)->guest;
	struct vcpu *r = &c->arch->vcpu;
	struct descriptor_table gdt, idt;
	u64 efer = rdmsr(MSR_EFER);

	/* FS, GS, TR, LDTR and the MSRs with them; needs SVM to be on for a moment. */
	wrmsr(MSR_EFER, efer | EFER_SVME);
	__asm__ volatile("vmsave %0" ::"a"(arch_pa(v).v) : "memory");
	wrmsr(MSR_EFER, efer);

	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
	v->gdtr = (struct vmcb_segment){.limit = gdt.limit, .base = gdt.base};
	v->idtr = (struct vmcb_segment){.limit = idt.limit, .base = idt.base};
	v->cs = read_segment(&gdt, SELECTOR(cs));
	v->ss = read_segment(&gdt, SELECTOR(ss));
	v->ds = read_segment(&gdt, SELECTOR(ds));
	v->es = read_segment(&gdt, SELECTOR(es));
	v->efer = efer | EFER_SVME;
	v->cr0 = read_cr0();
	v->cr2 = read_cr2();
	v->cr3 = read_cr3();
	v->cr4 = read_cr4();
	v->dr6 = DR6_RESET;
	v->dr7 = read_dr7();
	v->g_pat = rdmsr(MSR_PAT);
	v->rflags = frame->rflags;
	v->rip = frame->rip;
	v->rsp = (u64)(frame + 1);
	v->rax = 0;
	load_vcpu(c);
	r->gpr[RBX] = frame->rbx;
	r->gpr[RBP] = frame->rbp;
	r->gpr[R12] = frame->r12;
	r->gpr[R13] = frame->r13;
	r->gpr[R14] = frame->r14;
	r->gpr[R15] = frame->r15;
}

/* APM vol. 2, table 14-1: INIT; with CS as SIPI sets it (16.5). */
static void svm_reset(struct cpu *c, u8 vector)
{
	const struct vmcb_segment data = {.attributes = 0x93, .limit = 0xffff};
	struct vmcb *v = svm_of(c)->guest;
	struct vcpu *r = &c->arch->vcpu;

	memset(&v->es, 0, sizeof(*v) - offsetof(struct vmcb, es));
	v->es = v->ss = v->ds = v->fs = v->gs = data;
	v->cs = (struct vmcb_segment){
		.selector = (u16)(vector << 8),
		.attributes = 0x9b,
		.limit = 0xffff,
		.base = (u64)vector << 12,
	};
	v->gdtr.limit = v->idtr.limit = 0xffff;
	v->ldtr = (struct vmcb_segment){.attributes = 0x82, .limit = 0xffff};
	v->tr = (struct vmcb_segment){.attributes = 0x8b, .limit = 0xffff};
	v->efer = EFER_SVME;
	v->cr0 = CR0_ET | (r->cr0 & (CR0_CD | CR0_NW));
	v->dr6 = DR6_RESET;
	v->dr7 = DR7_RESET;
	v->rflags = RFLAGS_FIXED;
	v->g_pat = PAT_RESET;

	v->intercept1 &= ~INTERCEPT_IRET;
	v->intercept_exceptions = 0;
	v->v_intr = 0;
	v->interrupt_shadow = 0;
	v->event_injection = 0;

	memset(r->gpr, 0, sizeof(r->gpr));
	load_vcpu(c);
	r->gpr[RDX] = cpuid(1, 0).eax; /* family, model, stepping */
}

/* ---- entry ---- */

/* An event that the exit interrupted is delivered again, unless its instruction runs again
 * (15.7.2). */
static void keep_event(struct vmcb *v)
{
	u64 event = v->exit_int_info;

	v->event_injection = 0;
	if ((event & EVENT_VALID) && EVENT_TYPE(event) != EVENT_SOFTWARE)
		v->event_injection = event;
}

/*
 * Seen in multi-threaded QEMU, 7.2 and 10.0: an exit that saved the monitor's own state as the
 * guest's. Every entry after it would run the monitor's code in the guest.
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
	v->tlb_control = !c->arch->flush     ? TLB_FLUSH_NONE
			 : svm.flush_by_asid ? TLB_FLUSH_GUEST
					     : TLB_FLUSH_ALL;
	c->arch->flush = false;
	v->tsc_offset = c->arch->tsc_offset;
	v->clean = 0;

	svm_run(r->gpr, arch_pa(v).v, arch_pa(s->host).v);

	if (has_host_state(v))
		die_of_host_state(c, v);
	keep_event(v);
	load_vcpu(c);
	return svm_exit(c);
}

/* ---- what common code asks for ---- */

u32 svm_insn_len(const struct cpu *c, u32 usual)
{
	const struct vmcb *v = svm_of(c)->guest;

	return svm.next_rip ? (u32)(v->next_rip - v->rip) : usual;
}

static void svm_skip(struct cpu *c, u32 len)
{
	struct vcpu *r = &c->arch->vcpu;

	r->rip += len;
	if (!r->long_code)
		r->rip &= 0xffffffff;
	r->rflags &= ~RFLAGS_RF;
	r->shadow = false;
	svm_of(c)->guest->interrupt_shadow = 0;
}

static void svm_inject_fault(struct cpu *c, u8 vector, bool has_error, u32 error)
{
	svm_of(c)->guest->event_injection = vector | EVENT_EXCEPTION | EVENT_VALID |
					    (has_error ? EVENT_HAS_ERROR | (u64)error << 32 : 0);
}

/* keep_event() has it; those of INT instructions run again instead (15.7.2). */
static int svm_undelivered(const struct cpu *c)
{
	u64 event = svm_of(c)->guest->event_injection;

	return (event & EVENT_VALID) && EVENT_TYPE(event) == EVENT_EXCEPTION
		       ? (int)EVENT_VECTOR(event)
		       : -1;
}

static bool svm_inject_nmi(struct cpu *c)
{
	struct vmcb *v = svm_of(c)->guest;

	if (v->event_injection & EVENT_VALID)
		return false;
	v->event_injection = VEC_NMI | EVENT_NMI | EVENT_VALID;
	v->intercept1 |= INTERCEPT_IRET;
	return true;
}

/*
 * A single step is a TF that the guest did not set. Interrupts wait: the monitor's IF, which is
 * off, masks them (15.21.1). Exceptions exit, so that the step ends when the instruction faults.
 */
static void svm_step_begin(struct cpu *c)
{
	struct svm_cpu *s = svm_of(c);
	struct vmcb *v = s->guest;

	v->intercept1 &= ~INTERCEPT_IRET;
	v->intercept_exceptions = ~0u;
	v->v_intr |= V_INTR_MASKING;
	s->stepped_rflags = c->arch->vcpu.rflags;
	s->stepped_dr6 = v->dr6;
	c->arch->vcpu.rflags |= RFLAGS_TF;
}

static void svm_step_end(struct cpu *c, bool loaded_flags)
{
	struct svm_cpu *s = svm_of(c);
	struct vmcb *v = s->guest;

	v->intercept_exceptions = 0;
	v->v_intr &= ~V_INTR_MASKING;
	if (!loaded_flags && !(s->stepped_rflags & RFLAGS_TF))
		c->arch->vcpu.rflags &= ~RFLAGS_TF;
}

static void svm_set_efer(struct cpu *c, u64 efer)
{
	svm_of(c)->guest->efer = efer | EFER_SVME;
	/* NXE changes what page table entries mean. */
	c->arch->flush = true;
}

/* VMLOAD brings it at the next entry. */
static void svm_set_lstar(struct cpu *c, u64 lstar)
{
	svm_of(c)->guest->lstar = lstar;
}

const struct hv_ops svm_ops = {
	.name = "AMD SVM",
	.hypercall_insn = SUTURE_INSN_VMMCALL,
	.probe = svm_probe,
	.setup = svm_setup,
	.setup_cpu = svm_setup_cpu,
	.intercept_ports = svm_intercept_ports,
	.capture = svm_capture,
	.reset = svm_reset,
	.enable = svm_enable,
	.run = svm_enter,
	.open_window = svm_open_window,
	.halt = svm_halt,
	.skip = svm_skip,
	.inject_fault = svm_inject_fault,
	.undelivered = svm_undelivered,
	.inject_nmi = svm_inject_nmi,
	.step_begin = svm_step_begin,
	.step_end = svm_step_end,
	.set_efer = svm_set_efer,
	.set_lstar = svm_set_lstar,
};
