/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's calls of PSCI (DEN0022, chapter 5). The firmware carries them out; what the monitor
 * does is that CPUs come up at EL2, by cpu_entry, and go on from there to where the guest wants
 * them; that the service CPU is none that the guest has; and that no CPU loses what it has at EL2.
 */
#include "arch/barrier.h"
#include "arch/cpu.h"
#include "arch/platform.h"
#include "arch/pagetable.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "core/pause.h"
#include "el2.h"
#include "gic.h"
#include "guest/ram.h"
#include "lib/string.h"
#include "psci_host.h"
#include "service.h"
#include "smccc.h"
#include "sysreg.h"

/* Functions (5.1); those with addresses in 64-bit form as well. */
#define FN64		    SMCCC_64
#define FN_CPU_SUSPEND	    0x84000001u
#define FN_CPU_OFF	    0x84000002u
#define FN_CPU_ON	    0x84000003u
#define FN_AFFINITY_INFO    0x84000004u
#define FN_SYSTEM_OFF	    0x84000008u
#define FN_SYSTEM_RESET	    0x84000009u
#define FN_FEATURES	    0x8400000au
#define FN_CPU_FREEZE	    0x8400000bu
#define FN_DEFAULT_SUSPEND  0x8400000cu
#define FN_SYSTEM_SUSPEND   0x8400000eu
#define FN_SET_SUSPEND_MODE 0x8400000fu
#define FN_SYSTEM_RESET2    0x84000012u

#define AFFINITY_OFF   1 /* AFFINITY_INFO's answer */
#define LEAVE_LIMIT_US 2000000

/* Results (5.2.2) */
#define SUCCESS		   0
#define NOT_SUPPORTED	   (-1)
#define INVALID_PARAMETERS (-2)
#define ALREADY_ON	   (-4)
#define ON_PENDING	   (-5)
#define INVALID_ADDRESS	   (-9)

#define FEATURE_OS_INITIATED   1u /* of CPU_SUSPEND (5.16.2) */
#define FEATURE_EXTENDED_STATE 2u
#define STATE_POWERS_DOWN      (1u << 16) /* of power_state (5.4.2) */
#define STATE_EXT_POWERS_DOWN  (1u << 30)

/* A call of the monitor's own. */
static s32 firmware(u32 fn, u64 a)
{
	u64 x[18] = {fn, a};

	smc_forward(x);
	return (s32)x[0];
}

_Noreturn void psci_system_reset(void)
{
	firmware(FN_SYSTEM_RESET, 0);
	for (;;)
		__asm__ volatile("wfi" ::: "memory");
}

_Noreturn void arch_machine_reset(void)
{
	psci_system_reset();
}

_Noreturn void psci_halt(void)
{
	/* One that must stay on (5.5.2: DENIED) waits where it is. */
	for (;;) {
		firmware(FN_CPU_OFF, 0);
		__asm__ volatile("wfi" ::: "memory");
	}
}

/* One of the guest's CPUs, or NULL: the service CPU is none. */
static struct cpu *find_guest_cpu(u64 mpidr)
{
	for_each_cpu (c)
		if (c->hwid == mpidr && c->id != machine->service_cpu)
			return c;
	return NULL;
}

static bool is_entry(u64 entry)
{
	return !(entry & 3) && guest_is_ram(IPA(entry), 4);
}

/* ---- starting and stopping ---- */

static bool runs_guest(const struct cpu *c)
{
	u32 state = __atomic_load_n(&c->state, __ATOMIC_SEQ_CST);

	return state == CPU_GUEST || state == CPU_HELD || state == CPU_IDLE;
}

/*
 * A CPU that an old kernel has left behind (arch_vcpu_stop()) is on for the firmware until it has
 * left the guest. From WFI an SGI brings it out, which means nothing to a kernel that comes up on
 * it.
 */
static bool call_out(struct cpu *self, struct cpu *c)
{
	u64 end = arch_time_us() + LEAVE_LIMIT_US;

	while (runs_guest(c) || firmware(FN_AFFINITY_INFO | FN64, c->hwid) != AFFINITY_OFF) {
		if (arch_time_us() > end)
			return false;
		arch_kick(c);
		if (READ_ONCE(c->state) == CPU_IDLE)
			gic_send(c->hwid, 0);
		pause_point(self);
		arch_relax();
	}
	return true;
}

/* Another CPU may start the same one: whoever sets `starting` does, and the CPU clears it. */
static s64 cpu_on(struct cpu *self, u64 mpidr, u64 entry, u64 context)
{
	struct cpu *c = find_guest_cpu(mpidr);
	s64 answer;

	if (!c)
		return INVALID_PARAMETERS;
	if (!is_entry(entry))
		return INVALID_ADDRESS;
	if (runs_guest(c) && (c == self || !arch_vcpu_stopped(c) || !call_out(self, c)))
		return ALREADY_ON;
	if (__atomic_exchange_n(&c->arch->starting, 1, __ATOMIC_SEQ_CST))
		return ON_PENDING;
	c->arch->entry = entry;
	c->arch->context = context;
	answer = psci_cpu_on(c->hwid, (u64)cpu_entry, (u64)c->arch);
	if (answer)
		__atomic_store_n(&c->arch->starting, 0, __ATOMIC_SEQ_CST);
	return answer;
}

