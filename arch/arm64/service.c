/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service CPU takes no interrupt: the GIC is the guest's, which may turn off whole groups of
 * them. It sleeps in WFE, and what ends that needs no GIC: SEV of another CPU, or the event stream
 * of the timer. So it polls the NIC.
 */
#include "service.h"
#include "arch/barrier.h"
#include "arch/service.h"
#include "arch/start.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "gic.h"
#include "lib/errno.h"
#include "psci_host.h"
#include "time.h"

#define START_LIMIT_US 2000000

extern const char cpu_entry[]; /* entry.S: where PSCI starts a CPU, its struct arch_cpu in x0 */

static u32 woken; /* something came since arch_service_idle() last returned */

void arch_service_wake(void)
{
	if (__atomic_exchange_n(&woken, 1, __ATOMIC_SEQ_CST))
		return;
	/* SEV is not ordered with stores (DDI 0487, B2.3.12). */
	__asm__ volatile("dsb ishst; sev" ::: "memory");
}

void arch_service_idle(u64 until_us)
{
	/* SEV between the look and WFE is not lost: it sets this CPU's event register (D1.6.1). */
	while (!__atomic_exchange_n(&woken, 0, __ATOMIC_SEQ_CST) && arch_time_us() < until_us)
		__asm__ volatile("wfe" ::: "memory");
}

bool arch_service_msi(u64 *address, u32 *data)
{
	(void)address, (void)data;
	return false;
}

/* ---- the start ---- */

static bool runs(const struct cpu *c)
{
	return __atomic_load_n(&c->state, __ATOMIC_ACQUIRE) == CPU_SERVICE;
}

int arch_start_service(struct cpu *c)
{
	s64 answer = psci_cpu_on(c->hwid, (u64)cpu_entry, (u64)c->arch);
	u64 end = arch_time_us() + START_LIMIT_US;

	if (answer)
		log_error("PSCI CPU_ON of CPU %u (MPIDR %#llx): error %lld", c->id, c->hwid,
			  answer);
	while (!answer && !runs(c) && arch_time_us() < end)
		arch_relax();
	return runs(c) ? 0 : -ETIMEDOUT;
}

_Noreturn void service_start(struct cpu *c, const struct boot_info *bi)
{
	gic_init_service();
	time_start_events();
	__atomic_store_n(&c->state, CPU_SERVICE, __ATOMIC_RELEASE);
	log_info("CPU %u (MPIDR %#llx) is the service CPU", c->id, c->hwid);
	service_main(bi);
}

/* EL2 runs with all interrupts masked, and PSCI cannot turn off another CPU. */
int arch_service_reset(struct cpu *self)
{
	(void)self;
	return -EOPNOTSUPP;
}
