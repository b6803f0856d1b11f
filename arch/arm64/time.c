/* SPDX-License-Identifier: BSD-2-Clause */
#include "time.h"
#include "arch/time.h"

#define EVENT_ENABLE	(1ull << 2) /* CNTHCTL_EL2, the same with HCR_EL2.E2H and without */
#define EVENT_DIRECTION (1ull << 3)
#define EVENT_BIT(n)	((u64)(n) << 4)
#define EVENT_SCALED	(1ull << 17) /* FEAT_ECV */

static struct {
	u64 start, frequency;
} timer;

/* ISB: the counter must not be read ahead of what precedes (D12.1.2). */
static u64 read_counter(void)
{
	u64 v;

	__asm__ volatile("isb; mrs %0, cntpct_el0" : "=r"(v)::"memory");
	return v;
}

bool time_init(void)
{
	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(timer.frequency));
	timer.start = read_counter();
	return timer.frequency;
}

u64 arch_time_us(void)
{
	u64 ticks, hz = timer.frequency;

	if (!hz)
		return 0;
	/* In two parts: the product of all ticks and a million overflows within days. */
	ticks = read_counter() - timer.start;
	return ticks / hz * 1000000 + ticks % hz * 1000000 / hz;
}

void time_start_events(void)
{
	u64 control, bit = 15;

	/* Bit n of the counter rises once in 2 << n ticks. */
	while (bit && (2ull << bit) * 1000 > timer.frequency)
		bit--;
	__asm__ volatile("mrs %0, cnthctl_el2" : "=r"(control));
	control &= ~(EVENT_SCALED | EVENT_BIT(15) | EVENT_DIRECTION);
	control |= EVENT_ENABLE | EVENT_BIT(bit);
	__asm__ volatile("msr cnthctl_el2, %0; isb" ::"r"(control) : "memory");
}
