/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses that stage 2 refuses: hidden memory, shadowed pages; and those of CPUs that were kicked.
 */
#include "arch/cpu.h"
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "el2.h"
#include "exception.h"
#include "gic.h"
#include "guest/ram.h"
#include "load.h"
#include "net/pci_guest.h"
#include "stage2/pgtable.h"
#include "sysreg.h"
#include "trampoline.h"

#define HPFAR_FIPA(v) ((v) >> 4 & 0xffffffffffull)

struct stage2_abort {
	ipa_t ipa;
	u32 need;  /* PT_*: what was asked for */
	bool walk; /* the access was the CPU's own, to the guest's page tables */
};

/* ---- what it was ---- */

/*
 * HPFAR_EL2 need not be valid after a permission fault, but of a walk (D19.2.61): then the guest's
 * own tables tell. False: they do not any more.
 */
static bool find_ipa(struct cpu *c, struct stage2_abort *abort)
{
	const struct vcpu *v = &c->arch->vcpu;

	if (abort_is_permission(v->esr) && !abort->walk)
		return !arch_vcpu_translate(c, v->far, &abort->ipa);
	abort->ipa = IPA(HPFAR_FIPA(v->hpfar) << PAGE_SHIFT | (v->far & ~PAGE_MASK));
	return true;
}

/* ---- accesses that cannot be carried out ---- */

/* A synchronous external abort, as of an address that nothing answers at (D19.2.37). */
static void inject_abort(struct cpu *c, u32 fsc)
{
	struct vcpu *v = &c->arch->vcpu;
	u64 ec = ESR_EC(v->esr);

	if (c->arch->step.active)
		vcpu_step_done(c);
	if (!arch_vcpu_user(c))
		ec++; /* the same exception level: EC_IABT, EC_DABT */
	vcpu_inject(c,
		    ec << 26 | ESR_IL | fsc |
			    (ESR_EC(v->esr) == EC_DABT_LOWER ? v->esr & ISS_WNR : 0),
		    v->far);
}

static void refuse(struct cpu *c, const struct stage2_abort *abort)
{
	log_limited(LOG_ACCESS, LOG_ERROR,
		    "guest CPU %u: %s at guest physical %#llx from %#llx cannot be carried out",
		    c->id,
		    abort->walk		     ? "page table"
		    : abort->need == PT_EXEC ? "instruction fetch"
					     : "access",
		    abort->ipa.v, c->arch->vcpu.elr);
	inject_abort(c, abort->walk ? FSC_EXTERNAL_WALK + 3 : FSC_EXTERNAL);
}

/*
 * A write to PCI configuration space. Kernels store one register there (Linux: writeb(), writew(),
 * writel()); what else there is is lost.
 */
static enum exit_class config_write(struct cpu *c, const struct stage2_abort *abort)
{
	const struct vcpu *v = &c->arch->vcpu;
	u32 size = 1u << ISS_SAS(v->esr), from = ISS_SRT(v->esr);

	if (abort->walk) {
		refuse(c, abort);
		return EXIT_IO;
	}
	if ((v->esr & ISS_ISV) && size <= 4)
		pci_guest_write(abort->ipa, size, from < ARRAY_SIZE(v->x) ? (u32)v->x[from] : 0);
	else
		log_limited(LOG_ACCESS, LOG_ERROR,
			    "guest CPU %u: strange write to PCI configuration space at %#llx",
			    c->id, v->elr);
	vcpu_skip(c);
	return EXIT_IO;
}

/* Nothing to write to. */
static void skip_write(struct cpu *c, const struct stage2_abort *abort)
{
	if (abort->walk || abort->need != PT_WRITE)
		refuse(c, abort);
	else
		vcpu_skip(c);
}

/*
 * The tables are not the reason. More than one entry of a TLB matched: by what the guest changed in
 * its own tables, and whether that counts as stage 2's is up to the processor; all are made anew.
 * Else the memory has not answered, or has no exclusive accesses.
 */
static enum exit_class other_abort(struct cpu *c)
{
	const struct vcpu *v = &c->arch->vcpu;

