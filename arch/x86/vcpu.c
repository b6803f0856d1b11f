/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop of a guest CPU, and the exits that need no file of their own. */
#include "arch/cpu.h"
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "hv.h"
#include "insn.h"
#include "lib/errno.h"
#include "policy.h"
#include "smp.h"

/* NMIs come at any place, and some are the monitor's kicks. */
static void check_progress(struct cpu *c, enum exit_class class)
{
	const struct vcpu *v = &c->arch->vcpu;
	bool nmi = class == EXIT_KICK || c->arch->nmi_pending;

	if (v->rip != v->exit_rip || v->event)
		progress_made(&c->arch->progress);
	else if (!nmi && progress_is_none(&c->arch->progress, v->rip, v->gpr, NR_GPRS))
		vcpu_die(c, "no-progress", "its instruction exits again and again", class, 0, 0);
}

_Noreturn void vcpu_loop(struct cpu *c)
{
	for (;;) {
		enum exit_class class;

		pause_point(c);
		smp_check_init(c);
		nmi_deliver(c);
		class = hv->run(c);
		c->exits[class]++;
		check_progress(c, class);
		service_look(c);
	}
}

void arch_stage2_flush_local(void)
{
	cpu_this()->arch->flush = true;
}

/* ---- events ---- */

static void set_exception(struct cpu *c, u8 vector, bool has_error, u32 error)
{
	c->arch->vcpu.event = vector | EVENT_EXCEPTION | EVENT_VALID |
			      (has_error ? EVENT_HAS_ERROR | (u64)error << 32 : 0);
}

static bool is_contributory(int vector)
{
	return vector == VEC_DE || (vector >= VEC_TS && vector <= VEC_GP);
}

/* The vector of the exception whose delivery the exit interrupted, or -1. */
static int undelivered(const struct cpu *c)
{
	u64 event = c->arch->vcpu.event;

	return (event & EVENT_VALID) && EVENT_TYPE(event) == EVENT_EXCEPTION
		       ? (int)EVENT_VECTOR(event)
		       : -1;
}

/* The combinations of two exceptions are in APM vol. 2, 8.2.9, and in SDM vol. 3, "Interrupt 8". */
void vcpu_inject_fault(struct cpu *c, u8 vector, bool has_error, u32 error)
{
	int first = undelivered(c);
	bool serious = is_contributory(vector) || vector == VEC_PF;

	if (first == VEC_DF && serious)
		vcpu_shutdown(c);
	if ((first == VEC_PF && serious) || (is_contributory(first) && is_contributory(vector)))
		set_exception(c, VEC_DF, true, 0);
	else
		set_exception(c, vector, has_error, error);
}

/* ---- instructions ---- */

void vcpu_cpuid(struct cpu *c, u32 len)
{
	struct vcpu *v = &c->arch->vcpu;
	u32 leaf = (u32)v->gpr[RAX], subleaf = (u32)v->gpr[RCX];
	struct cpuid r = cpuid_filter(leaf, subleaf, cpuid(leaf, subleaf), v->cr4);

	/* Every kernel executes CPUID early in its start, and rarely later. */
	kexec_check(c);
	if (v->cpl == 3 && hv->release_cpuid)
		hv->release_cpuid(c);
	v->gpr[RAX] = r.eax;
	v->gpr[RBX] = r.ebx;
	v->gpr[RCX] = r.ecx;
	v->gpr[RDX] = r.edx;
	hv->skip(c, len);
}

/* XCR0 holds the guest's value also in the monitor, which does not use it. */
void vcpu_xsetbv(struct cpu *c, u32 len)
{
	struct vcpu *v = &c->arch->vcpu;
	struct cpuid x = cpuid(13, 0);
	u32 index = (u32)v->gpr[RCX];
	u64 value = v->gpr[RDX] << 32 | (u32)v->gpr[RAX], cr4 = read_cr4();
	int err;

	if (v->cpl || !xcr_allows(index, value, (u64)x.edx << 32 | x.eax)) {
		vcpu_inject_fault(c, VEC_GP, true, 0);
		return;
	}
	write_cr4(cr4 | CR4_OSXSAVE);
	err = xsetbv_safe(index, value);
	write_cr4(cr4);
	if (err)
		vcpu_inject_fault(c, VEC_GP, true, 0);
	else
		hv->skip(c, len);
}

/* Dirty lines in the caches may belong to the monitor: they are written back (WBINVD). */
void vcpu_invd(struct cpu *c, u32 len)
{
	wbinvd();
	hv->skip(c, len);
}

void vcpu_hypercall(struct cpu *c, u32 len)
{
	struct vcpu *v = &c->arch->vcpu;

	hv->skip(c, len);
	v->gpr[RAX] =
		v->cpl ? (u64)-EPERM
		       : (u64)hypercall(c, v->gpr[RAX], v->gpr[RBX], v->gpr[RCX], v->gpr[RDX]);
}

void vcpu_tables_change(struct cpu *c)
{
	guest_bell_forget(c);
	kexec_check(c);
}

_Noreturn void vcpu_shutdown(struct cpu *c)
{
	const struct vcpu *v = &c->arch->vcpu;

	log_info("guest CPU %u shut down (triple fault) at %#llx, cr3 %#llx: machine reset", c->id,
		 (unsigned long long)v->rip, (unsigned long long)v->cr3);
	machine_reset();
}

_Noreturn void vcpu_die(struct cpu *c, const char *cause, const char *what, u64 code, u64 info1,
			u64 info2)
{
	const struct vcpu *v = &c->arch->vcpu;

	cpu_mark_dead(c, cause,
		      "%s: exit code %#llx, info %#llx and %#llx; guest's rip %#llx, cr0 %#llx, "
		      "cr3 %#llx, cr4 %#llx, efer %#llx",
		      what, (unsigned long long)code, (unsigned long long)info1,
		      (unsigned long long)info2, (unsigned long long)v->rip,
		      (unsigned long long)v->cr0, (unsigned long long)v->cr3,
		      (unsigned long long)v->cr4, (unsigned long long)v->efer);
	/* The CPU may hold the pause of a write to a shadowed page. */
	if (c->arch->step)
		vcpu_step_done(c, false);
	smp_halt(c);
}
