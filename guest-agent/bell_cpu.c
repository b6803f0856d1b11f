// SPDX-License-Identifier: GPL-2.0-only
/*
 * A doorbell for each CPU, which opens and closes its own: when the hypercall has returned no ring
 * is on its way to that CPU any more. So a CPU that goes offline, and the agent when it is
 * unloaded, need not wait for one.
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

static u32 *words; /* by CPU */
static struct irq_work work;
static int hotplug; /* the state */
static bool asleep; /* no CPU may open its own */

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

static void close_all(void)
{
	WRITE_ONCE(asleep, true);
	on_each_cpu(close_here, NULL, 1);
}

static void open_all(void)
{
	WRITE_ONCE(asleep, false);
	on_each_cpu(open_here, NULL, 1);
}

static int start(void)
{
	int err = -ENOMEM;

	init_irq_work(&work, wake);
	words = kcalloc(nr_cpu_ids, sizeof(*words), GFP_KERNEL);
	if (!words)
		return err;
	err = arch_bell_register(take_ring);
	if (err)
		goto no_handler;
	hotplug = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "suture/bell:online", cpu_comes, cpu_goes);
	if (hotplug > 0)
		return 0;
	err = hotplug;
	arch_bell_unregister();
no_handler:
	kfree(words);
	return err;
}

static void stop(void)
{
	cpuhp_remove_state(hotplug);
	arch_bell_unregister();
	irq_work_sync(&work);
	kfree(words);
}

const struct bell_ops cpu_bells = {
	.start = start, .stop = stop, .open = open_all, .close = close_all};
