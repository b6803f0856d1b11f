/* SPDX-License-Identifier: GPL-2.0-only */
/* On x86 the monitor's doorbell is an NMI of each CPU's own. */
#ifndef SUTURE_AGENT_ARCH_BELL_H
#define SUTURE_AGENT_ARCH_BELL_H

#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/percpu.h>
#include <asm/nmi.h>

/*
 * NMIs carry no reason, and each asks all handlers: the one for a ring may find that another
 * handler has a reason too, whose own NMI is still on its way. Linux forgives such an NMI if it
 * follows at once (default_do_nmi(), "back-to-back"), but in a virtual machine it may come later.
 * Nobody else claims it, so that for this time after a ring the agent does. (The AMD PMU's driver
 * does the same for late NMIs of its counters.)
 */
#define BELL_LATE_MS 100

static bool (*bell_handler)(void);
static DEFINE_PER_CPU(unsigned long, bell_late); /* in jiffies: until then */

static inline int arch_bell_nmi(unsigned int type, struct pt_regs *regs)
{
	if (!bell_handler())
		return NMI_DONE;
	__this_cpu_write(bell_late, jiffies + msecs_to_jiffies(BELL_LATE_MS));
	return NMI_HANDLED;
}

static inline int arch_bell_late(unsigned int type, struct pt_regs *regs)
{
	return time_before(jiffies, __this_cpu_read(bell_late)) ? NMI_HANDLED : NMI_DONE;
}

/* None comes any more. It waits for handlers that run, and for late NMIs. */
static inline void arch_bell_unregister(void)
{
	msleep(BELL_LATE_MS);
	unregister_nmi_handler(NMI_UNKNOWN, "suture");
	unregister_nmi_handler(NMI_LOCAL, "suture");
}

/* handler() says whether this CPU was rung. In any context. */
static inline int arch_bell_register(bool (*handler)(void))
{
	unsigned int cpu;
	int err;

	bell_handler = handler;
	for_each_possible_cpu(cpu) per_cpu(bell_late, cpu) = jiffies;
	err = register_nmi_handler(NMI_LOCAL, arch_bell_nmi, 0, "suture");
	if (err)
		return err;
	err = register_nmi_handler(NMI_UNKNOWN, arch_bell_late, 0, "suture");
	if (err)
		unregister_nmi_handler(NMI_LOCAL, "suture");
	return err;
}

/* The machine has none. */
static inline int arch_bell_map(u32 number)
{
	return -EOPNOTSUPP;
}

static inline void arch_bell_unmap(u32 number, int irq)
{
}

#endif
