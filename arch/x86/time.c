/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/time.h"
#include "hv.h"
#include "insn.h"
#include "time.h"

static u64 start;

void time_init(void)
{
	start = rdtsc();
}

u64 arch_time_us(void)
{
	return machine && machine->ticks_per_us ? (rdtsc() - start) / machine->ticks_per_us : 0;
}
