/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a guest CPU, and the exits that need no file of their own. */
#include "arch/cpu.h"
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "hv.h"
#include "insn.h"
#include "lib/errno.h"
#include "smp.h"

_Noreturn void vcpu_loop(struct cpu *c)
{
	for (;;) {
		pause_point(c);
		smp_check_init(c);
		nmi_deliver(c);
		c->exits[hv->run(c)]++;
	}
}

void arch_stage2_flush_local(void)
{
	cpu_this()->arch->flush = true;
}

/* ---- CPUID: as the hardware, without virtualization (APM vol. 3, appendix E) ---- */

#define FN1_ECX_OSXSAVE	       (1u << 27)
#define FN1_ECX_VMX	       (1u << 5)
#define FN7_ECX_OSPKE	       (1u << 4)
#define FN80000008_EBX_INVLPGB (1u << 3)
#define FN80000001_ECX_SVM     (1u << 2)
#define FN80000001_ECX_SKINIT  (1u << 12)

static u32 set_if(u32 word, u32 bit, u64 condition)
{
	return condition ? word | bit : word & ~bit;
}

void vcpu_cpuid(struct cpu *c, u32 len)
{
	struct vcpu *v = &c->arch->vcpu;
	u32 leaf = (u32)v->gpr[RAX];
	struct cpuid r = cpuid(leaf, (u32)v->gpr[RCX]);

	/* Every kernel asks on its first way, and hardly one later. */
	kexec_check(c);
	switch (leaf) {
	case 1:
		/* Two bits mirror CR4, which is the monitor's now. */
		r.ecx = set_if(r.ecx, FN1_ECX_OSXSAVE, v->cr4 & CR4_OSXSAVE) & ~FN1_ECX_VMX;
		break;
	case 7:
		if ((u32)v->gpr[RCX] == 0)
			r.ecx = set_if(r.ecx, FN7_ECX_OSPKE, v->cr4 & CR4_PKE);
		break;
	case 0x80000001:
		r.ecx &= ~(FN80000001_ECX_SVM | FN80000001_ECX_SKINIT);
		break;
	case 0x80000008:
		/* In a guest that instruction needs an intercept or a permission. */
		r.ebx &= ~FN80000008_EBX_INVLPGB;
		break;
	case 0x8000000a: /* SVM */
	case 0x8000001f: /* memory encryption: a guest's page tables have no bit for it */
		r = (struct cpuid){0};
		break;
	}
	v->gpr[RAX] = r.eax;
	v->gpr[RBX] = r.ebx;
	v->gpr[RCX] = r.ecx;
	v->gpr[RDX] = r.edx;
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
	/* It may hold the pause of a write to a shadowed page. */
	if (c->arch->step)
		vcpu_step_done(c, false);
	smp_halt(c);
}
