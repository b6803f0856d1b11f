/* SPDX-License-Identifier: BSD-2-Clause */
/* Machine checks that hit the monitor (APM vol. 2, chapter 9). */
#ifndef X86_MACHINE_CHECK_H
#define X86_MACHINE_CHECK_H

#include "lib/types.h"

/*
 * Write what the banks say to the debug port, and clear them. True: what was interrupted can go on
 * (MCG_STATUS.RIPV). On the CPU that got it, in the handler of #MC; takes no lock.
 */
bool machine_check(void);

#endif
