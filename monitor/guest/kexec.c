/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's kernel can be replaced while the machine runs: kexec, or the crash kernel of kdump. Its
 * agent says so if it can. If it cannot, the new kernel is recognized: it runs, in kernel mode, on
 * page tables that do not have the old one's system call entry where it was. The architecture asks
 *
 *	- at an exit that each kernel causes before it uses memory that it has not been given (x86:
 *	  CPUID, which Linux executes in verify_cpu(), and in the decompressor before that);
 *	- when the guest sets its system call entry;
 *	- when it was kicked. A CPU that enters a new kernel is on its own page tables before it
 *	  relocates the image, and every pause waits for it: so the CPUs that it has halted are
 *	  stopped before they could run on, past their halt, in memory that is the new kernel's.
 *
 * guest_fault() asks when the guest writes to a shadowed page: a new kernel is copied over the old
 * one. A kernel that has not set its entry yet is not asked about: CPUs come up on other tables.
 */
#include "arch/cpu.h"
#include "arch/upcalls.h"
#include "core/cpu.h"
#include "core/log.h"
#include "guest/drop.h"
#include "lib/mutate.h"

/* Where system calls enter the kernel on each CPU; va 0: not known. Each entry is its CPU's own. */
static struct {
	u64 va;
	ipa_t ipa;
	bool left; /* this CPU was seen in another kernel: it is not asked about again */
} entries[MAX_CPUS];

static bool is_replaced(struct cpu *c)
{
	u64 va = entries[c->id].va;
	ipa_t ipa;

	if (!va || entries[c->id].left || arch_vcpu_user(c))
		return false;
	return arch_vcpu_translate(c, va, &ipa) || ipa.v != entries[c->id].ipa.v;
}

static void stop_others(const struct cpu *self)
{
	for_each_cpu (c)
		if (c != self && __atomic_load_n(&c->state, __ATOMIC_ACQUIRE) != CPU_SERVICE)
			arch_vcpu_stop(c);
}

bool kexec_check(struct cpu *c)
{
	if (!is_replaced(c))
		return false;
	entries[c->id].left = true;
	log_limited(LOG_CPU, LOG_INFO, "guest CPU %u runs another kernel than before", c->id);
	/* The old kernel has halted them in memory that the new one uses: none may run on. */
	stop_others(c);
	drop_all(KERNEL_REPLACED);
	return true;
}

void kexec_kicked(struct cpu *c)
{
	/*
	 * The old kernel's tables may be overwritten by now. Then they do not lead to its entry
	 * either, but a CPU on them does not run the new kernel: that one has told it to stop, or
	 * it has no next instruction.
	 */
	if (arch_vcpu_stopped(c) || !is_replaced(c))
		return;
	if (arch_vcpu_can_fetch(c))
		kexec_check(c);
	else
		arch_vcpu_stop(c);
}

void kexec_entry(struct cpu *c, u64 va)
{
	kexec_check(c);
	entries[c->id].va = arch_vcpu_translate(c, va, &entries[c->id].ipa) ? 0 : va;
	entries[c->id].left = false;
}

bool kexec_wants_entry(const struct cpu *c)
{
	return !entries[c->id].va || (entries[c->id].left && !MUTATION(entry_of_its_like));
}

void kexec_cpu_started(const struct cpu *c)
{
	guest_bell_forget(c);
	entries[c->id].va = 0;
}

void kexec_goes_on(void)
{
	for_each_cpu (c)
		WRITE_ONCE(entries[c->id].left, false);
}
