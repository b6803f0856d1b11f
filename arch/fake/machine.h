/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the fake's files. */
#ifndef FAKE_MACHINE_H
#define FAKE_MACHINE_H

#include "arch/cpu.h"
#include "fake.h"
#include <pthread.h>

struct arch_cpu {
	struct vcpu_context context;
	enum vcpu_halt halt;
	struct fake_view view;
	bool stopped;
	u64 kicks, flushes;
	pthread_t thread;
};

void fake_memory_reset(void);
void fake_format_reset(void);
void fake_watch_reset(void);

/* The level of an entry of stage 2 that is not 0. */
u32 fake_entry_level(u64 entry);

#endif
