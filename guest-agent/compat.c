// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kallsyms.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/sched/signal.h>
#include <linux/task_work.h>
#include <linux/version.h>
#ifdef CONFIG_RETHOOK
#include <linux/rethook.h>
#endif
#include "agent.h"
#include "compat.h"

#define VERSION_IN(from, to)                                                                       \
	(LINUX_VERSION_CODE >= KERNEL_VERSION from && LINUX_VERSION_CODE < KERNEL_VERSION to)

#if !VERSION_IN((5, 10, 0), (5, 11, 0)) && !VERSION_IN((6, 1, 0), (6, 2, 0)) &&                    \
	!VERSION_IN((6, 4, 0), (7, 3, 0))
#error "The agent knows Linux 5.10, 6.1, and 6.4 to 7.2: see docs/agent.md, Another kernel"
#endif

static struct module *(*lookup_module)(const char *name);
static void (*signal_wake)(struct task_struct *task, unsigned int state);
static int (*wake_state)(struct task_struct *task, unsigned int state);
static int (*add_work)(struct task_struct *task, struct callback_head *work,
		       enum task_work_notify_mode notify);

static const struct compat_function needed[] = {
	{"find_module", &lookup_module},
	{"signal_wake_up_state", &signal_wake},
	{"wake_up_state", &wake_state},
	{"task_work_add", &add_work},
};

/* NULL: the kernel's configuration leaves it out, together with what it would find. */
static unsigned long (*ftrace_range)(unsigned long start, unsigned long end);

int compat_init(void)
{
	int err = compat_symbols_init() ?: compat_find(needed, ARRAY_SIZE(needed));

	if (!err)
		ftrace_range = (void *)compat_symbol("ftrace_location_range");
	return err;
}

/* Landing pad and site: what can stand at a function's entry. */
#define ENTRY_BYTES 16

u32 compat_ftrace_site(unsigned long address, unsigned long size)
{
	unsigned long site;

	if (!ftrace_range || !size)
		return SUTURE_NONE;
	site = ftrace_range(address, address + min(size, (unsigned long)ENTRY_BYTES) - 1);
	return site ? site - address : SUTURE_NONE;
}

struct hlist_head *compat_trampolines(void)
{
	unsigned long table = compat_symbol("trampoline_table");

	/* its name where there is a second one, by address of the site (since 7.0) */
	return (void *)(table ?: compat_symbol("trampoline_key_table"));
}

/* The table's node is its first member, whatever its name is. */
const struct bpf_trampoline *compat_trampoline(const struct hlist_node *node)
{
	return (const void *)node;
}

struct module *compat_find_module(const char *name)
{
	char plain[MODULE_NAME_LEN];
	struct module *mod;

