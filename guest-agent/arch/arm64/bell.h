/* SPDX-License-Identifier: GPL-2.0-only */
/* On arm64 the monitor has no doorbell yet: the agent polls. */
#ifndef SUTURE_AGENT_ARCH_BELL_H
#define SUTURE_AGENT_ARCH_BELL_H

#include <linux/errno.h>

static inline int arch_bell_register(bool (*handler)(void))
{
	return -EOPNOTSUPP;
}

static inline void arch_bell_unregister(void)
{
}

#endif
