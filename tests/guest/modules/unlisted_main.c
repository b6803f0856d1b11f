// SPDX-License-Identifier: GPL-2.0-only
/*
 * Variables of the kernel as kallsyms has them, and as the agent finds them without it. Reading
 * /proc/unlisted gives a line for each: its name, both addresses (0: not found), and whether what
 * lies at the second is what the variable must be.
 */
#include <linux/btf.h>
#include <linux/elf.h>
#include <linux/ftrace.h>
#include <linux/jump_label.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include "agent/agent.h"
#include "agent/compat.h"
#include "symbol.h"

/* What the agent's other parts have, of which these need nothing. */
struct mutex agent_lock;
void patch_set_error(const char *fmt, ...)
{
}

static void *of_this_cpu(unsigned long address)
{
	return *(void **)(address + __per_cpu_offset[raw_smp_processor_id()]);
}

static bool is_task(unsigned long address)
{
	return !strcmp(((struct task_struct *)address)->comm, "swapper") ||
	       !strcmp(((struct task_struct *)address)->comm, "swapper/0");
}

static bool is_offsets(unsigned long address)
{
	return address == (unsigned long)__per_cpu_offset;
}

static bool is_notes(unsigned long address)
{
	const struct elf64_note *n = (const void *)address;

	return n->n_namesz <= 8 && n->n_descsz && n->n_descsz < 256;
}

static bool is_btf(unsigned long address)
{
	return ((const struct btf_header *)address)->magic == BTF_MAGIC;
}

static bool is_end(unsigned long address)
{
	return address > unlisted_symbol("__start_BTF");
}

static bool is_slots(unsigned long address)
{
	return ((const struct kprobe_insn_cache *)address)->insn_size == MAX_INSN_SIZE;
}

static bool is_idle(unsigned long address)
{
	const struct task_struct *idle = of_this_cpu(address);

	return idle && !idle->pid && !strncmp(idle->comm, "swapper/", 8);
}

static bool is_stack(unsigned long address)
{
	return is_vmalloc_addr(of_this_cpu(address));
}

/* idle_threads holds what struct rq says is the CPU's idle task, as BTF has it */
static bool is_queue(unsigned long address)
{
	u32 idle = btf_offset("rq", "idle");

	return idle != SUTURE_NONE &&
	       of_this_cpu(address + idle) == of_this_cpu(unlisted_symbol("idle_threads"));
}

static bool is_current(unsigned long address)
{
	return of_this_cpu(address) == current;
}

/* Nobody is registered: the list has its end alone. */
static bool is_operations(unsigned long address)
{
	return (*(struct ftrace_ops **)address)->flags & FTRACE_OPS_FL_STUB;
}

/* The kernel itself says that there is a key: of an entry that is not of the boot's own code. */
static bool is_key(const struct jump_entry *entry)
{
	int (*reserved)(void *start, void *end) = symbol("jump_label_text_reserved");

	return reserved((void *)jump_entry_code(entry), (void *)jump_entry_code(entry));
}

static bool is_first_key(unsigned long address)
{
	const struct jump_entry *entry = (const void *)address;

	while (jump_entry_is_init(entry))
		entry++;
	return is_key(entry);
}

static bool is_last_key(unsigned long address)
{
	const struct jump_entry *entry = (const struct jump_entry *)address - 1;

	while (jump_entry_is_init(entry))
		entry--;
	return is_key(entry);
}

static const struct {
	const char *name;
	bool (*is_right)(unsigned long address);
} variables[] = {
	{"init_task", is_task},
	{"__per_cpu_offset", is_offsets},
	{"__start_notes", is_notes},
	{"__start_BTF", is_btf},
	{"__stop_BTF", is_end},
	{"kprobe_insn_slots", is_slots},
	{"idle_threads", is_idle},
	{"runqueues", is_queue},
	{"irq_stack_ptr", is_stack},
	{"__entry_task", is_current},
	{"ftrace_ops_list", is_operations},
	{"__start___jump_table", is_first_key},
	{"__stop___jump_table", is_last_key},
};

static int unlisted_show(struct seq_file *m, void *v)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(variables); i++) {
		unsigned long listed = (unsigned long)symbol(variables[i].name);
		unsigned long found = unlisted_symbol(variables[i].name);
		bool right;

		preempt_disable();
		right = found && variables[i].is_right(found);
		preempt_enable();
		seq_printf(m, "%s %lx %lx %s\n", variables[i].name, listed, found,
			   right ? "right" : "wrong");
	}
	return 0;
}

static int __init unlisted_init(void)
{
	int err = compat_init();

	if (err)
		return err;
	return proc_create_single("unlisted", 0444, NULL, unlisted_show) ? 0 : -ENOMEM;
}

static void __exit unlisted_exit(void)
{
	remove_proc_entry("unlisted", NULL);
}

module_init(unlisted_init);
module_exit(unlisted_exit);
MODULE_DESCRIPTION("variables that kallsyms does not list");
MODULE_LICENSE("GPL");