/* Comes back only with an error. */
static s64 cpu_off(struct cpu *self)
{
	s64 answer;

	__atomic_store_n(&self->state, CPU_PARKED, __ATOMIC_SEQ_CST);
	answer = firmware(FN_CPU_OFF, 0);
	__atomic_store_n(&self->state, CPU_GUEST, __ATOMIC_SEQ_CST);
	/* Pauses did not count this CPU meanwhile. */
	arch_stage2_flush_local();
	pause_point(self);
	return answer;
}

static s64 affinity_info(u64 mpidr, u64 fn, u64 level)
{
	u64 x[18] = {fn, mpidr, level};

	if (!level && !find_guest_cpu(mpidr))
		return INVALID_PARAMETERS;
	smc_forward(x);
	return (s32)x[0];
}

/* The CPU starts there: nothing is known of the kernel on it until it idles (wait_exit()). */
static void start_at(struct cpu *c, u64 entry, u64 context)
{
	c->arch->vbar = 0;
	kexec_cpu_started(c);
	state_reset(c, entry, context);
}

_Noreturn void cpu_main(struct cpu *c)
{
	struct arch_cpu *a = c->arch;
	u64 entry = a->entry, context = a->context;

	el2_init_cpu();
	if (c->id == machine->service_cpu)
		service_start(c, machine);

	memset(&a->step, 0, sizeof(a->step));
	a->halted = false;
	start_at(c, entry, context);
	__atomic_store_n(&a->stopped, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->state, CPU_GUEST, __ATOMIC_SEQ_CST);
	__atomic_store_n(&a->starting, 0, __ATOMIC_SEQ_CST);
	c->exits[EXIT_STARTUP]++;
	log_limited(LOG_CPU, LOG_INFO, "CPU %u starts in the guest at %#llx", c->id, entry);
	vcpu_loop(c);
}

/* ---- suspending ---- */

static bool powers_down(u32 power_state)
{
	s32 features = firmware(FN_FEATURES, FN_CPU_SUSPEND);

	if (features >= 0 && (features & FEATURE_EXTENDED_STATE))
		return power_state & STATE_EXT_POWERS_DOWN;
	return power_state & STATE_POWERS_DOWN;
}

/*
 * The CPU waits in the monitor, and is held there by pauses as in WFI: a power-down would take
 * EL2's registers, and its stack would still be the one that it suspended on. It wakes as from a
 * power-down if it asked for one. A kernel that is alone with the GIC (GICD_CTLR.DS: Linux) closes
 * the CPU's interface first, since its redistributor wakes the CPU then; WFI would not end, so the
 * CPU wakes at once.
 */
static void cpu_suspend(struct cpu *c, u32 power_state, u64 entry, u64 context)
{
	u64 *result = &c->arch->vcpu.x[0];
	bool down = powers_down(power_state);

	if (down && !is_entry(entry)) {
		*result = (u64)INVALID_ADDRESS;
		return;
	}
	if (gic_delivers())
		vcpu_wait(c);
	if (down)
		start_at(c, entry, context);
	else
		*result = SUCCESS;
}

/* What the monitor would not survive, or does not follow, is not there. */
static bool is_left_out(u32 fn)
{
	return fn == FN_CPU_FREEZE || fn == FN_DEFAULT_SUSPEND || fn == FN_SYSTEM_SUSPEND ||
	       fn == FN_SET_SUSPEND_MODE;
}

static s64 features(u32 fn)
{
	s32 answer = is_left_out(fn & ~FN64) ? NOT_SUPPORTED : firmware(FN_FEATURES, fn);

	if (answer > 0 && (fn & ~FN64) == FN_CPU_SUSPEND)
		answer &= ~(s32)FEATURE_OS_INITIATED;
	return answer;
}

/* ---- calls ---- */

static void end_system(struct cpu *c, const char *what)
{
	log_info("guest CPU %u: %s", c->id, what);
	smc_forward(c->arch->vcpu.x);
}

bool psci_call(struct cpu *c)
{
	u64 *x = c->arch->vcpu.x;
	u32 fn = smccc_function(x[0]);
	/* 32-bit calls have 32-bit arguments (DEN0028, 2.7) */
	u64 mask = x[0] & FN64 ? ~0ull : 0xffffffffull;

	if (!smccc_is_psci(x[0]))
		return false;
	/* Every kernel asks for its version first, before it uses memory that it has not been
	 * given. */
	kexec_check(c);
	if (is_left_out(fn))
		x[0] = (u64)NOT_SUPPORTED;
	else if (fn == FN_CPU_ON)
		x[0] = (u64)cpu_on(c, x[1] & mask, x[2] & mask, x[3] & mask);
	else if (fn == FN_CPU_OFF)
		x[0] = (u64)cpu_off(c);
	else if (fn == FN_CPU_SUSPEND)
		cpu_suspend(c, (u32)x[1], x[2] & mask, x[3] & mask);
	else if (fn == FN_AFFINITY_INFO)
		x[0] = (u64)affinity_info(x[1] & mask, x[0], x[2] & mask);
	else if (fn == FN_FEATURES)
		x[0] = (u64)features((u32)x[1]);
	else if (fn == FN_SYSTEM_OFF)
		end_system(c, "the machine is turned off");
	else if (fn == FN_SYSTEM_RESET || fn == FN_SYSTEM_RESET2)
		end_system(c, "the machine is reset");
	else
		smc_forward(x);
	return true;
}
