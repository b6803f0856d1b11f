/* SPDX-License-Identifier: BSD-2-Clause */
/* Kicks are counted: the threads that are guest CPUs come by themselves. */
#include "arch/bell.h"
#include "core/cpu.h"
#include "fake.h"
#include "machine.h"

void arch_kick(struct cpu *c)
{
	__atomic_fetch_add(&c->arch->kicks, 1, __ATOMIC_RELAXED);
}

/* Tests deliver it themselves. */
int arch_bell_open(struct cpu *c)
{
	(void)c;
	return 0;
}

void arch_bell_ring(struct cpu *c)
{
	arch_kick(c);
}

static u32 line, pending;

u32 arch_bell_line(void)
{
	return line;
}

void arch_bell_set_line(bool set)
{
	pending = set;
}

void fake_bell_line(u32 number)
{
	line = number;
	pending = 0;
}

bool fake_bell_pending(void)
{
	return pending;
}

void arch_stage2_flush_local(void)
{
	__atomic_fetch_add(&cpu_this()->arch->flushes, 1, __ATOMIC_RELAXED);
}

u64 fake_kicks(const struct cpu *c)
{
	return __atomic_load_n(&c->arch->kicks, __ATOMIC_RELAXED);
}

u64 fake_flushes(const struct cpu *c)
{
	return __atomic_load_n(&c->arch->flushes, __ATOMIC_RELAXED);
}
