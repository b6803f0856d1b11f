// SPDX-License-Identifier: GPL-2.0-only
/* The addresses and offsets of this kernel that the monitor needs. */
#include <linux/elf.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/utsname.h>
#include "agent.h"
#include "arch.h"
#include "compat.h"

#define NT_GNU_BUILD_ID 3 /* only user space's <elf.h> names it */

static int find_symbols(struct suture_hello *h)
{
	struct suture_layout *l = &h->layout;
	const struct {
		const char *name;
		u64 *address;
	} symbols[] = {
		{"_stext", &l->text_start},	 {"_etext", &l->text_end},
		{"init_task", &l->init_task},	 {"__per_cpu_offset", &l->per_cpu_offset},
		{"idle_threads", &l->pcpu_idle}, {"__start_notes", &h->notes_start},
		{"__stop_notes", &h->notes_end},
	};
	const char *missing = NULL;
	unsigned int i;

	for (i = 0; !missing && i < ARRAY_SIZE(symbols); i++) {
		*symbols[i].address = compat_symbol(symbols[i].name);
		if (!*symbols[i].address)
			missing = symbols[i].name;
	}
	if (!missing)
		missing = arch_kernel_pgd(&l->kernel_pgd);
	if (!missing)
		missing = arch_layout(l);
	if (missing) {
		pr_err("this kernel has no symbol '%s', which the monitor needs: is it built "
		       "without CONFIG_KALLSYMS_ALL?\n",
		       missing);
		return -ENOENT;
	}
	return 0;
}

/* The GNU build-id among the kernel's notes. */
static int find_build_id(struct suture_hello *h)
{
	const char *at = (const char *)(unsigned long)h->notes_start;
	const char *end = (const char *)(unsigned long)h->notes_end;

	while (end - at >= (long)sizeof(struct elf64_note)) {
		const struct elf64_note *note = (const void *)at;
		const char *name = at + sizeof(*note);
		const char *desc = name + ALIGN((u64)note->n_namesz, 4);
		const char *next = desc + ALIGN((u64)note->n_descsz, 4);

		if (next > end)
			break;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof("GNU") &&
		    !memcmp(name, "GNU", sizeof("GNU")) && note->n_descsz <= sizeof(h->build_id)) {
			memcpy(h->build_id, desc, note->n_descsz);
			h->build_id_len = note->n_descsz;
			return 0;
		}
		at = next;
	}
	pr_err("this kernel carries no build-id, by which patches know it\n");
	return -ENOENT;
}

int layout_fill(struct suture_hello *h)
{
	struct suture_layout *l = &h->layout;
	int err = find_symbols(h);

	if (!err)
		err = find_build_id(h);
	if (err)
		return err;

	strscpy(h->release, init_utsname()->release, sizeof(h->release));
	l->modules_start = ARCH_MODULES_START;
	l->modules_end = ARCH_MODULES_END;
	l->nr_cpu_ids = nr_cpu_ids;
	l->page_levels = arch_page_levels();
	l->thread_size = THREAD_SIZE;
	l->task_tasks = offsetof(struct task_struct, tasks);
	l->task_signal = offsetof(struct task_struct, signal);
	l->signal_thread_head = offsetof(struct signal_struct, thread_head);
	l->task_thread_node = offsetof(struct task_struct, thread_node);
	l->task_stack = offsetof(struct task_struct, stack);
	l->task_on_cpu = offsetof(struct task_struct, on_cpu);
	l->task_pid = offsetof(struct task_struct, pid);
	l->task_comm = offsetof(struct task_struct, comm);
	BUILD_BUG_ON(offsetof(struct task_struct, nivcsw) !=
		     offsetof(struct task_struct, nvcsw) + sizeof(unsigned long));
	l->task_switches = offsetof(struct task_struct, nvcsw);
	l->task_start = offsetof(struct task_struct, start_time);
	compat_layout(l);
	compat_unwind_tables(l);
	return 0;
}
