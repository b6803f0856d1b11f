// SPDX-License-Identifier: GPL-2.0-only
/*
 * One function that calls two others, from everywhere at once: user processes (reading
 * /proc/mixture/run, without end), a kernel thread, timers in softirq, timers in hard interrupts
 * and inter-processor interrupts, on every CPU. All three say which version they are. A patch that
 * changes them must never be seen in part: /proc/mixture/state counts calls where versions differ.
 * It also shows a hash of the kernel's text (module parameters: where that is) and of this
 * module's, once through the mapping that runs and once through that of all memory.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/timer.h>
#include <linux/version.h>
#include <linux/vmalloc.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define TEXT_BASE mem[MOD_TEXT].base
#define TEXT_SIZE mem[MOD_TEXT].size
#else
#define TEXT_BASE core_layout.base
#define TEXT_SIZE core_layout.text_size
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define timer_delete_sync del_timer_sync
#endif

static unsigned long stext, etext;
module_param(stext, ulong, 0600);
module_param(etext, ulong, 0600);

enum context { USER, THREAD, SOFTIRQ, HARDIRQ, IPI, CONTEXTS };
static const char *const context_names[] = {"user", "thread", "softirq", "hardirq", "ipi"};

/* Calls in one go, and one in how many goes sleeps in the middle of a call. */
#define BATCH	    100
#define BATCH_IRQ   50
#define SLEEP_EVERY 16

/*
 * How often each context comes up. An interrupt costs an emulator as much as 10,000 instructions: a
 * host that is busy must not leave the guest with nothing but these.
 */
#define TIMER_MS  8
#define THREAD_US 2000
/* A user process rests after so many batches, or sleeps in the middle of a call instead. */
#define USER_BATCHES 32
#define USER_US	     3000
#define USER_CALLS   4
/*
 * An emulator that runs one CPU at a time gives each 100 ms, unless it pauses: with none that does,
 * the monitor's CPU would come up for everything that it has to say ten times a second.
 */
#define TURN_BATCHES 4

struct counts {
	unsigned long calls[CONTEXTS];
	unsigned long version[3];
	unsigned long mixed;
};
static DEFINE_PER_CPU(struct counts, counts);

/* Called by the new functions too. */
static __attribute__((noipa)) void mixture_note(int context, int h, int f, int g)
{
	this_cpu_inc(counts.calls[context]);
	if (h != f || h != g || h < 1 || h > 2)
		this_cpu_inc(counts.mixed);
	else
		this_cpu_inc(counts.version[h]);
}

static __attribute__((noipa)) int mixture_f(void)
{
	barrier();
	return 1;
}

static __attribute__((noipa)) int mixture_g(void)
{
	barrier();
	return 1;
}

/* between: what is to happen in the middle of the call, or NULL. */
static __attribute__((noipa)) void mixture_h(int context, void (*between)(void))
{
	int f = mixture_f();

	if (between)
		between();
	mixture_note(context, 1, f, mixture_g());
}

static void mixture_sleep(void)
{
	usleep_range(500, 1500);
}

/*
 * Return addresses that the calls have left below the stack pointer are stale. Where unwinding does
 * not tell them (arm64), they would be in the way of a patch as long as they stay.
 */
static __attribute__((noipa)) void wipe_stack(void)
{
	volatile unsigned long words[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = 0;
}

static void call_once(enum context context, void (*between)(void))
{
	mixture_h(context, between);
	wipe_stack();
}

static void call_all(enum context context, unsigned int n)
{
	while (n--)
		mixture_h(context, NULL);
	wipe_stack();
}

/* ---- contexts ---- */

struct source {
	struct task_struct *thread;
	struct timer_list timer;
	struct hrtimer hrtimer;
};
static DEFINE_PER_CPU(struct source, sources);
static bool stopping;

static void on_timer(struct timer_list *timer)
{
	call_all(SOFTIRQ, BATCH);
	if (!READ_ONCE(stopping))
		mod_timer(timer, jiffies + msecs_to_jiffies(TIMER_MS));
}

static enum hrtimer_restart on_hrtimer(struct hrtimer *timer)
{
	call_all(HARDIRQ, BATCH_IRQ);
	hrtimer_forward_now(timer, ms_to_ktime(TIMER_MS));
	return HRTIMER_RESTART;
}

static void on_ipi(void *unused)
{
	call_all(IPI, BATCH_IRQ);
}

static int thread_main(void *arg)
{
	struct source *s = arg;
	unsigned int n = 0;

	hrtimer_start(&s->hrtimer, ms_to_ktime(TIMER_MS), HRTIMER_MODE_REL_PINNED_HARD);
	while (!kthread_should_stop()) {
		call_all(THREAD, BATCH);
		if (n++ % SLEEP_EVERY == 0)
			call_once(THREAD, mixture_sleep);
		preempt_disable();
		smp_call_function(on_ipi, NULL, 0);
		preempt_enable();
		usleep_range(THREAD_US, 2 * THREAD_US);
	}
	hrtimer_cancel(&s->hrtimer);
	return 0;
}

static ssize_t run_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	static atomic_t batches;
	unsigned int n = atomic_inc_return(&batches);

	call_all(USER, BATCH);
	if (n % (USER_BATCHES * USER_CALLS) == 0)
		call_once(USER, mixture_sleep);
	else if (n % USER_BATCHES == 0)
		usleep_range(USER_US, 2 * USER_US);
	else if (n % TURN_BATCHES == 0)
		cpu_relax();
	return clear_user(buf, len) ? -EFAULT : len;
}

