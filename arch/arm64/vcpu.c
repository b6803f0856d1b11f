/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a guest CPU, and the exits that need no file of their own. */
#include "arch/cpu.h"
#include "include/arch/pac.h"
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "core/pause.h"
#include "el2.h"
#include "exception.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "smccc.h"
#include "sysreg.h"

static enum exit_class handle_exit(struct cpu *c, enum exit_vector vector);

struct cpu *cpu_this(void)
{
	return this_arch()->self;
}

/* The guest has been told to be without this CPU until CPU_ON (guest/kexec.c). */
static void leave_if_stopped(struct cpu *c)
{
	if (!__atomic_load_n(&c->arch->stopped, __ATOMIC_SEQ_CST) ||
	    (c->arch->step.active && !MUTATION(stopped_in_a_step)))
		return;
	__atomic_store_n(&c->state, CPU_PARKED, __ATOMIC_SEQ_CST);
	psci_halt();
}

/* pc: where the exit was. An exception whose vector cannot be fetched comes to the vector again. */
static void check_progress(struct cpu *c, enum exit_class class, u64 pc)
{
	const struct vcpu *v = &c->arch->vcpu;

	if (v->elr != pc)
		progress_made(&c->arch->progress);
	else if (class != EXIT_KICK &&
		 progress_is_none(&c->arch->progress, pc, v->x, ARRAY_SIZE(v->x)))
		vcpu_die(c, "no-progress", "its instruction exits again and again");
}

_Noreturn void vcpu_loop(struct cpu *c)
{
	for (;;) {
		enum exit_vector vector;
		enum exit_class class;
		u64 pc;

		pause_point(c);
		leave_if_stopped(c);
		vector = vcpu_enter(c->arch);
		pc = c->arch->vcpu.elr;
		class = handle_exit(c, vector);
		c->exits[class]++;
		check_progress(c, class, pc);
		service_look(c);
	}
}

void arch_vcpu_stop(struct cpu *c)
{
	/* Seen in the loop, at the latest when the CPU comes out of the next pause. */
	__atomic_store_n(&c->arch->stopped, 1, __ATOMIC_SEQ_CST);
}

bool arch_vcpu_stopped(const struct cpu *c)
{
	return READ_ONCE(c->arch->stopped);
}

_Noreturn void vcpu_die(struct cpu *c, const char *cause, const char *what)
{
	const struct vcpu *v = &c->arch->vcpu;

	cpu_mark_dead(
		c, cause,
		"%s: esr %#llx, far %#llx, hpfar %#llx; guest's pc %#llx, pstate %#llx, sctlr "
		"%#llx, ttbr1 %#llx",
		what, v->esr, v->far, v->hpfar, v->elr, v->spsr, read_sysreg(sctlr_el1),
		read_sysreg(ttbr1_el1));
	/* It may hold the pause of a write to a shadowed page. */
	if (c->arch->step.active)
		vcpu_step_done(c);
	psci_halt();
}

/* ---- going on ---- */

void vcpu_skip(struct cpu *c)
{
	struct vcpu *v = &c->arch->vcpu;

	v->elr += v->esr & ESR_IL ? 4 : 2;
	v->spsr = pstate_behind(v->spsr);
}

#define HAS_PAN id_field(id_aa64mmfr1_el1, 20)
#define HAS_MTE id_field(id_aa64pfr1_el1, 8)
#define HAS_NMI id_field(id_aa64pfr1_el1, 36)

void vcpu_inject(struct cpu *c, u64 esr, u64 far)
{
	struct vcpu *v = &c->arch->vcpu;
	struct pstate_features has = {HAS_PAN, HAS_MTE, HAS_NMI};
	u64 pstate = pstate_of_entry(v->spsr, read_sysreg(sctlr_el1), has);

	write_sysreg(spsr_el1, v->spsr);
	write_sysreg(elr_el1, v->elr);
	write_sysreg(esr_el1, esr);
	write_sysreg(far_el1, far);
	v->elr = read_sysreg(vbar_el1) +
		 vector_offset(MUTATION(vector_of_el0) ? PSTATE_EL1H : v->spsr);
	v->spsr = pstate;
}

/* ---- waiting ---- */

/*
 * An interrupt for EL1 need not end WFI at EL2 (D1.6.2): so interrupts are EL2's while it waits.
 * None is taken, since they are masked: it stays pending, and is the guest's again.
 */
