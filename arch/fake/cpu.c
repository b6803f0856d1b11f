/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUs, time and the rest of the contract, on the host. */
#include "arch/barrier.h"
#include "arch/cpu.h"
#include "arch/platform.h"
#include "arch/service.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/checkpoint.h"
#include "core/cpu.h"
#include "core/pool.h"
#include "fake.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "machine.h"
#include "stage2/pgtable.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static struct {
	struct arch_cpu cpus[MAX_CPUS];
	u64 real_start_us;
	u64 time_us, step_us; /* while frozen */
	bool frozen, wake, stop, no_random;
	u32 resets;	     /* of the service CPU */
	void (*begin)(void); /* at its reset */
	void (*guest)(struct cpu *c);
} machine;

static __thread struct cpu *this_cpu;

static u64 real_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000 + (u64)t.tv_nsec / 1000;
}

void fake_reset(u32 guest_cpus)
{
	fake_memory_reset();
	fake_format_reset();
	fake_watch_reset();
	memset(&machine, 0, sizeof(machine));
	machine.real_start_us = real_us();
	memset(cpus, 0, sizeof(cpus));
	nr_cpus = MIN(guest_cpus + 1, (u32)MAX_CPUS);
	for_each_cpu (c) {
		c->id = (u32)(c - cpus);
		c->hwid = c->id;
		c->state = c->id ? CPU_PARKED : CPU_SERVICE;
		c->arch = &machine.cpus[c->id];
	}
	fake_become(&cpus[0]);
	pool_init(PA(FAKE_POOL_BASE), FAKE_POOL_SIZE);
	checkpoint_forget();
	memset(&stage2, 0, sizeof(stage2));
}

/* ---- time ---- */

void fake_time_set(u64 us, u64 step)
{
	machine.time_us = us;
	machine.step_us = step;
	machine.frozen = true;
}

u64 arch_time_us(void)
{
	if (!machine.frozen)
		return real_us() - machine.real_start_us;
	return __atomic_fetch_add(&machine.time_us, machine.step_us, __ATOMIC_RELAXED);
}

/* ---- CPUs ---- */

void fake_become(struct cpu *c)
{
	this_cpu = c;
}

struct cpu *cpu_this(void)
{
	return this_cpu ? this_cpu : &cpus[0];
}

void fake_set_context(struct cpu *c, const struct vcpu_context *ctx)
{
	c->arch->context = *ctx;
}

void arch_vcpu_context(const struct cpu *c, struct vcpu_context *ctx)
{
	*ctx = c->arch->context;
}

void fake_set_halt(struct cpu *c, enum vcpu_halt halt)
{
	c->arch->halt = halt;
}

enum vcpu_halt arch_vcpu_halt(struct cpu *c)
{
	return c->arch->halt;
}

void fake_set_view(struct cpu *c, const struct fake_view *view)
{
	c->arch->view = *view;
}

bool arch_vcpu_user(const struct cpu *c)
{
	return c->arch->view.user;
}

int arch_vcpu_translate(struct cpu *c, u64 va, ipa_t *ipa)
{
	const struct fake_view *view = &c->arch->view;

	*ipa = view->ipa;
	return va && va == view->va ? 0 : -EFAULT;
}

bool arch_vcpu_can_fetch(struct cpu *c)
{
	return c->arch->view.can_fetch;
}

void arch_vcpu_stop(struct cpu *c)
{
	c->arch->stopped = true;
}

bool arch_vcpu_stopped(const struct cpu *c)
{
	return c->arch->stopped;
}

static void *guest_thread(void *arg)
{
	struct cpu *c = arg;

	fake_become(c);
	while (!__atomic_load_n(&machine.stop, __ATOMIC_ACQUIRE)) {
		if (machine.guest)
			machine.guest(c);
		pause_point(c);
		arch_relax();
	}
	__atomic_store_n(&c->state, CPU_PARKED, __ATOMIC_RELEASE);
	return NULL;
}

void fake_guest_start(void (*guest)(struct cpu *c))
{
	machine.guest = guest;
	machine.stop = false;
	for_each_cpu (c) {
		if (c->state != CPU_PARKED)
			continue;
		c->state = CPU_GUEST;
		pthread_create(&c->arch->thread, NULL, guest_thread, c);
	}
}

void fake_guest_stop(void)
{
	__atomic_store_n(&machine.stop, true, __ATOMIC_RELEASE);
	for_each_cpu (c) {
		if (!c->arch->thread)
			continue;
		pthread_join(c->arch->thread, NULL);
		c->arch->thread = 0;
	}
}

/* ---- the service CPU ---- */

void arch_service_wake(void)
{
	__atomic_store_n(&machine.wake, true, __ATOMIC_RELEASE);
}

int arch_service_reset(struct cpu *self)
{
	(void)self;
	machine.resets++;
	if (machine.begin)
		machine.begin();
	return 0;
}

void fake_on_service_reset(void (*begin)(void))
{
	machine.begin = begin;
}

u32 fake_service_resets(void)
{
	return machine.resets;
}

void arch_service_idle(u64 until_us)
{
	while (!__atomic_exchange_n(&machine.wake, false, __ATOMIC_ACQ_REL)) {
		/* Time is frozen: no other event can occur before until_us. */
		if (machine.frozen && machine.time_us < until_us)
			machine.time_us = until_us;
		if (arch_time_us() >= until_us)
			return;
		arch_relax();
	}
}

/* ---- misc ---- */

enum suture_machine arch_machine(void)
{
	return SUTURE_MACHINE_X86_64;
}

void arch_debug_putc(char c)
{
	fputc(c, stderr);
}

_Noreturn void arch_machine_reset(void)
{
	abort();
}

void fake_random_set(bool good)
{
	machine.no_random = !good;
}

bool arch_random_is_good(void)
{
	return !machine.no_random;
}

int arch_random(void *buf, size_t len)
{
	return getrandom(buf, len, 0) == (ssize_t)len ? 0 : -EIO;
}