	if (strscpy(plain, name, sizeof(plain)) < 0)
		return NULL;
	strreplace(plain, '-', '_');
	preempt_disable();
	mod = lookup_module(plain);
	preempt_enable();
	return mod;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
/* One module uses another; newer kernels do not have this in a public header. */
struct module_use {
	struct list_head source_list;
	struct list_head target_list;
	struct module *source, *target;
};
#endif

unsigned int compat_module_uses(const char *name, char (*names)[SUTURE_NAME_LEN], unsigned int max)
{
	const struct module_use *use;
	unsigned int count = 0;
	struct module *mod;

	preempt_disable();
	mod = lookup_module(name);
	if (mod) {
		list_for_each_entry(use, &mod->target_list, target_list)
		{
			if (count < max)
				strscpy(names[count++], use->target->name, SUTURE_NAME_LEN);
		}
	}
	preempt_enable();
	return count;
}

bool compat_is_payload(const char *name)
{
	const struct module_use *use;
	struct module *mod;
	bool found = false;

	preempt_disable();
	mod = lookup_module(name);
	if (mod) {
		list_for_each_entry(use, &mod->target_list, target_list) found |=
			use->target == THIS_MODULE;
	}
	preempt_enable();
	return found;
}

struct span {
	const char *first, *last; /* names of symbols */
	unsigned long start, end; /* looked up once: that takes milliseconds */
};

static bool span_holds(struct span *s, unsigned long address)
{
	if (!s->end) {
		s->start = compat_symbol(s->first);
		s->end = compat_symbol(s->last) ?: 1;
	}
	return address >= s->start && address < s->end;
}

/*
 * Per-CPU symbols were offsets, and lie in the middle of the init memory since 6.15. A kernel whose
 * kallsyms has symbols of code only names no end of its init memory but that of the code in it.
 */
static bool is_kernel_init(unsigned long address)
{
	static struct span init = {"__init_begin", "__init_end"};
	static struct span code = {"_sinittext", "_einittext"};
	static struct span locks = {"__smp_locks", "__smp_locks_end"};
	static struct span percpu = {"__per_cpu_start", "__per_cpu_end"};

	return (span_holds(&init, address) || span_holds(&code, address) ||
		span_holds(&locks, address)) &&
	       !span_holds(&percpu, address);
}

bool compat_is_init(const char *object, unsigned long address)
{
	const struct module *mod;

	if (!strcmp(object, "vmlinux"))
		return is_kernel_init(address);
	mod = compat_find_module(object);
	return mod && within_module_init(address, mod);
}

bool compat_writes_sealed_keys(void)
{
	static int writes = -1; /* looking it up takes milliseconds */

	if (writes < 0)
		writes = !compat_symbol("jump_label_init_ro");
	return writes;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define TEXT_BASE mem[MOD_TEXT].base
#define TEXT_SIZE mem[MOD_TEXT].size
#else
#define TEXT_BASE core_layout.base
#define TEXT_SIZE core_layout.text_size
#endif

void compat_module_text(const struct module *mod, unsigned long *start, unsigned long *end)
{
	*start = (unsigned long)mod->TEXT_BASE;
	*end = *start + mod->TEXT_SIZE;
}

/*
 * x86 had these two in a structure from 6.2 to 6.14. Since 6.15 per-CPU symbols are addresses like
 * any other, but so is what the CPU's base counts from: it is one sum.
 */
#if defined(CONFIG_X86) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0) &&                        \
	LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
#define PCPU_SYMBOL(name) (compat_symbol("pcpu_hot") + offsetof(struct pcpu_hot, name))
#else
#define PCPU_SYMBOL(name) compat_symbol(#name)
#endif

unsigned long compat_pcpu_current(void)
{
	return PCPU_SYMBOL(current_task);
}

unsigned long compat_pcpu_irq_stack(void)
{
	return PCPU_SYMBOL(hardirq_stack_ptr);
}

unsigned long compat_pcpu_switches(void)
{
	unsigned long rq = compat_symbol("runqueues");
	u32 switches = btf_offset("rq", "nr_switches");

	return rq && switches != SUTURE_NONE ? rq + switches : 0;
}

static void layout_run_queues(struct suture_layout *l)
{
	u32 rt = btf_offset("rq", "rt"), active = btf_offset("rt_rq", "active");
	u32 queue = btf_offset("rt_prio_array", "queue");
	u32 dl = btf_offset("rq", "dl"), root = btf_offset("dl_rq", "root");
	u32 __maybe_unused scx, runnable;

	l->rq_cfs_tasks = btf_offset("rq", "cfs_tasks");
	l->rq_rt_queue = l->rq_dl_root = SUTURE_NONE;
	l->rq_lock = btf_offset("rq", "__lock");
	if (l->rq_lock == SUTURE_NONE) /* its name before 5.14 */
		l->rq_lock = btf_offset("rq", "lock");
	l->task_group_node = offsetof(struct task_struct, se.group_node);
	l->task_rt_run_list = offsetof(struct task_struct, rt.run_list);
	l->task_dl_node = offsetof(struct task_struct, dl.rb_node);
	l->rt_prios = MAX_RT_PRIO;
	l->rq_scx_tasks = l->task_scx_node = SUTURE_NONE;
#ifdef CONFIG_SCHED_CLASS_EXT
	l->task_scx_node = offsetof(struct task_struct, scx.runnable_node);
	scx = btf_offset("rq", "scx");
	runnable = btf_offset("scx_rq", "runnable_list");
	if (scx == SUTURE_NONE || runnable == SUTURE_NONE)
		pr_warn("tasks of the extensible scheduling class are not seen while they exit\n");
	else
		l->rq_scx_tasks = scx + runnable;
#endif
	l->pcpu_rq = compat_symbol("runqueues");
	/* with groups of real-time tasks, what is queued may be a group */
	if (IS_ENABLED(CONFIG_RT_GROUP_SCHED) || rt == SUTURE_NONE || active == SUTURE_NONE ||
	    queue == SUTURE_NONE || dl == SUTURE_NONE || root == SUTURE_NONE ||
	    l->rq_cfs_tasks == SUTURE_NONE || l->rq_lock == SUTURE_NONE || !l->pcpu_rq) {
		pr_warn("the run queues of this kernel cannot be read (it has no BTF, or groups of "
			"real-time tasks): tasks that are preempted while they exit are not "
			"seen\n");
		l->pcpu_rq = 0;
		return;
	}
	l->rq_rt_queue = rt + active + queue;
	l->rq_dl_root = dl + root;
}

/* The first of the two that this kernel has. */
static void add_hiding(struct suture_layout *l, const char *name, const char *other)
{
	struct suture_hiding *h = &l->hiding[l->nr_hiding];

	h->addr = compat_symbol(name);
	if (!h->addr && other) {
		name = other;
		h->addr = compat_symbol(name);
	}
	h->size = h->addr ? compat_symbol_size(h->addr) : 0;
	if (!h->size) {
		pr_warn("this kernel has no function '%s': what it has in its hands is not seen\n",
			name);
		h->addr = 0;
		return;
	}
	strscpy(h->name, name, sizeof(h->name));
	l->nr_hiding++;
}

/*
 * Functions that move a task from one run queue to another and hold no lock in between. The others
 * (of the real-time and deadline classes, the balancing of NUMA nodes) hold the locks of both.
 */
static void layout_balancers(struct suture_layout *l)
{
	if (!l->pcpu_rq || !IS_ENABLED(CONFIG_SMP))
		return;
	add_hiding(l, "sched_balance_rq", "load_balance");
	add_hiding(l, "active_load_balance_cpu_stop", NULL);
	add_hiding(l, "move_queued_task", NULL);
#ifdef CONFIG_SCHED_CLASS_EXT
	add_hiding(l, "move_remote_task_to_local_dsq", NULL);
#endif
}

static void layout_hooks(struct suture_layout *l)
{
	l->task_rethooks = l->rethook_ret_addr = SUTURE_NONE;
	l->kretprobe_ret_addr = l->kretprobe_task = SUTURE_NONE;
	l->task_ret_stack = l->task_curr_ret_stack = SUTURE_NONE;
#ifdef CONFIG_RETHOOK
	l->task_rethooks = offsetof(struct task_struct, rethooks);
	l->rethook_ret_addr =
		offsetof(struct rethook_node, ret_addr) - offsetof(struct rethook_node, llist);
	add_hiding(l, "rethook_hook", NULL);
#elif defined(CONFIG_KRETPROBES) && LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
	l->task_rethooks = offsetof(struct task_struct, kretprobe_instances);
	l->rethook_ret_addr = offsetof(struct kretprobe_instance, ret_addr) -
			      offsetof(struct kretprobe_instance, llist);
	add_hiding(l, "pre_handler_kretprobe", NULL);
#elif defined(CONFIG_KRETPROBES)
	l->kretprobe_ret_addr = offsetof(struct kretprobe_instance, ret_addr);
	l->kretprobe_task = offsetof(struct kretprobe_instance, task);
	l->kretprobe_heads = 64; /* KPROBE_TABLE_SIZE, which no header has */
	l->kretprobe_table = compat_symbol("kretprobe_inst_table");
	add_hiding(l, "pre_handler_kretprobe", NULL);
#endif
#ifdef CONFIG_FUNCTION_GRAPH_TRACER
	l->task_ret_stack = offsetof(struct task_struct, ret_stack);
	l->task_curr_ret_stack = offsetof(struct task_struct, curr_ret_stack);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	/*
	 * Entries of several sizes on a page, and the index is that of the next free word: take
	 * every word for a return address.
	 */
	l->ret_stack_entry = sizeof(unsigned long);
	l->ret_stack_ret = 0;
	l->ret_stack_depth = PAGE_SIZE / sizeof(unsigned long);
#else
	l->ret_stack_entry = sizeof(struct ftrace_ret_stack);
	l->ret_stack_ret = offsetof(struct ftrace_ret_stack, ret);
	l->ret_stack_depth = FTRACE_RETFUNC_DEPTH;
#endif
#endif
}

static u64 slot_pages(const char *cache)
{
	unsigned long at = compat_symbol(cache);

	return at ? at + offsetof(struct kprobe_insn_cache, pages) : 0;
}

static void layout_slots(struct suture_layout *l)
{
	l->slot_page_insns = btf_offset("kprobe_insn_page", "insns");
	/* no BTF: first the list_head, then this, ever since there are slots */
	if (l->slot_page_insns == SUTURE_NONE)
		l->slot_page_insns = sizeof(struct list_head);
	l->kprobe_slots = slot_pages("kprobe_insn_slots");
	l->optprobe_slots = slot_pages("kprobe_optinsn_slots");
}

void compat_layout(struct suture_layout *layout)
{
	layout_run_queues(layout);
	layout_balancers(layout);
	layout_hooks(layout);
	layout_slots(layout);
}

#ifdef CONFIG_UNWINDER_ORC
/*
 * 6.4 gave the type names of its own; 6.3 had a layout that no other kernel has. 7.0 gave the
 * registers other numbers.
 */
#if defined(ORC_TYPE_END_OF_STACK) && ORC_REG_PREV_SP == 1
#define ORC_FORMAT SUTURE_ORC_6_4
#elif defined(ORC_TYPE_END_OF_STACK) && ORC_REG_PREV_SP == 8 && ORC_REG_BP_INDIRECT == 10
#define ORC_FORMAT SUTURE_ORC_7_0
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0) && ORC_REG_PREV_SP == 1
#define ORC_FORMAT SUTURE_ORC_6_1
#else
#define ORC_FORMAT SUTURE_ORC_NONE
#endif

void compat_unwind_tables(struct suture_layout *l)
{
	l->orc_ip_start = compat_symbol("__start_orc_unwind_ip");
	l->orc_ip_end = compat_symbol("__stop_orc_unwind_ip");
	l->orc_start = compat_symbol("__start_orc_unwind");
	l->orc_end = compat_symbol("__stop_orc_unwind");
	if (!l->orc_ip_start || !l->orc_ip_end || !l->orc_start || !l->orc_end)
		return;
	l->orc_format = ORC_FORMAT;
	l->modules_entry = (unsigned long)&THIS_MODULE->list;
	l->module_list = offsetof(struct module, list);
	l->module_text = offsetof(struct module, TEXT_BASE);
	l->module_text_size = offsetof(struct module, TEXT_SIZE);
	l->module_orc_ip = offsetof(struct module, arch.orc_unwind_ip);
	l->module_orc = offsetof(struct module, arch.orc_unwind);
	l->module_nr_orcs = offsetof(struct module, arch.num_orcs);
}
#else
void compat_unwind_tables(struct suture_layout *l)
{
}
#endif

int compat_task_work(struct task_struct *task, struct callback_head *work)
{
	return add_work(task, work, TWA_SIGNAL);
}

/* As Linux's livepatch does it: wake a kernel thread; set TIF_SIGPENDING of a user task, with no
 * signal pending. */
void compat_fake_signal(struct task_struct *task)
{
	struct sighand_struct *sighand;

	if (task->flags & PF_KTHREAD) {
		wake_state(task, TASK_INTERRUPTIBLE);
		return;
	}
	rcu_read_lock();
	sighand = rcu_dereference(task->sighand);
	if (sighand) { /* not exiting */
		spin_lock_irq(&sighand->siglock);
		if (task->sighand == sighand)
			signal_wake(task, 0);
		spin_unlock_irq(&sighand->siglock);
	}
	rcu_read_unlock();
}
