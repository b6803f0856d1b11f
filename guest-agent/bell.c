// SPDX-License-Identifier: GPL-2.0-only
/*
 * The doorbell: the monitor wakes the thread that polls. Each CPU opens and closes its own: when
 * the hypercall has returned no ring is on its way to that CPU any more. So a CPU that goes
 * offline, and the agent when it is unloaded, need not wait for one.
 *
 * The handler claims an interrupt only if the monitor has set the CPU's word. All others are those
 * of other handlers, or nobody's: with unknown_nmi_panic these must panic, and rings must not. For
 * the exception shortly after a ring see arch/x86/bell.h.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include "agent.h"
#include <bell.h>

static u32 *words; /* by CPU; one more: the heartbeat */
static struct irq_work work;
static int hotplug; /* the state; 0: there is no doorbell */
static bool asleep; /* no CPU may open its own */
static bool again;  /* all are to be opened once the monitor has answered */

static bool take_ring(void)
{
	if (!xchg(&words[raw_smp_processor_id()], 0))
		return false;
	irq_work_queue(&work);
	return true;
}

static void wake(struct irq_work *unused)
{
	poll_kick();
}

/* ---- on a CPU, which this code does not leave ---- */

static void close_here(void *unused)
{
	mailbox_bell(0);
}

static void open_here(void *unused)
{
	long err = READ_ONCE(asleep) ? 0 : mailbox_bell(virt_to_phys(&words[smp_processor_id()]));

	if (err)
		pr_warn_ratelimited("CPU %u cannot be rung (error %ld)\n", smp_processor_id(), err);
}

static int cpu_comes(unsigned int cpu)
{
	open_here(NULL);
	return 0;
}

static int cpu_goes(unsigned int cpu)
{
	if (!READ_ONCE(asleep))
		close_here(NULL);
	return 0;
}

/* ---- any context that sleeps ---- */

void bell_close(void)
{
	WRITE_ONCE(asleep, true);
	if (hotplug)
		on_each_cpu(close_here, NULL, 1);
}

void bell_open(void)
{
	WRITE_ONCE(asleep, false);
	WRITE_ONCE(again, true);
	poll_kick();
}

void bell_open_again(void)
{
	if (!READ_ONCE(again))
		return;
	WRITE_ONCE(again, false);
	if (hotplug)
		on_each_cpu(open_here, NULL, 1);
	poll_kick();
}

void bell_beat(void)
{
	WRITE_ONCE(words[nr_cpu_ids], words[nr_cpu_ids] + 1);
}

u64 bell_heartbeat(void)
{
	return virt_to_phys(&words[nr_cpu_ids]);
}

int bell_init(void)
{
	words = kcalloc(nr_cpu_ids + 1, sizeof(*words), GFP_KERNEL);
	init_irq_work(&work, wake);
	return words ? 0 : -ENOMEM;
}

void bell_start(void)
{
	int err = arch_bell_register(take_ring);

	if (err == -EOPNOTSUPP)
		return;
	if (err)
		goto no_bell;
	hotplug = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "suture/bell:online", cpu_comes, cpu_goes);
	if (hotplug > 0)
		return;
	err = hotplug;
	hotplug = 0;
	arch_bell_unregister();
no_bell:
	pr_warn("the monitor cannot ring this kernel (error %d): the agent polls instead\n", err);
}

void bell_stop(void)
{
	if (!hotplug)
		return;
	cpuhp_remove_state(hotplug);
	hotplug = 0;
	arch_bell_unregister();
	irq_work_sync(&work);
}

void bell_exit(void)
{
	kfree(words);
}
