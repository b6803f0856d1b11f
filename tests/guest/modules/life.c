// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions inside the kernel for test_life.py and others. Written to /proc/life:
 *
 *	deaf reboot, kexec and panic call no notifier, as if the agent were dead
 *	ended	the monitor is told that the kernel ends, which it does not
 *	other	x86: this CPU loads its IDT on page tables without the system call entry, as another
 *		kernel does, and goes on with its own
 *	count N		have the monitor pause the guest N times from each CPU; a patch must be on
 *	idle N		the same from CPU 0 alone, while the others are idle between interrupts
 *
 * While it counts, which takes a while, each CPU gets a known number of timer interrupts and of
 * interrupts from each other CPU. Reading /proc/life shows what came.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
#include <linux/panic_notifier.h>
#endif

#include "arch.h"
#include "proc_file.h"

#define TICK_US		500
#define TICKS_PER_PAUSE 1
#define LIMIT_MS	240000

struct counter {
	struct hrtimer timer;
	struct task_struct *pauser, *sender;
	unsigned int ticks_left, ticks;
	unsigned int threads;
	unsigned int pauses, failed;
	atomic_t got, done;
	unsigned int sent;
};

static DEFINE_PER_CPU(struct counter, counters);
static unsigned int rounds;

static int deaf_event(struct notifier_block *nb, unsigned long event, void *unused)
{
	return NOTIFY_DONE;
}

/* The first on its list, and the last. */
static struct notifier_block only = {.notifier_call = deaf_event, .priority = INT_MAX};

static int deaf(void)
{
	int err = register_reboot_notifier(&only);

	if (err)
		return err;
	rcu_assign_pointer(only.next, NULL);
	rcu_assign_pointer(panic_notifier_list.head, NULL);
	return 0;
}

static int ended(void)
{
	u32 insn = IS_ENABLED(CONFIG_X86) ? SUTURE_INSN_VMMCALL : SUTURE_INSN_HVC;

	return arch_hypercall(insn, SUTURE_HC_DROP_ALL, 0, 0) < 0 ? -EIO : 0;
}

#ifdef CONFIG_X86_64
/* Modules lie in the last GiB, and the kernel's text in the one before: so this runs on them. */
static void on_other_tables(unsigned long tables)
{
	unsigned long flags, own = __read_cr3();
	struct desc_ptr idt;

	local_irq_save(flags);
	asm volatile("sidt %0" : "=m"(idt));
	native_write_cr3(tables | (own & ~PAGE_MASK));
	asm volatile("lidt %0" ::"m"(idt));
	native_write_cr3(own);
	local_irq_restore(flags);
}

static int other(void)
{
	unsigned long entry = __START_KERNEL_map;
	pgd_t *pgd = (void *)get_zeroed_page(GFP_KERNEL);
	pud_t *pud = (void *)get_zeroed_page(GFP_KERNEL), *own;

	if (pgd && pud) {
		memcpy(pgd, __va(__read_cr3() & PAGE_MASK), PAGE_SIZE);
		own = __va(pgd_val(pgd[pgd_index(entry)]) & PTE_PFN_MASK);
		memcpy(pud, own, PAGE_SIZE);
		pud[pud_index(entry)] = __pud(0);
		pgd[pgd_index(entry)] = __pgd(__pa(pud) | _KERNPG_TABLE);
		on_other_tables(__pa(pgd));
	}
	free_page((unsigned long)pgd);
	free_page((unsigned long)pud);
	return pgd && pud ? 0 : -ENOMEM;
}
#else
static int other(void)
{
	return -EOPNOTSUPP;
}
#endif

/* Nothing is in that range: the monitor pauses all CPUs to see that. */
static long pause_guest(void)
{
	u32 insn = IS_ENABLED(CONFIG_X86) ? SUTURE_INSN_VMMCALL : SUTURE_INSN_HVC;

	return arch_hypercall(insn, SUTURE_HC_DROP_RANGE, 1, 2);
}

static enum hrtimer_restart tick(struct hrtimer *timer)
{
	struct counter *c = container_of(timer, struct counter, timer);

