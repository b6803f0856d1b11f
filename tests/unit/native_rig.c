/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linked into each program of one architecture's own sources: what these call at the edge of their
 * part, so that not all of the monitor comes along. A program may define them itself.
 */
#include "arch/cpu.h"
#include "arch/platform.h"
#include "arch/time.h"
#include "core/cpu.h"
#include "arch/upcalls.h"

#define WEAK __attribute__((weak))

/* The tests run as the boot CPU. */
WEAK struct cpu *cpu_this(void)
{
	return &cpus[0];
}

WEAK void service_look(struct cpu *self)
{
	(void)self;
}

/* The real clock and the real port of the log would link the whole monitor. */
WEAK u64 arch_time_us(void)
{
	return 0;
}

WEAK void arch_debug_putc(char c)
{
	(void)c;
}
