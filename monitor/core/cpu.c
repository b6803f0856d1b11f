/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/cpu.h"
#include "core/log.h"

struct cpu cpus[MAX_CPUS];
u32 nr_cpus;

const char *const cpu_state_names[CPU_STATES] = {
	[CPU_ABSENT] = "absent", [CPU_PARKED] = "parked",   [CPU_GUEST] = "guest",
	[CPU_HELD] = "held",	 [CPU_SERVICE] = "service", [CPU_DEAD] = "dead",
};

const char *const exit_class_names[EXIT_CLASSES] = {
	[EXIT_HYPERCALL] = "hypercall", [EXIT_CPUID] = "cpuid", [EXIT_MSR] = "msr",
	[EXIT_APIC] = "apic",		[EXIT_KICK] = "kick",	[EXIT_NMI] = "nmi",
	[EXIT_STARTUP] = "startup",	[EXIT_IO] = "io",	[EXIT_STAGE2] = "stage2",
	[EXIT_STEP] = "step",		[EXIT_OTHER] = "other",
};

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
