/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's CPUs as the monitor sees them. */
#ifndef CORE_CPU_H
#define CORE_CPU_H

#include "arch/cpu.h"
#include "lib/format.h"
#include "lib/types.h"

#define MAX_CPUS 64

enum cpu_state {
	CPU_ABSENT =
		0,  /* not there, or left with the firmware: it has never run guest code under us */
	CPU_PARKED, /* inside the monitor, waits for the guest to start it */
	CPU_GUEST,  /* runs the guest, or is in the middle of an exit */
	CPU_HELD,   /* inside the monitor, held by a pause */
	CPU_SERVICE, /* the monitor's own */
	CPU_DEAD,    /* inside the monitor, its guest state cannot be run any more */
	CPU_STATES
};

/* Exits by class, the same names on every architecture. Those that an architecture lacks stay 0. */
enum exit_class {
	EXIT_HYPERCALL,
	EXIT_CPUID,
	EXIT_MSR,
	EXIT_APIC,    /* writes to the local interrupt controller */
	EXIT_KICK,    /* our own NMI or SGI */
	EXIT_NMI,     /* NMIs given to the guest */
	EXIT_STARTUP, /* INIT, SIPI, PSCI */
	EXIT_IO,      /* configuration space and other ports */
	EXIT_STAGE2,  /* faults on hidden or shadowed memory */
	EXIT_STEP,    /* single steps */
	EXIT_OTHER,
	EXIT_CLASSES
};

extern const char *const cpu_state_names[CPU_STATES]; /* "absent", "parked", ... */
extern const char *const exit_class_names[EXIT_CLASSES];

struct arch_cpu; /* arch/<a>/: control block, saved registers, stacks */

struct cpu {
	u32 id;	   /* index into cpus[] */
	u64 hwid;  /* APIC ID, MPIDR */
	u32 state; /* enum cpu_state; written by the CPU itself, read by all (acquire/release) */
	u64 pause_acked;	 /* generation of the last pause that this CPU acknowledged */
	u64 exits[EXIT_CLASSES]; /* written by this CPU only */
	/* Of a dead CPU, written before its state: the cause in a word, and all there is to say. */
	const char *dead_cause;
	char dead_why[REASON_LEN];
	struct arch_cpu *arch;
};

extern struct cpu cpus[MAX_CPUS];
extern u32 nr_cpus;

#define for_each_cpu(c) for (struct cpu *c = cpus; c < cpus + nr_cpus; c++)

#endif
