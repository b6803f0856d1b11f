/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's INIT and SIPI do not reach the hardware: the CPU would run the guest's real-mode code
 * without the monitor. For INIT the monitor makes the CPU leave the guest, and sends a real INIT.
 * That resets the CPU and its local APIC as the guest expects, and the CPU then waits for SIPI,
 * which costs nothing. For SIPI the monitor starts the CPU in its own trampoline, from where it
 * enters the guest at the vector of the SIPI.
 */
#include "apic.h"
#include "arch/barrier.h"
#include "arch/cpu.h"
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "arch/service.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "hv.h"
#include "insn.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "service.h"
#include "smp.h"

#define INIT_SETTLE_US 200
#define SIPI_AGAIN_US  10000
#define START_LIMIT_US 2000000
#define LEAVE_LIMIT_US 2000000
#define KICK_LIMIT_US  1000000 /* a kick that takes longer counts as lost */

/* The data of trampoline.S; after its code in the page below 1 MiB. */
struct trampoline_data {
	u64 cr3;
	u64 entry;
};

extern const char trampoline_start[], trampoline_data[], trampoline_end[];
extern const char ap_entry[];
_Noreturn void ap_main(struct cpu *c);

/* The table in which ap_entry finds its stack. Ends with an entry whose cpu is NULL. */
struct ap_slot {
	u64 hwid;
	u64 stack_top;
	struct cpu *cpu;
};
extern struct ap_slot ap_slots[MAX_CPUS + 1];
struct ap_slot ap_slots[MAX_CPUS + 1];

static void write_trampoline(void)
{
	u8 *page = arch_ptr(machine->trampoline);
	struct trampoline_data data = {.cr3 = host_root(), .entry = (u64)ap_entry};

	/* The bytes are the same each time, so CPUs that execute it now are not affected. */
	memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	memcpy(page + (trampoline_data - trampoline_start), &data, sizeof(data));
	for (u32 i = 0; i < nr_cpus; i++)
		ap_slots[i] =
			(struct ap_slot){cpus[i].hwid, cpus[i].arch->host.stack_top, &cpus[i]};
}

/* Wait until the word is set; a guest CPU takes part in pauses meanwhile. */
static bool wait_for(struct cpu *self, const u32 *word, u64 us)
{
	u64 end = arch_time_us() + us;

	while (!__atomic_load_n(word, __ATOMIC_ACQUIRE)) {
		if (arch_time_us() > end)
			return false;
		if (self)
			pause_point(self);
		arch_relax();
	}
	return true;
}

/*
 * Send a real INIT: the CPU stops what it did, and waits for SIPI. It holds no lock of the monitor.
 */
static void reset(struct cpu *self, struct cpu *c)
{
	const u32 never = 0;

	__atomic_store_n(&c->arch->alive, 0, __ATOMIC_RELEASE);
	apic_send(c->hwid, APIC_INIT | APIC_ASSERT);
	/* A SIPI that arrives before the INIT has completed is lost. */
	wait_for(self, &never, INIT_SETTLE_US);
}

/* Send a real SIPI, for the trampoline. 0 or -ETIMEDOUT. */
static int wake(struct cpu *self, struct cpu *c)
{
	u64 end = arch_time_us() + START_LIMIT_US;

	write_trampoline();
	/* A SIPI has no effect on a CPU that runs already. */
	do {
		apic_send(c->hwid,
			  APIC_SIPI | APIC_ASSERT | (u32)(machine->trampoline.v >> PAGE_SHIFT));
		if (wait_for(self, &c->arch->alive, SIPI_AGAIN_US))
			return 0;
	} while (arch_time_us() < end);
	log_limited(LOG_CPU, LOG_ERROR, "CPU %u (APIC ID %llu) does not answer to INIT and SIPI",
		    c->id, (unsigned long long)c->hwid);
	return -ETIMEDOUT;
}

int smp_start(struct cpu *c)
{
	reset(NULL, c);
	return wake(NULL, c);
}

int arch_service_reset(struct cpu *self)
{
	struct cpu *c = &cpus[machine->service_cpu];

	reset(self, c);
	return wake(self, c);
}

void smp_abandon(struct cpu *c)
{
	apic_send(c->hwid, APIC_INIT | APIC_ASSERT);
}

static bool must_leave(const struct arch_cpu *a)
{
	return __atomic_load_n(&a->init_requests, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&a->stopped, __ATOMIC_SEQ_CST);
}

/*
 * Make CPU c leave the guest and be ready for INIT. False if it did not, or if this CPU must leave
 * first.
 */
static bool call_out(struct cpu *self, struct cpu *c)
{
	u64 end = arch_time_us() + LEAVE_LIMIT_US;

	while (!__atomic_load_n(&c->arch->quiet, __ATOMIC_ACQUIRE)) {
		/* Two CPUs send INIT to each other: the one that has a request itself gives up. */
		if (must_leave(self->arch) || arch_time_us() > end)
			return false;
		arch_kick(c);
		pause_point(self);
		arch_relax();
	}
	return true;
}

