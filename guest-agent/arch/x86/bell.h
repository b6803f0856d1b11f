/* SPDX-License-Identifier: GPL-2.0-only */
/* On x86 the monitor's doorbell is an NMI of each CPU's own. */
#ifndef SUTURE_AGENT_ARCH_BELL_H
#define SUTURE_AGENT_ARCH_BELL_H

#include <linux/errno.h>
#include <asm/nmi.h>

static bool (*bell_handler)(void);

static inline int arch_bell_nmi(unsigned int type, struct pt_regs *regs)
{
	return bell_handler() ? NMI_HANDLED : NMI_DONE;
}

/* handler() says whether this CPU was rung. In any context. */
static inline int arch_bell_register(bool (*handler)(void))
{
	bell_handler = handler;
	return register_nmi_handler(NMI_LOCAL, arch_bell_nmi, 0, "suture");
}

/* None comes any more. It waits for handlers that run. */
static inline void arch_bell_unregister(void)
{
	unregister_nmi_handler(NMI_LOCAL, "suture");
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