static void stop_sources(void)
{
	unsigned int cpu;

	WRITE_ONCE(stopping, true);
	for_each_online_cpu(cpu)
	{
		struct source *s = per_cpu_ptr(&sources, cpu);

		if (!IS_ERR_OR_NULL(s->thread))
			kthread_stop(s->thread);
		timer_delete_sync(&s->timer);
	}
	/* the last interrupts that the threads sent */
	on_each_cpu(on_ipi, NULL, 1);
}

static int start_sources(void)
{
	unsigned int cpu;

	for_each_online_cpu(cpu)
	{
		struct source *s = per_cpu_ptr(&sources, cpu);

		timer_setup(&s->timer, on_timer, TIMER_PINNED);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
		hrtimer_setup(&s->hrtimer, on_hrtimer, CLOCK_MONOTONIC,
			      HRTIMER_MODE_REL_PINNED_HARD);
#else
		hrtimer_init(&s->hrtimer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
		s->hrtimer.function = on_hrtimer;
#endif
	}
	for_each_online_cpu(cpu)
	{
		struct source *s = per_cpu_ptr(&sources, cpu);

		s->thread = kthread_create(thread_main, s, "mixture/%u", cpu);
		if (IS_ERR(s->thread))
			return PTR_ERR(s->thread);
		kthread_bind(s->thread, cpu);
		wake_up_process(s->thread);
		s->timer.expires = jiffies + 1;
		add_timer_on(&s->timer, cpu);
	}
	return 0;
}

/* ---- text ---- */

static u64 hash(u64 h, const void *start, size_t len)
{
	const u64 *word = start;

	for (; len >= sizeof(*word); len -= sizeof(*word))
		h = (h ^ *word++) * 0x100000001b3ull;
	return h;
}

/* Where all memory is mapped, the page of vmlinux or of this module is at: */
static const void *direct_page(unsigned long at)
{
	return at >= MODULES_VADDR ? page_address(vmalloc_to_page((void *)at)) : __va(__pa(at));
}

static u64 hash_text(u64 h, unsigned long start, unsigned long end, bool direct)
{
	unsigned long at;

	for (at = start & PAGE_MASK; at < end; at += PAGE_SIZE) {
		h = hash(h, direct ? direct_page(at) : (void *)at, PAGE_SIZE);
		cond_resched();
	}
	return h;
}

static u64 hash_all(bool direct)
{
	unsigned long own = (unsigned long)THIS_MODULE->TEXT_BASE;
	u64 h = 0xcbf29ce484222325ull;

	h = hash_text(h, stext, etext, direct);
	return hash_text(h, own, own + THIS_MODULE->TEXT_SIZE, direct);
}

static int state_show(struct seq_file *m, void *v)
{
	struct counts sum = {};
	unsigned int cpu, i, least[CONTEXTS];

	memset(least, 0xff, sizeof(least));
	for_each_online_cpu(cpu)
	{
		const struct counts *c = per_cpu_ptr(&counts, cpu);

		for (i = 0; i < CONTEXTS; i++) {
			sum.calls[i] += c->calls[i];
			least[i] = min_t(unsigned long, least[i], c->calls[i]);
		}
		sum.version[1] += c->version[1];
		sum.version[2] += c->version[2];
		sum.mixed += c->mixed;
	}
	seq_printf(m, "mixed %lu old %lu new %lu", sum.mixed, sum.version[1], sum.version[2]);
	/* of each context all calls, and those of the CPU that had the fewest */
	for (i = 0; i < CONTEXTS; i++)
		seq_printf(m, " %s %lu %s_least %u", context_names[i], sum.calls[i],
			   context_names[i], least[i]);
	seq_putc(m, '\n');
	return 0;
}

static int hash_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%016llx %016llx\n", hash_all(false), hash_all(true));
	return 0;
}

/* ---- the module ---- */

static const struct proc_ops run_ops = {.proc_read = run_read};

static int __init mixture_init(void)
{
	struct proc_dir_entry *dir = proc_mkdir("mixture", NULL);
	int err = -ENOMEM;

	if (!dir)
		return err;
	if (proc_create("run", 0400, dir, &run_ops) &&
	    proc_create_single("state", 0400, dir, state_show) &&
	    proc_create_single("hash", 0400, dir, hash_show))
		err = start_sources();
	if (err) {
		stop_sources();
		proc_remove(dir);
	}
	return err;
}

static void __exit mixture_exit(void)
{
	remove_proc_subtree("mixture", NULL);
	stop_sources();
}

module_init(mixture_init);
module_exit(mixture_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Looks for mixtures of versions");