void smp_guest_init(struct cpu *self, struct cpu *c)
{
	struct arch_cpu *a = c->arch;
	u32 state = CPU_ABSENT;

	if (c == self || c->id == 0) {
		/* The boot CPU would continue at the firmware's reset vector. */
		log_limited(LOG_CPU, LOG_WARN, "guest CPU %u sends INIT to CPU %u: ignored",
			    self->id, c->id);
		return;
	}
	/*
	 * The request is stored first: a CPU that enters the guest now sees it, or this CPU sees
	 * its state.
	 */
	__atomic_fetch_add(&a->init_requests, 1, __ATOMIC_SEQ_CST);
	/* A CPU that the firmware has left is out of the guest, and was never kicked. */
	if (__atomic_compare_exchange_n(&c->state, &state, CPU_PARKED, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST))
		__atomic_store_n(&a->quiet, 1, __ATOMIC_RELEASE);
	if (!call_out(self, c)) {
		log_limited(LOG_CPU, LOG_ERROR, "CPU %u did not leave the guest for INIT", c->id);
	} else {
		__atomic_store_n(&a->stopped, 0, __ATOMIC_RELEASE);
		reset(self, c);
		state = CPU_DEAD;
		__atomic_compare_exchange_n(&c->state, &state, CPU_PARKED, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
		__atomic_store_n(&a->waits_for_sipi, 1, __ATOMIC_RELEASE);
	}
	__atomic_fetch_sub(&a->init_requests, 1, __ATOMIC_SEQ_CST);
}

void arch_vcpu_stop(struct cpu *c)
{
	__atomic_store_n(&c->arch->stopped, 1, __ATOMIC_SEQ_CST);
	if (c != cpu_this())
		arch_kick(c);
}

bool arch_vcpu_stopped(const struct cpu *c)
{
	return READ_ONCE(c->arch->stopped);
}

void smp_guest_sipi(struct cpu *self, struct cpu *c, u8 vector)
{
	struct arch_cpu *a = c->arch;

	/* Only a CPU that waits for SIPI accepts one, and only one (APM vol. 2, 16.5). */
	if (!__atomic_exchange_n(&a->waits_for_sipi, 0, __ATOMIC_ACQ_REL))
		return;
	__atomic_store_n(&a->sipi_vector, vector, __ATOMIC_RELEASE);
	if (wake(self, c))
		__atomic_store_n(&a->waits_for_sipi, 1, __ATOMIC_RELEASE);
}

/*
 * A kick in flight must not reach this CPU while it waits for SIPI, or in the trampoline, where the
 * NMI would use the vectors of real mode. Pairs with arch_kick(): the kicking CPU sees this CPU's
 * state, or this CPU sees the flag, which the NMI clears (trap.c). Virtualization is off from here
 * on, so that NMIs and INIT are not held back (Bochs drops an INIT that is).
 */
static void drain_kicks(struct cpu *self)
{
	struct arch_cpu *a = self->arch;
	u64 end = arch_time_us() + KICK_LIMIT_US;

	hv->disable(self);
	while (__atomic_load_n(&a->kick, __ATOMIC_SEQ_CST) && arch_time_us() < end)
		arch_relax();
	__atomic_store_n(&a->quiet, 1, __ATOMIC_RELEASE);
}

/* Halt until an INIT comes; does not return. NMIs are taken and have no effect. */
static _Noreturn void halt_for_init(void)
{
	for (;;)
		hlt();
}

/*
 * Stay out of the guest for as long as another CPU requests that. This CPU holds no lock and has no
 * work in progress, so that the INIT may come at any time.
 */
static void step_aside(struct cpu *self)
{
	struct arch_cpu *a = self->arch;

	while (must_leave(a)) {
		__atomic_store_n(&self->state, CPU_PARKED, __ATOMIC_SEQ_CST);
		drain_kicks(self);
		while (must_leave(a)) {
			if (READ_ONCE(a->stopped))
				halt_for_init();
			arch_relax();
		}
		hv->enable(self);
		__atomic_store_n(&a->quiet, 0, __ATOMIC_RELEASE);
		/*
		 * The requesting CPU has given up. The state is stored first: a new requester sees
		 * it, or this CPU sees the request.
		 */
		__atomic_store_n(&self->state, CPU_GUEST, __ATOMIC_SEQ_CST);
	}
}

_Noreturn void smp_halt(struct cpu *self)
{
	drain_kicks(self);
	halt_for_init();
}

void smp_check_init(struct cpu *self)
{
	if (!must_leave(self->arch) || self->arch->step)
		return;
	step_aside(self);
	/* Pauses did not include this CPU meanwhile. */
	arch_stage2_flush_local();
	pause_point(self);
}

/*
 * A CPU that comes from the trampoline, on its own stack, after a SIPI. Another INIT may come until
 * its state is CPU_GUEST, so it takes no lock and logs nothing before.
 */
_Noreturn void ap_main(struct cpu *c)
{
	struct arch_cpu *a = c->arch;
	struct guest_state state;

	host_load(c);
	if (c->id == machine->service_cpu)
		service_start(c);

	a->kick = a->kicks_again = 0;
	a->guest_nmi = 0;
	a->nmi_pending = false;
	a->step = STEP_NONE;
	kexec_cpu_started(c);
	a->ldr = 0;
	a->dfr = ~0u;
	hv->enable(c);
	__atomic_store_n(&a->alive, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&a->quiet, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&c->state, CPU_GUEST, __ATOMIC_SEQ_CST);
	step_aside(c);

	c->exits[EXIT_STARTUP]++;
	state_reset(&state, (u8)READ_ONCE(a->sipi_vector), a->vcpu.cr0);
	hv->set_state(c, &state);
	log_limited(LOG_CPU, LOG_INFO, "CPU %u starts in the guest at %#x", c->id,
		    READ_ONCE(a->sipi_vector) << 12);
	vcpu_loop(c);
}
