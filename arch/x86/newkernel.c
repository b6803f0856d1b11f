/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's kernel can be replaced while the machine runs: kexec, or the crash kernel of kdump. Its
 * agent says so if it can. If it cannot, the new kernel gives itself away: it runs, in kernel mode,
 * on page tables that do not have the old one's system call entry where it was. That is asked when
 *
 *	- the guest executes CPUID, as each kernel does before it uses memory that it has not been
 *	  given (Linux: verify_cpu(), and the decompressor before it);
 *	- it writes to a shadowed page, as who copies a new kernel over the old one does;
 *	- it sets its system call entry;
 *	- it is kicked. Who jumps to a new kernel is on tables of his own before he copies it to its
 *	  place, and every pause waits for him: so the CPUs that he has halted are stopped before
 *	  they could run on, past their HLT, in what is no longer theirs.
 *
 * A kernel that has not set its entry yet is not asked about: CPUs come up on tables of their own.
 */
#include "agent/drop.h"
#include "core/log.h"
#include "hv.h"
#include "insn.h"
#include "smp.h"

static bool is_gone(struct cpu *c)
{
	const struct arch_cpu *a = c->arch;
	ipa_t ipa;

	if (!a->entry_va || a->vcpu.cpl)
		return false;
	return vcpu_translate(c, a->entry_va, &ipa) || ipa.v != a->entry_ipa.v;
}

bool newkernel_check(struct cpu *c)
{
	if (!is_gone(c))
		return false;
	c->arch->entry_va = 0;
	log_limited(LOG_CPU, LOG_INFO, "guest CPU %u runs another kernel than before", c->id);
	/* They were halted for ever in memory that is not theirs now: none may run on. */
	smp_stop_others(c);
	drop_all(KERNEL_REPLACED);
	return true;
}

void newkernel_kicked(struct cpu *c)
{
	struct arch_cpu *a = c->arch;
	u8 code;

	/*
	 * The old kernel's tables may be overwritten by now. Then they do not lead to its entry
	 * either, but whoever is on them is not who runs the new kernel: that one has told it to
	 * stop, or it has no next instruction.
	 */
	if (READ_ONCE(a->stopped) || !is_gone(c))
		return;
	if (vcpu_fetch(c, 0, &code, 1) == 1)
		newkernel_check(c);
	else
		__atomic_store_n(&a->stopped, 1, __ATOMIC_SEQ_CST);
}

void newkernel_entry(struct cpu *c, u64 va)
{
	struct arch_cpu *a = c->arch;

	newkernel_check(c);
	a->entry_va = vcpu_translate(c, va, &a->entry_ipa) ? 0 : va;
}
