/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/cpu.h"

struct cpu cpus[MAX_CPUS];
u32 nr_cpus;

const char *const cpu_state_names[CPU_STATES] = {
	[CPU_ABSENT] = "absent", [CPU_PARKED] = "parked", [CPU_GUEST] = "guest",
	[CPU_HELD] = "held",	 [CPU_IDLE] = "idle",	  [CPU_SERVICE] = "service",
	[CPU_DEAD] = "dead",
};

const char *const exit_class_names[EXIT_CLASSES] = {
	[EXIT_HYPERCALL] = "hypercall",
	[EXIT_CPU_ID] = "cpu_id",
	[EXIT_SYSREG] = "sysreg",
	[EXIT_IRQCHIP] = "irqchip",
	[EXIT_KICK] = "kick",
	[EXIT_NMI] = "nmi",
	[EXIT_STARTUP] = "startup",
	[EXIT_IO] = "io",
	[EXIT_STAGE2_FAULT] = "stage2_fault",
	[EXIT_WAIT] = "wait",
	[EXIT_SINGLE_STEP] = "single_step",
	[EXIT_OTHER] = "other",
};
