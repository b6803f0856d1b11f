// SPDX-License-Identifier: GPL-2.0-only
/*
 * Variables that kallsyms does not list: kernels without CONFIG_KALLSYMS_ALL have only functions in
 * it. Some variables are exported, per-CPU ones are in the kernel's BTF, and a few others are those
 * that a known function refers to.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/jump_label.h>
#include <linux/kernel_stat.h>
#include <linux/percpu.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include "agent.h"
#include "arch.h"
#include "compat.h"

/* More than the notes of any kernel take; only what is a note in it is read. */
#define NOTES_MAX 1024

static unsigned long referred_by(const char *function)
{
	unsigned long code = compat_symbol(function);

	return code ? arch_next_address(&code, code + compat_symbol_size(code)) : 0;
}

static unsigned long notes_start(void)
{
	return referred_by("notes_read");
}

static unsigned long notes_end(void)
{
	unsigned long start = notes_start();

	return start ? start + NOTES_MAX : 0;
}

static unsigned long btf_start(void)
{
	const struct btf_header *h = (const void *)referred_by("btf_vmlinux_read");

	return h && h->magic == BTF_MAGIC ? (unsigned long)h : 0;
}

static unsigned long btf_end(void)
{
	const struct btf_header *h = (const void *)btf_start();

	return h ? (unsigned long)h + h->hdr_len + h->str_off + h->str_len : 0;
}

static unsigned long kprobe_slots(void)
{
	return referred_by("arch_prepare_kprobe");
}

/* Compared with the operations that are to go. */
static unsigned long ftrace_operations(void)
{
	return referred_by("__unregister_ftrace_function");
}

#ifdef CONFIG_JUMP_LABEL
/* Are key and target of the entry code? */
static bool is_key(const struct jump_entry *entry)
{
	return compat_symbol_room(jump_entry_code(entry)) &&
	       compat_symbol_room(jump_entry_target(entry));
}

static bool is_key_table(unsigned long start, unsigned long end)
{
	return start < end && IS_ALIGNED(start, sizeof(long)) &&
	       (end - start) % sizeof(struct jump_entry) == 0 && is_key((void *)start) &&
	       is_key((struct jump_entry *)end - 1);
}

/* Start or end of the table of static keys: the function forms both, one after the other. */
static unsigned long key_table(bool want_end)
{
	unsigned long code = compat_symbol("jump_label_text_reserved");
	unsigned long last = code + compat_symbol_size(code), start, end = 0;

	do {
		start = end;
		end = code ? arch_next_address(&code, last) : 0;
	} while (end && !(start && is_key_table(start, end)));
	return want_end || !end ? end : start;
}
#else
static unsigned long key_table(bool want_end)
{
	return 0;
}
#endif

static unsigned long keys_start(void)
{
	return key_table(false);
}

static unsigned long keys_end(void)
{
	return key_table(true);
}

static const struct {
	const char *name;
	unsigned long (*find)(void); /* NULL: it is at `address` */
	unsigned long address;
} variables[] = {
	{.name = "init_task", .address = (unsigned long)&init_task},
	{.name = "__per_cpu_offset", .address = (unsigned long)__per_cpu_offset},
	{.name = "__start_notes", .find = notes_start},
	{.name = "__stop_notes", .find = notes_end},
	{.name = "__start_BTF", .find = btf_start},
	{.name = "__stop_BTF", .find = btf_end},
	{.name = "kprobe_insn_slots", .find = kprobe_slots},
	{.name = "ftrace_ops_list", .find = ftrace_operations},
	{.name = "__start___jump_table", .find = keys_start},
	{.name = "__stop___jump_table", .find = keys_end},
};

static const char *const percpu[] = {"idle_threads", "irq_stack_ptr", "irq_shadow_call_stack_ptr",
				     "runqueues", "__entry_task"};

/* BTF has their offsets in a section; where that begins tells one that is exported. */
static unsigned long find_percpu(const char *name)
{
	u32 known = btf_percpu_offset("kstat"), wanted = btf_percpu_offset(name);

	if (known == SUTURE_NONE || wanted == SUTURE_NONE)
		return 0;
	return (unsigned long)&kstat - known + wanted;
}

unsigned long unlisted_symbol(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(variables); i++) {
		if (!strcmp(name, variables[i].name))
			return variables[i].find ? variables[i].find() : variables[i].address;
	}
	for (i = 0; i < ARRAY_SIZE(percpu); i++) {
		if (!strcmp(name, percpu[i]))
			return find_percpu(name);
	}
	return 0;
}
