/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses that stage 2 refuses: hidden memory, shadowed pages; and those of CPUs that were kicked.
 */
#include "arch/cpu.h"
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "el2.h"
#include "gic.h"
#include "guest/ram.h"
#include "stage2/pgtable.h"
#include "sysreg.h"

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

#define MDCR_TDE   (1ull << 8) /* debug exceptions come to EL2 (D19.3.17) */
#define MDSCR_SS   (1ull << 0)
#define MDSCR_MDE  (1ull << 15) /* breakpoints and watchpoints */
#define OSLSR_OSLK (1ull << 1)

/* To shadowed pages, by the guest; changes only while the guest is paused. */
static u64 writes;

/* Bit 9 is the byte order in AArch32 (C5.2.20). */
static u64 step_masks(u64 spsr)
{
	return spsr & PSTATE_A32 ? PSTATE_DAIF & ~PSTATE_D : PSTATE_DAIF;
}

/* While the OS lock is set, as it is after a reset, there are no debug exceptions (H8.2). */
static void set_os_lock(bool set)
{
	write_sysreg(oslar_el1, set);
}

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
	writes++;
	*s = (struct step){true, read_sysreg(oslsr_el1) & OSLSR_OSLK, v->spsr,
			   read_sysreg(mdscr_el1), v->elr};
	write_sysreg(mdcr_el2, read_sysreg(mdcr_el2) | MDCR_TDE);
	set_os_lock(false);
	write_sysreg(mdscr_el1, (s->mdscr & ~MDSCR_MDE) | MDSCR_SS);
	isb();
	v->spsr |= step_masks(v->spsr) | PSTATE_SS;
}

/* An exception of the instruction's own has been taken to EL1: what was masked is in its SPSR_EL1.
 */
static bool took_exception(const struct step *s, const struct vcpu *v)
{
	return v->elr - read_sysreg(vbar_el1) < VECTORS_SIZE && read_sysreg(elr_el1) == s->elr;
}

/*
 * A guest that steps itself has its exception to come when its instruction has completed, and not
 * after one more: PSTATE.SS is clear then, and stays so.
 */
static u64 without_step(const struct step *s, u64 spsr)
{
	u64 masks = step_masks(s->spsr);

	return (spsr & ~(masks | PSTATE_SS)) | (s->spsr & masks) | (s->spsr & spsr & PSTATE_SS);
}

void vcpu_step_done(struct cpu *c)
{
	struct step *s = &c->arch->step;
	struct vcpu *v = &c->arch->vcpu;

	if (!s->active)
		return;
	if (took_exception(s, v)) {
		write_sysreg(spsr_el1, without_step(s, read_sysreg(spsr_el1)));
		v->spsr &= ~PSTATE_SS;
	} else {
		v->spsr = without_step(s, v->spsr);
	}
	write_sysreg(mdscr_el1, s->mdscr);
	set_os_lock(s->os_lock);
	write_sysreg(mdcr_el2, read_sysreg(mdcr_el2) & ~MDCR_TDE);
	isb();
	s->active = false;
	guest_fault_stepped();
}

/* ---- store-exclusives ---- */

static bool read_instruction(struct cpu *c, u32 *insn)
{
	ipa_t ipa;

	return !arch_vcpu_translate(c, c->arch->vcpu.elr, &ipa) &&
	       !guest_read_ipa(ipa, insn, sizeof(*insn));
}

/* In the place of a step, which never succeeds with these. */
static bool store_exclusive(struct cpu *c, const struct stage2_abort *abort)
{
	struct vcpu *v = &c->arch->vcpu;
	struct exclusive now = {v->elr, arch_vcpu_user(c) ? v->sp_el0 : v->sp_el1,
				read_sysreg(ttbr0_el1), abort->ipa.v, writes};
	u32 insn;

	if ((v->spsr & PSTATE_A32) || abort->walk || !read_instruction(c, &insn) ||
	    !insn_is_store_exclusive(insn))
		return false;
	writes += exclusive_store(&c->arch->exclusive, &now, insn, v->x, guest_ram_ptr(abort->ipa));
	vcpu_skip(c);
	guest_fault_stepped();
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

#define TRAMPOLINE_SIZE 0x4000

/*
 * A kernel that keeps itself out of the tables of its user programs (Linux: KPTI) enters and leaves
 * them at EL1 on those tables, with vectors beside that code. They say nothing about the kernel.
 */
static bool is_on_trampoline(const struct cpu *c)
{
	u64 vectors = read_sysreg(vbar_el1);

	return vectors != c->arch->vbar &&
	       c->arch->vcpu.elr - vectors + TRAMPOLINE_SIZE < 2 * TRAMPOLINE_SIZE;
}

static enum exit_class kicked(struct cpu *c)
{
	stage2_give_back(false);
	/* A switch that goes on while the kernel ends must not drive its CPUs through its memory.
	 */
	if (!c->arch->step.active && !is_on_trampoline(c))
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
