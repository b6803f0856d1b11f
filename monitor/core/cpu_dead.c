/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/upcalls.h"
#include "core/cpu.h"
#include "core/log.h"

void cpu_mark_dead(struct cpu *c, const char *cause, const char *fmt, ...)
{
	va_list ap;

	c->dead_cause = cause;
	va_start(ap, fmt);
	vformat(c->dead_why, sizeof(c->dead_why), fmt, ap);
	va_end(ap);
	log_error("CPU %u is dead: %s", c->id, c->dead_why);
	__atomic_store_n(&c->state, CPU_DEAD, __ATOMIC_SEQ_CST);
}