	if (ISS_FSC(v->esr) == FSC_TLB_CONFLICT) {
		__asm__ volatile("tlbi vmalls12e1; dsb nsh; isb" ::: "memory");
		return EXIT_STAGE2_FAULT;
	}
	log_limited(LOG_ACCESS, LOG_ERROR,
		    "guest CPU %u: abort with esr %#llx, address %#llx, at %#llx", c->id, v->esr,
		    v->far, v->elr);
	inject_abort(c, ISS_FSC(v->esr) == FSC_EXCLUSIVE ? FSC_EXCLUSIVE : FSC_EXTERNAL);
	return EXIT_STAGE2_FAULT;
}

/* ---- steps ---- */

#define MDCR_TDE     (1ull << 8) /* debug exceptions come to EL2 (D19.3.17) */
#define MDSCR_SS     (1ull << 0)
#define MDSCR_MDE    (1ull << 15) /* breakpoints and watchpoints */
#define OSLSR_LOCKED (1ull << 1)

/* To shadowed pages, by the guest; changes only while the guest is paused. */
static u64 writes;

static void set_os_lock(bool set)
{
	write_sysreg(oslar_el1, set);
}

/*
 * Software step (D2.12): one instruction is executed, and a debug exception taken to EL2 before the
 * next one. Interrupts are masked meanwhile. The guest's CPUs are stopped, so stage 2 can be given
 * back. There are no debug exceptions while the guest has the OS Lock (OSLAR_EL1): it is opened.
 */
static void step_begin(struct cpu *c)
{
	struct step *s = &c->arch->step;
	struct vcpu *v = &c->arch->vcpu;

	stage2_give_back(true);
	writes++;
	*s = (struct step){
		.active = true,
		.spsr = v->spsr,
		.mdscr = read_sysreg(mdscr_el1),
		.elr = v->elr,
		.os_lock = read_sysreg(oslsr_el1) & OSLSR_LOCKED,
	};
	write_sysreg(mdcr_el2, read_sysreg(mdcr_el2) | MDCR_TDE);
	set_os_lock(false);
	write_sysreg(mdscr_el1, (s->mdscr & ~MDSCR_MDE) | MDSCR_SS);
	isb();
	v->spsr = pstate_to_step(v->spsr);
}

/* An exception of the instruction's own has been taken to EL1: what was masked is in its SPSR_EL1.
 */
static bool took_exception(const struct step *s, const struct vcpu *v)
{
	return v->elr - read_sysreg(vbar_el1) < VECTORS_SIZE && read_sysreg(elr_el1) == s->elr;
}

void vcpu_step_done(struct cpu *c)
{
	struct step *s = &c->arch->step;
	struct vcpu *v = &c->arch->vcpu;

	if (!s->active)
		return;
	if (took_exception(s, v)) {
		write_sysreg(spsr_el1, pstate_stepped(read_sysreg(spsr_el1), s->spsr, false));
		v->spsr &= ~PSTATE_SS;
	} else {
		v->spsr = pstate_stepped(v->spsr, s->spsr, v->elr != s->elr);
	}
	write_sysreg(mdscr_el1, s->mdscr);
	set_os_lock(s->os_lock);
	write_sysreg(mdcr_el2, read_sysreg(mdcr_el2) & ~MDCR_TDE);
	isb();
	s->active = false;
	guest_fault_stepped();
}

/* ---- accesses that are carried out by software ---- */

/* The A64 instruction that faulted; 0, which is none, if it is not one or cannot be read. */
static u32 read_instruction(struct cpu *c)
{
	const struct vcpu *v = &c->arch->vcpu;
	u32 insn;
	ipa_t ipa;

	if ((v->spsr & PSTATE_A32) || arch_vcpu_translate(c, v->elr, &ipa) ||
	    guest_read_ipa(ipa, &insn, sizeof(insn)))
		return 0;
	return insn;
}

