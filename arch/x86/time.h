/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef X86_TIME_H
#define X86_TIME_H

/* The monitor's time begins. Boot CPU, once, machine->ticks_per_us known. */
void time_init(void);

#endif
