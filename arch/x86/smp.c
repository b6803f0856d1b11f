/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's INIT and SIPI never reach the hardware: the CPU would run the guest's real-mode code
 * natively. Instead the monitor sends a real INIT, which resets the CPU and its local APIC as the
 * guest expects, and then a SIPI to its own trampoline; the CPU waits in the monitor for the
 * guest's SIPI and enters the guest at that vector.
 */
#include "smp.h"
#include "apic.h"
#include "hv.h"
#include "insn.h"
#include "service.h"
#include "arch/barrier.h"
#include "core/arch.h"
#include "core/errno.h"
#include "core/lib/string.h"
#include "core/log.h"
#include "core/pause.h"
#include "arch/memory.h"

#define SIPI_VALID     0x100u
#define INIT_SETTLE_US 200
#define SIPI_AGAIN_US  10000
#define START_LIMIT_US 2000000
#define LEAVE_LIMIT_US 2000000

/* What trampoline.S needs; at its end in the page below 1 MiB. */
struct trampoline_data {
	u64 cr3;
	u64 entry;
};

extern const char trampoline_start[], trampoline_data[], trampoline_end[];
extern const char ap_entry[];
_Noreturn void ap_main(struct cpu *c);

/* How ap_entry finds its stack. Ends with an entry whose cpu is NULL. */
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

	/* The same bytes each time: CPUs that are in it now do not notice. */
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

int smp_start(struct cpu *self, struct cpu *c)
{
	struct arch_cpu *a = c->arch;
	const u32 never = 0;
	u64 end = arch_time_us() + START_LIMIT_US;

	write_trampoline();
	__atomic_store_n(&a->alive, 0, __ATOMIC_RELEASE);
	apic_send(c->hwid, APIC_INIT | APIC_ASSERT);
	wait_for(self, &never, INIT_SETTLE_US);
	/* A SIPI that finds the CPU awake has no effect; one that comes before the INIT is done is
	 * lost. */
	do {
		apic_send(c->hwid,
			  APIC_SIPI | APIC_ASSERT | (u32)(machine->trampoline.v >> PAGE_SHIFT));
		if (wait_for(self, &a->alive, SIPI_AGAIN_US))
			return 0;
	} while (arch_time_us() < end);
	return -ETIMEDOUT;
}

void smp_abandon(struct cpu *c)
{
	apic_send(c->hwid, APIC_INIT | APIC_ASSERT);
}

/* Have CPU c leave the guest and be ready for INIT. False if it did not, or if we must go first. */
static bool call_out(struct cpu *self, struct cpu *c)
{
	u64 end = arch_time_us() + LEAVE_LIMIT_US;

	while (__atomic_load_n(&c->state, __ATOMIC_ACQUIRE) != CPU_PARKED) {
		/* Two CPUs that INIT each other: the one that gives way is the one that was asked.
		 */
		if (READ_ONCE(self->arch->init_request) || arch_time_us() > end)
			return false;
		arch_kick(c);
		pause_point(self);
		arch_relax();
	}
	return true;
}

void smp_guest_init(struct cpu *self, struct cpu *c)
{
	u32 state;
	int err;

	if (c == self || c->id == 0) {
		/* A boot CPU would go on at the firmware's reset vector. */
		log_warn("guest CPU %u sends INIT to CPU %u: ignored", self->id, c->id);
		return;
	}
	/* Request first: a CPU that just enters the guest sees it, or we see its state. */
	__atomic_store_n(&c->arch->init_request, 1, __ATOMIC_SEQ_CST);
	state = __atomic_load_n(&c->state, __ATOMIC_SEQ_CST);
	if ((state == CPU_GUEST || state == CPU_HELD) && !call_out(self, c)) {
		log_error("CPU %u did not leave the guest for INIT", c->id);
		return;
	}
	__atomic_store_n(&c->arch->sipi, 0, __ATOMIC_RELEASE);
	err = smp_start(self, c);
	if (err)
		log_error("CPU %u (APIC ID %llu) does not answer to INIT and SIPI", c->id,
			  (unsigned long long)c->hwid);
}

void smp_stop_others(struct cpu *self)
{
	for_each_cpu (c) {
		if (c == self || c->id == machine->service_cpu)
			continue;
		__atomic_store_n(&c->arch->init_request, 1, __ATOMIC_SEQ_CST);
		arch_kick(c);
	}
}

void smp_guest_sipi(struct cpu *c, u8 vector)
{
	/* Only a CPU that waits for it takes a SIPI (APM vol. 2, 16.5). */
	if (__atomic_load_n(&c->state, __ATOMIC_ACQUIRE) == CPU_PARKED)
		__atomic_store_n(&c->arch->sipi, SIPI_VALID | vector, __ATOMIC_RELEASE);
}

void smp_check_init(struct cpu *self)
{
	if (!READ_ONCE(self->arch->init_request) || self->arch->step)
		return;
	/* From here on the INIT may come at any time: nothing is held, nothing is half done. */
	__atomic_store_n(&self->state, CPU_PARKED, __ATOMIC_RELEASE);
	for (;;) {
		hv->open_window();
		arch_relax();
	}
}

/*
 * Wait in the monitor until the guest wants this CPU. INIT may come at any time, so there are no
 * locks and no log here, nor if it is on its way when the guest wants it.
 */
static u8 wait_for_sipi(struct cpu *c)
{
	struct arch_cpu *a = c->arch;
	u32 sipi;

	while (!((sipi = __atomic_load_n(&a->sipi, __ATOMIC_ACQUIRE)) & SIPI_VALID))
		arch_relax();
	/* State first: a second SIPI must find this CPU started. */
	__atomic_store_n(&c->state, CPU_GUEST, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&a->init_request, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&c->state, CPU_PARKED, __ATOMIC_SEQ_CST);
		for (;;)
			arch_relax();
	}
	return (u8)sipi;
}

/* A CPU out of the trampoline, on its own stack. */
_Noreturn void ap_main(struct cpu *c)
{
	struct arch_cpu *a = c->arch;
	u8 vector;

	host_load(c);
	if (c->id == machine->service_cpu)
		service_start(c);

	a->kick = a->kicks_again = 0;
	a->guest_nmi = 0;
	a->init_request = 0;
	a->nmi_pending = a->nmi_blocked = false;
	a->step = STEP_NONE;
	a->entry_va = 0;
	a->ldr = 0;
	a->dfr = ~0u;
	__atomic_store_n(&c->state, CPU_PARKED, __ATOMIC_RELEASE);
	__atomic_store_n(&a->alive, 1, __ATOMIC_RELEASE);
	vector = wait_for_sipi(c);

	c->exits[EXIT_STARTUP]++;
	hv->enable(c);
	hv->reset(c, vector);
	log_info("CPU %u starts in the guest at %#x", c->id, vector << 12);
	vcpu_loop(c);
}
