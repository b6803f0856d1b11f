/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef X86_TIME_H
#define X86_TIME_H

/* Start the monitor's clock. Boot CPU, once; machine->ticks_per_us is set. */
void time_init(void);

#endif