/* In the place of a step, which never succeeds with these. */
static bool store_exclusive(struct cpu *c, const struct stage2_abort *abort)
{
	struct vcpu *v = &c->arch->vcpu;
	struct exclusive now = {v->elr, arch_vcpu_user(c) ? v->sp_el0 : v->sp_el1,
				read_sysreg(ttbr0_el1), abort->ipa.v, writes};
	u32 insn = read_instruction(c);

	if (abort->walk || !insn_is_store_exclusive(insn))
		return false;
	writes += exclusive_store(&c->arch->exclusive, &now, insn, v->x, guest_ram_ptr(abort->ipa));
	vcpu_skip(c);
	guest_fault_stepped();
	return true;
}

#define SCTLR_E0E (1ull << 24) /* big-endian data, at EL0 and EL1 */
#define SCTLR_EE  (1ull << 25)

/*
 * The leaf allows execution only: redirects are hidden, and the guest's own page is at the same
 * address (stage2/shadow.h).
 */
static bool is_hidden_code(const struct stage2_abort *abort)
{
	struct pt_walk w;

	return !pgtable_lookup(&stage2, abort->ipa, &w) && w.attrs == PT_EXEC;
}

static bool load(struct cpu *c, const struct stage2_abort *abort)
{
	struct vcpu *v = &c->arch->vcpu;
	ipa_t page = IPA(ALIGN_DOWN(abort->ipa.v, PAGE_SIZE));
	struct load l = {v->esr, v->far, 0, NULL, v->x};

	if (abort->need != PT_READ || abort->walk || c->arch->step.active ||
	    (v->spsr & PSTATE_A32) || (read_sysreg(sctlr_el1) & (SCTLR_E0E | SCTLR_EE)) ||
	    !is_hidden_code(abort) || !guest_is_ram(page, PAGE_SIZE))
		return false;
	l.insn = read_instruction(c);
	l.page = guest_ram_ptr(page);
	if (!load_carry_out(&l))
		return false;
	vcpu_skip(c);
	return true;
}

/* ---- the exit ---- */

/*
 * Stage 2 permits it, as it is now: it was taken away for a pause (kick.c), or another CPU was
 * between the break and the make of the entry. The guest tries again, after the pause.
 */
static bool is_permitted(const struct stage2_abort *abort)
{
	struct pt_walk w;

	return !pgtable_lookup(&stage2, abort->ipa, &w) && (w.attrs & abort->need) == abort->need;
}

static enum exit_class kicked(struct cpu *c)
{
	stage2_give_back(c->arch->step.active);
	/* A switch that goes on while the kernel ends must not drive its CPUs through its memory.
	 */
	if (!c->arch->step.active &&
	    !is_trampoline(read_sysreg(vbar_el1), c->arch->vbar, c->arch->vcpu.elr))
		kexec_kicked(c);
	return EXIT_KICK;
}

enum exit_class vcpu_stage2_fault(struct cpu *c)
{
	struct stage2_abort abort = {
		.need = abort_need(c->arch->vcpu.esr),
		.walk = abort_is_walk(c->arch->vcpu.esr),
	};

	if (!abort_is_refusal(c->arch->vcpu.esr))
		return other_abort(c);
	if (!find_ipa(c, &abort) || is_permitted(&abort))
		return kicked(c);
	if (abort.need == PT_WRITE && gic_filters(abort.ipa)) {
		skip_write(c, &abort);
		return EXIT_IRQCHIP;
	}
	if (abort.need == PT_WRITE && pci_guest_covers(abort.ipa))
		return config_write(c, &abort);
	if (load(c, &abort))
		return EXIT_STAGE2_FAULT;
	switch (guest_fault(c, abort.ipa, abort.need, c->arch->step.active)) {
	case GUEST_FAULT_RETRY:
		break;
	case GUEST_FAULT_STEP:
		if (!store_exclusive(c, &abort))
			step_begin(c);
		break;
	case GUEST_FAULT_HIDDEN:
		skip_write(c, &abort);
		break;
	case GUEST_FAULT_NOTHING:
		refuse(c, &abort);
		break;
	}
	return EXIT_STAGE2_FAULT;
}