static void halt(struct cpu *c)
{
	u64 hcr = read_sysreg(hcr_el2);

	(void)c;
	if (!MUTATION(interrupts_end_wfi))
		write_sysreg(hcr_el2, hcr | HCR_IMO | HCR_FMO | HCR_AMO);
	isb();
	instruction("dsb sy");
	instruction("wfi");
	write_sysreg(hcr_el2, hcr);
	isb();
}

void vcpu_wait(struct cpu *c)
{
	WRITE_ONCE(c->arch->halted, true);
	pause_sleep(c, halt);
	WRITE_ONCE(c->arch->halted, false);
}

/*
 * Kernels set VBAR_EL1 without an exit. Where they idle it is the one that the kernel itself uses
 * (in user mode it may be a trampoline's): so each kernel tells where its entry is before long.
 */
static void look_at_vectors(struct cpu *c)
{
	u64 vbar = read_sysreg(vbar_el1);

	if (arch_vcpu_user(c) || (vbar == c->arch->vbar && !kexec_wants_entry(c)))
		return;
	c->arch->vbar = vbar;
	kexec_entry(c, vbar);
}

#define ISS_TI(esr) ((esr)&3) /* 0 is WFI, the others are WFE and those with a timeout */

/* The latter may end at any time (D1.6): they are over. */
static enum exit_class wait_exit(struct cpu *c)
{
	look_at_vectors(c);
	vcpu_skip(c);
	if (!ISS_TI(c->arch->vcpu.esr))
		vcpu_wait(c);
	return EXIT_WAIT;
}

/* ---- calls ---- */

#define ISS_IMMEDIATE(esr) ((esr)&0xffff) /* others than 0 are reserved (DEN0028, 2.4) */

/* ELR is behind an HVC, and at an SMC that traps (D1.3.2). */
static enum exit_class smc_exit(struct cpu *c)
{
	struct vcpu *v = &c->arch->vcpu;

	vcpu_skip(c);
	if (ISS_IMMEDIATE(v->esr) || (smccc_is_sdei(v->x[0]) && !MUTATION(sdei)))
		v->x[0] = SMCCC_UNKNOWN;
	else if (psci_call(c))
		return EXIT_STARTUP;
	else
		smc_forward(v->x);
	return EXIT_OTHER;
}

static s64 agent_call(struct cpu *c)
{
	const u64 *x = c->arch->vcpu.x;

	pac_set_tcr(read_sysreg(tcr_el1));
	return hypercall(c, x[0], x[1], x[2], x[3]);
}

static enum exit_class hvc_exit(struct cpu *c)
{
	struct vcpu *v = &c->arch->vcpu;

	if (!ISS_IMMEDIATE(v->esr) && psci_call(c))
		return EXIT_STARTUP;
	/* The agent's own numbers are none of fast calls. */
	if (ISS_IMMEDIATE(v->esr) || smccc_function(v->x[0]))
		v->x[0] = SMCCC_UNKNOWN;
	else
		v->x[0] = (u64)agent_call(c);
	return EXIT_HYPERCALL;
}

/* ---- the rest ---- */

#define EC_UNKNOWN 0x00

/* Nothing traps that the processor has (el2.c): so it has not. */
static enum exit_class undefined(struct cpu *c)
{
	log_limited(LOG_ACCESS, LOG_ERROR,
		    "guest CPU %u: exit with esr %#llx at %#llx is not known", c->id,
		    c->arch->vcpu.esr, c->arch->vcpu.elr);
	vcpu_inject(c, (u64)EC_UNKNOWN << 26 | ESR_IL, 0);
	return EXIT_OTHER;
}

static enum exit_class sync_exit(struct cpu *c)
{
	switch (ESR_EC(c->arch->vcpu.esr)) {
	case EC_WFX:
		return wait_exit(c);
	case EC_HVC64:
		return hvc_exit(c);
	case EC_SMC64:
		return smc_exit(c);
	case EC_IABT_LOWER:
	case EC_DABT_LOWER:
		return vcpu_stage2_fault(c);
	case EC_STEP_LOWER:
		vcpu_step_done(c);
		return EXIT_SINGLE_STEP;
	case EC_SYSREG:
		undefined(c);
		return EXIT_SYSREG;
	default:
		return undefined(c);
	}
}

static enum exit_class handle_exit(struct cpu *c, enum exit_vector vector)
{
	/* HCR_EL2 gives EL1 all interrupts and SErrors. */
	if (vector != EXIT_SYNC && !MUTATION(interrupt_at_el2))
		vcpu_die(c, "interrupt", "an interrupt has come to EL2");
	return sync_exit(c);
}
