/* SPDX-License-Identifier: BSD-2-Clause */
#include "apic.h"
#include "arch/barrier.h"
#include "arch/cpu.h"
#include "arch/service.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "hv.h"
#include "insn.h"
#include "mtrr.h"
#include "real_mode.h"
#include "service.h"

#define DIVIDE_BY_16	 0x3u
#define CALIBRATE_US	 2000
#define CALIBRATE_ROUNDS 3
#define MSI_ADDRESS	 0xfee00000ull
#define MSI_MAX_HWID	 0xfeu

static struct {
	u32 woken; /* an interrupt came since arch_service_idle() last returned */
	u64 timer_per_ms;
} service;

/* ---- waking and sleeping ---- */

void arch_service_wake(void)
{
	if (__atomic_exchange_n(&service.woken, 1, __ATOMIC_SEQ_CST))
		return;
	if (cpu_this()->id != machine->service_cpu)
		apic_send(cpus[machine->service_cpu].hwid, APIC_FIXED | APIC_ASSERT | VEC_WAKE);
}

static bool in_service(u32 vector)
{
	u32 reg = APIC_ISR + vector / 32 * 0x10;

	return apic_read((enum apic_register)reg) >> vector % 32 & 1;
}

void service_interrupt(u32 vector)
{
	__atomic_store_n(&service.woken, 1, __ATOMIC_SEQ_CST);
	/*
	 * A device may send any vector, also that of spurious interrupts: one that is not
	 * acknowledged blocks all below. A spurious interrupt, and one by ExtINT, is not in service
	 * (APM vol. 2, 16.4.7 and 16.6.3).
	 */
	if (in_service(vector))
		apic_write(APIC_EOI, 0);
}

static void arm_timer(u64 until_us)
{
	u64 now = arch_time_us(), left = until_us > now ? until_us - now : 1, count;

	if (until_us == UINT64_MAX) {
		apic_write(APIC_TIMER_COUNT, 0);
		return;
	}
	/* Too far for 32 bits of microseconds: waking early is harmless. */
	left = MIN(left, 0xffffffffull);
	count = left * service.timer_per_ms / 1000;
	apic_write(APIC_TIMER_COUNT, (u32)MIN(MAX(count, 1ull), 0xffffffffull));
}

void arch_service_idle(u64 until_us)
{
	bool again = mtrr_follow();

	/*
	 * Interrupts are on only during the halt: one that comes now stays pending and ends the
	 * halt at once.
	 */
	if (!again && !__atomic_load_n(&service.woken, __ATOMIC_SEQ_CST)) {
		arm_timer(until_us);
		idle_halt();
	}
	__atomic_store_n(&service.woken, 0, __ATOMIC_SEQ_CST);
}

bool arch_service_msi(u64 *address, u32 *data)
{
	u64 hwid = cpus[machine->service_cpu].hwid;

	if (hwid > MSI_MAX_HWID)
		return false;
	/* APM vol. 2, 16.10: physical destination, fixed, edge. */
	*address = MSI_ADDRESS | hwid << 12;
	*data = VEC_NIC;
	return true;
}

/* ---- the start ---- */

static void init_apic(void)
{
	if (!apic_is_x2()) {
		apic_write(APIC_DFR, ~0u);
		apic_write(APIC_LDR, 0); /* no logical destination of the guest includes this CPU */
	}
	/* What devices send with other vectors stays pending for ever, and has no effect. */
	apic_write(APIC_TPR, PRIORITY_BELOW_OURS);
	apic_write(APIC_LVT_THERMAL, APIC_LVT_MASKED);
	apic_write(APIC_LVT_PERF, APIC_LVT_MASKED);
	apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
	apic_write(APIC_LVT_LINT1, APIC_LVT_MASKED);
	apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VEC_SPURIOUS);
}

/* End the interrupts whose handlers did not come to their end (APM vol. 2, 16.6.4). */
static void end_interrupts(void)
{
	for (u32 word = 0; word < 256 / 32; word++)
		for (u32 isr = apic_read((enum apic_register)(APIC_ISR + 16 * word)); isr;
		     isr &= isr - 1)
			apic_write(APIC_EOI, 0);
}

/*
 * No source gives the timer's rate reliably: measure it against the TSC. Of several measurements
 * the one whose readings took the least time counts, since it was disturbed least.
 */
static void calibrate_timer(void)
{
	u64 best = UINT64_MAX;

	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | VEC_TIMER);
	for (u32 i = 0; i < CALIBRATE_ROUNDS; i++) {
		u64 t[4], ticks, blur;

		t[0] = rdtsc();
		apic_write(APIC_TIMER_COUNT, ~0u);
		t[1] = rdtsc();
		while (rdtsc() - t[1] < CALIBRATE_US * machine->ticks_per_us)
			arch_relax();
		t[2] = rdtsc();
		ticks = ~0u - apic_read(APIC_TIMER_NOW);
		t[3] = rdtsc();
		blur = t[1] - t[0] + t[3] - t[2];
		if (blur >= best)
			continue;
		best = blur;
		service.timer_per_ms =
			MAX(ticks * 1000 * machine->ticks_per_us / (t[2] - t[1]), 1ull);
	}
	apic_write(APIC_TIMER_COUNT, 0);
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
}

_Noreturn void service_start(struct cpu *c)
{
	real_mode_guard();
	__atomic_store_n(&c->state, CPU_SERVICE, __ATOMIC_RELEASE);
	__atomic_store_n(&c->arch->alive, 1, __ATOMIC_RELEASE);
	init_apic();
	end_interrupts();
	calibrate_timer();
	log_info("CPU %u (APIC ID %llu) is the service CPU, timer %llu kHz", c->id,
		 (unsigned long long)c->hwid, (unsigned long long)service.timer_per_ms);
	service_main(machine);
}

_Noreturn void service_restart(void)
{
	struct cpu *c = &cpus[machine->service_cpu];

	host_load(c);
	service_start(c);
}
