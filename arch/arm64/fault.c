/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses that stage 2 refuses: hidden memory, shadowed pages; and those of CPUs that were kicked.
 */
#include "arch/cpu.h"
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "el2.h"
#include "gic.h"
#include "stage2/pgtable.h"
#include "sysreg.h"
#include "trampoline.h"

/* ISS of aborts (D19.2.37) */
#define ISS_FSC(esr)	  ((esr)&0x3f)
#define ISS_WNR		  (1ull << 6)
#define ISS_S1PTW	  (1ull << 7)
#define FSC_PERMISSION	  0x0c /* to 0x0f, by level */
#define FSC_EXTERNAL	  0x10
#define FSC_EXTERNAL_WALK 0x14
#define HPFAR_FIPA(v)	  ((v) >> 4 & 0xffffffffffull)

struct stage2_abort {
	ipa_t ipa;
	u32 need;  /* PT_*: what was asked for */
	bool walk; /* the access was the CPU's own, to the guest's page tables */
};

/* ---- what it was ---- */

static bool is_permission(u64 esr)
{
	return (ISS_FSC(esr) & ~3ull) == FSC_PERMISSION;
}

/*
 * HPFAR_EL2 need not be valid after a permission fault, but of a walk (D19.2.61): then the guest's
 * own tables tell. False: they do not any more.
 */
static bool find_ipa(struct cpu *c, struct stage2_abort *abort)
{
	const struct vcpu *v = &c->arch->vcpu;

	if (is_permission(v->esr) && !abort->walk)
		return !arch_vcpu_translate(c, v->far, &abort->ipa);
	abort->ipa = IPA(HPFAR_FIPA(v->hpfar) << PAGE_SHIFT | (v->far & ~PAGE_MASK));
	return true;
}

/* A walk reads, or writes when it sets a flag in an entry; what it was for does not count. */
static u32 needs(const struct vcpu *v)
{
	if (v->esr & ISS_S1PTW)
		return v->esr & ISS_WNR && ESR_EC(v->esr) == EC_DABT_LOWER && is_permission(v->esr)
			       ? PT_WRITE
			       : PT_READ;
	if (ESR_EC(v->esr) == EC_IABT_LOWER)
		return PT_EXEC;
	return v->esr & ISS_WNR ? PT_WRITE : PT_READ;
}

/* ---- accesses that cannot be carried out ---- */

/* A synchronous external abort, as of an address that nothing answers at (D19.2.37). */
static void inject_abort(struct cpu *c, const struct stage2_abort *abort)
{
	struct vcpu *v = &c->arch->vcpu;
	u64 ec = ESR_EC(v->esr);

	if (c->arch->step.active)
		vcpu_step_done(c);
	if (!arch_vcpu_user(c))
		ec++; /* the same exception level: EC_IABT, EC_DABT */
	vcpu_inject(c,
		    ec << 26 | ESR_IL | (abort->walk ? FSC_EXTERNAL_WALK + 3 : FSC_EXTERNAL) |
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
	inject_abort(c, abort);
}

/* Nothing to write to. */
static void skip_write(struct cpu *c, const struct stage2_abort *abort)
{
	if (abort->walk || abort->need != PT_WRITE)
		refuse(c, abort);
	else
		vcpu_skip(c);
}

/* ---- steps ---- */

#define MDCR_TDE  (1ull << 8) /* debug exceptions come to EL2 (D19.3.17) */
#define MDSCR_SS  (1ull << 0)
#define MDSCR_MDE (1ull << 15) /* breakpoints and watchpoints */
#define STEP_SPSR (PSTATE_DAIF | PSTATE_SS)

/*
 * Software step (D2.12): one instruction is executed, and a debug exception taken to EL2 before the
 * next one. Interrupts are masked meanwhile. The guest's CPUs are stopped, so stage 2 can be given
 * back.
 */
static void step_begin(struct cpu *c)
{
	struct step *s = &c->arch->step;
	struct vcpu *v = &c->arch->vcpu;

	stage2_give_back(true);
	*s = (struct step){true, v->spsr, read_sysreg(mdscr_el1), v->elr};
	write_sysreg(mdcr_el2, read_sysreg(mdcr_el2) | MDCR_TDE);
	write_sysreg(mdscr_el1, (s->mdscr & ~MDSCR_MDE) | MDSCR_SS);
	isb();
	v->spsr |= STEP_SPSR;
}

/* An exception of the instruction's own has been taken to EL1: what was masked is in its SPSR_EL1.
 */
static bool took_exception(const struct step *s, const struct vcpu *v)
{
	return v->elr != s->elr && v->elr != s->elr + 4 && read_sysreg(elr_el1) == s->elr;
}

void vcpu_step_done(struct cpu *c)
{
	struct step *s = &c->arch->step;
	struct vcpu *v = &c->arch->vcpu;
	u64 own = s->spsr & STEP_SPSR;

	if (!s->active)
		return;
	if (took_exception(s, v)) {
		write_sysreg(spsr_el1, (read_sysreg(spsr_el1) & ~STEP_SPSR) | own);
		v->spsr &= ~PSTATE_SS;
	} else {
		v->spsr = (v->spsr & ~STEP_SPSR) | own;
	}
	write_sysreg(mdscr_el1, s->mdscr);
	write_sysreg(mdcr_el2, read_sysreg(mdcr_el2) & ~MDCR_TDE);
	isb();
	s->active = false;
	guest_fault_stepped();
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
	stage2_give_back(false);
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
		.need = needs(&c->arch->vcpu),
		.walk = c->arch->vcpu.esr & ISS_S1PTW,
	};

	if (!find_ipa(c, &abort) || is_permitted(&abort))
		return kicked(c);
	if (abort.need == PT_WRITE && gic_filters(abort.ipa)) {
		skip_write(c, &abort);
		return EXIT_IRQCHIP;
	}
	switch (guest_fault(c, abort.ipa, abort.need == PT_WRITE, c->arch->step.active)) {
	case GUEST_FAULT_RETRY:
		break;
	case GUEST_FAULT_STEP:
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
