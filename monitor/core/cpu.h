/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's CPUs as the monitor sees them. */
#ifndef CORE_CPU_H
#define CORE_CPU_H

#include "arch/cpu.h"
#include "lib/format.h"
#include "lib/types.h"

#define MAX_CPUS 512

enum cpu_state {
	CPU_ABSENT = 0, /* not present, or left with the firmware: it has never run guest code under
			   the monitor */
	CPU_PARKED,	/* inside the monitor, waits for the guest to start it */
	CPU_GUEST,	/* runs the guest, or is in the middle of an exit */
	CPU_HELD,	/* inside the monitor, held by a pause */
	CPU_IDLE, /* inside the monitor, which halts for the guest: pause_sleep() (core/pause.h) */
	CPU_SERVICE, /* the monitor's own */
	CPU_DEAD,    /* inside the monitor; its guest state cannot be entered again */
	CPU_STATES
};

/*
 * Exits by class. The classes are the same on each architecture, so that the metrics of all
 * machines have the same names. A class without exits on an architecture stays 0 there.
 */
enum exit_class {
	EXIT_HYPERCALL,	   /* VMMCALL, VMCALL, HVC */
	EXIT_CPU_ID,	   /* identification of the CPU: CPUID; arm64: ID registers */
	EXIT_SYSREG,	   /* MSRs, control registers, XSETBV; arm64: other system registers */
	EXIT_IRQCHIP,	   /* the interrupt controller: APIC, x2APIC; GIC */
	EXIT_KICK,	   /* the monitor's own: its NMI, SGI or VMX preemption timer */
	EXIT_NMI,	   /* NMIs given to the guest */
	EXIT_STARTUP,	   /* CPUs that start and stop: INIT, SIPI; PSCI */
	EXIT_IO,	   /* devices: configuration space and I/O ports */
	EXIT_STAGE2_FAULT, /* on hidden or shadowed memory: NPF, EPT violation, stage-2 abort */
	EXIT_WAIT,	   /* the guest waits for an interrupt: WFI, where it exits */
	EXIT_SINGLE_STEP,  /* behind an instruction that the monitor let through */
	EXIT_OTHER,
	EXIT_CLASSES
};

extern const char *const cpu_state_names[CPU_STATES];	 /* "absent", "parked", ... */
extern const char *const exit_class_names[EXIT_CLASSES]; /* "hypercall", "cpu_id", ... */

struct arch_cpu; /* arch/<a>/: control block, saved registers, stacks */

struct cpu {
	u32 id;	   /* index into cpus[] */
	u64 hwid;  /* APIC ID, MPIDR */
	u32 state; /* enum cpu_state; written by the CPU itself, read by all (acquire/release) */
	u32 life;  /* how often it has begun anew: the service CPU only (docs/restart.md) */
	u64 pause_acked;	 /* generation of the last pause that this CPU acknowledged */
	u64 exits[EXIT_CLASSES]; /* written by this CPU only */
	/* Of a dead CPU, written before its state: a keyword for the cause, and a description. */
	const char *dead_cause;
	char dead_why[REASON_LEN];
	struct arch_cpu *arch;
};

/* Can what c was doing in the guest be looked at: in state CPU_HELD or CPU_IDLE? In a pause. */
static inline bool cpu_is_held(const struct cpu *c)
{
	u32 state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);

	return state == CPU_HELD || state == CPU_IDLE;
}

extern struct cpu cpus[MAX_CPUS];
extern u32 nr_cpus;

#define for_each_cpu(c) for (struct cpu *c = cpus; c < cpus + nr_cpus; c++)

#endif