	c->ticks++;
	if (!--c->ticks_left)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(TICK_US * NSEC_PER_USEC));
	return HRTIMER_RESTART;
}

static void start_ticks(void *unused)
{
	struct counter *c = this_cpu_ptr(&counters);

	hrtimer_start(&c->timer, ns_to_ktime(TICK_US * NSEC_PER_USEC),
		      HRTIMER_MODE_REL_PINNED_HARD);
}

static int pauser(void *arg)
{
	struct counter *c = arg;
	unsigned int n;

	for (n = 0; n < rounds; n++) {
		c->failed += pause_guest() != 0;
		c->pauses++;
		cond_resched();
	}
	atomic_inc(&c->done);
	return 0;
}

static void got(void *unused)
{
	atomic_inc(&this_cpu_ptr(&counters)->got);
}

static int sender(void *arg)
{
	struct counter *c = arg;
	unsigned int n;
	int cpu;

	for (n = 0; n < rounds; n++) {
		for_each_online_cpu(cpu)
		{
			if (cpu != raw_smp_processor_id()) {
				smp_call_function_single(cpu, got, NULL, 0);
				c->sent++;
			}
		}
		cond_resched();
	}
	atomic_inc(&c->done);
	return 0;
}

static void start_threads(struct counter *c, int cpu)
{
	c->threads = 2;
	c->pauser = kthread_create(pauser, c, "pauser/%u", cpu);
	c->sender = kthread_create(sender, c, "sender/%u", cpu);
	kthread_bind(c->pauser, cpu);
	kthread_bind(c->sender, cpu);
	wake_up_process(c->pauser);
	wake_up_process(c->sender);
}

static int count(bool others_idle)
{
	unsigned long end = jiffies + msecs_to_jiffies(LIMIT_MS);
	struct counter *c;
	bool done;
	int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu)
	{
		c = per_cpu_ptr(&counters, cpu);
		memset(c, 0, sizeof(*c));
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
		hrtimer_setup(&c->timer, tick, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
#else
		hrtimer_init(&c->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
		c->timer.function = tick;
#endif
		c->ticks_left = rounds * TICKS_PER_PAUSE;
	}
	for_each_online_cpu(cpu)
	{
		c = per_cpu_ptr(&counters, cpu);
		smp_call_function_single(cpu, start_ticks, NULL, 1);
		if (!others_idle || !cpu)
			start_threads(c, cpu);
	}
	do {
		msleep(50);
		done = true;
		for_each_online_cpu(cpu)
		{
			c = per_cpu_ptr(&counters, cpu);
			done = done && atomic_read(&c->done) == c->threads &&
			       !READ_ONCE(c->ticks_left);
		}
	} while (!done && time_before(jiffies, end));
	msleep(100);
	for_each_online_cpu(cpu) hrtimer_cancel(&per_cpu_ptr(&counters, cpu)->timer);
	cpus_read_unlock();
	return done ? 0 : -ETIMEDOUT;
}

static int life_show(struct seq_file *m, void *v)
{
	int cpu;

	for_each_online_cpu(cpu)
	{
		struct counter *c = per_cpu_ptr(&counters, cpu);

		seq_printf(m, "cpu %d pauses %u failed %u ticks %u sent %u got %d\n", cpu,
			   c->pauses, c->failed, c->ticks, c->sent, atomic_read(&c->got));
	}
	return 0;
}

static int life_command(const char *line)
{
	if (!strcmp(line, "deaf"))
		return deaf();
	if (!strcmp(line, "ended"))
		return ended();
	if (!strcmp(line, "other"))
		return other();
	if (sscanf(line, "count %u", &rounds) == 1)
		return count(false);
	return sscanf(line, "idle %u", &rounds) == 1 ? count(true) : -EINVAL;
}

DEFINE_PROC_FILE(life);

static int __init life_init(void)
{
	return proc_create("life", 0600, NULL, &life_ops) ? 0 : -ENOMEM;
}

static void __exit life_exit(void)
{
	remove_proc_entry("life", NULL);
	unregister_reboot_notifier(&only);
}

module_init(life_init);
module_exit(life_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("For tests of a machine's life");
