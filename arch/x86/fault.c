/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses that stage 2 refuses: the local APIC, hidden memory, shadowed pages. */
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "hv.h"
#include "icr.h"
#include "insn.h"
#include "ioapic.h"
#include "net/pci_guest.h"

/* ---- writes that are emulated ---- */

static void refuse(struct cpu *c, const struct stage2_fault *f, const char *what)
{
	log_limited(LOG_ACCESS, LOG_ERROR,
		    "guest CPU %u: %s at guest physical %#llx from %#llx cannot be carried out",
		    c->id, what, (unsigned long long)f->ipa.v,
		    (unsigned long long)c->arch->vcpu.rip);
}

/*
 * Decode the instruction that faulted; on failure the guest gets an exception. If its page tables
 * are where it has no memory, no exception can be relied on to be delivered through them: the CPU
 * shuts down, as by a triple fault.
 */
static bool decode(struct cpu *c, const struct stage2_fault *f, struct guest_insn *insn)
{
	if (!f->table_walk && !f->fetch && !vcpu_decode(c, insn))
		return true;
	refuse(c, f, f->table_walk ? "page table" : f->fetch ? "instruction fetch" : "access");
	if (f->table_walk)
		vcpu_shutdown(c);
	vcpu_inject_fault(c, VEC_GP, true, 0);
	return false;
}

static bool is_local_apic(ipa_t ipa)
{
	return ALIGN_DOWN(ipa.v, PAGE_SIZE) == machine->local_apic.v;
}

/* A write to the local APIC or to an IOAPIC. */
static enum exit_class irqchip_access(struct cpu *c, const struct stage2_fault *f)
{
	struct guest_insn insn;

	if (!decode(c, f, &insn))
		return EXIT_IRQCHIP;
	/* Other widths are undefined (APM vol. 2, 16.3.2). */
	if (!insn.store || insn.size != 4 || (f->ipa.v & 3))
		log_limited(LOG_ACCESS, LOG_ERROR, "guest CPU %u: strange write to %s at %#llx",
			    c->id, is_local_apic(f->ipa) ? "its local APIC" : "an IOAPIC",
			    (unsigned long long)c->arch->vcpu.rip);
	else if (is_local_apic(f->ipa))
		apic_guest_write(c, f->ipa.v & ~PAGE_MASK, (u32)insn.value);
	else
		ioapic_guest_write(c, f->ipa, (u32)insn.value);
	hv->skip(c, insn.len);
	return EXIT_IRQCHIP;
}

/* A write to PCI configuration space. */
static enum exit_class config_access(struct cpu *c, const struct stage2_fault *f)
{
	struct guest_insn insn;

	if (!decode(c, f, &insn))
		return EXIT_IO;
	if (insn.store && insn.size <= 4)
		pci_guest_write(f->ipa, insn.size, (u32)insn.value);
	else
		log_limited(LOG_ACCESS, LOG_ERROR,
			    "guest CPU %u: strange write to PCI configuration space at %#llx",
			    c->id, (unsigned long long)c->arch->vcpu.rip);
	hv->skip(c, insn.len);
	return EXIT_IO;
}

static void hidden_access(struct cpu *c, const struct stage2_fault *f)
{
	struct guest_insn insn;

	/* The write is dropped. The whole instruction is skipped, also one with REP. */
	if (decode(c, f, &insn))
		hv->skip(c, insn.len);
}

/* ---- steps ---- */

void vcpu_step_done(struct cpu *c, bool completed)
{
	enum step_reason reason = c->arch->step;

	c->arch->step = STEP_NONE;
	hv->step_end(c, completed);
	if (reason == STEP_SHADOWED)
		guest_fault_stepped();
}

/* Of a walk it is what the walk needed, in the guest's tables. */
static u32 need_of(const struct stage2_fault *f)
{
	return f->fetch && !f->table_walk ? PT_EXEC : f->write ? PT_WRITE : PT_READ;
}

enum exit_class vcpu_stage2_fault(struct cpu *c, const struct stage2_fault *f)
{
	if (f->write && (is_local_apic(f->ipa) || ioapic_covers(f->ipa)))
		return irqchip_access(c, f);
	if (f->write && pci_guest_covers(f->ipa))
		return config_access(c, f);
	switch (guest_fault(c, f->ipa, need_of(f), c->arch->step == STEP_SHADOWED)) {
	case GUEST_FAULT_RETRY:
		break;
	case GUEST_FAULT_STEP:
		c->arch->step = STEP_SHADOWED;
		hv->step_begin(c);
		break;
	case GUEST_FAULT_HIDDEN:
		hidden_access(c, f);
		break;
	case GUEST_FAULT_NOTHING:
		log_limited(LOG_ACCESS, LOG_ERROR,
			    "guest CPU %u: stage 2 has nothing at %#llx for %#llx", c->id,
			    (unsigned long long)f->ipa.v, (unsigned long long)c->arch->vcpu.rip);
		if (f->table_walk)
			vcpu_shutdown(c);
		vcpu_inject_fault(c, VEC_GP, true, 0);
		break;
	}
	return EXIT_STAGE2_FAULT;
}
