/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/register.h"
#include "arch/pagetable.h"
#include "guest/kernel.h"
#include "guest/mem.h"
#include "guest/task.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"

/* ---- plausibility of the numbers ---- */

#define MAX_TASK_SIZE  65536u
#define MAX_STACK_SIZE (256u << 10)
#define MAX_TEXT_SIZE  (1ull << 30)
#define MAX_STACK_AWAY (16 << 20)
#define MAX_ORC_SIZE   (64u << 20)
#define NO_SENSE       "makes no sense in the agent's layout"

#define FIELD(f, a, o)                                                                             \
	{                                                                                          \
		.name = #f, .at = offsetof(struct suture_layout, f), .align = (a), .optional = (o) \
	}

/* Offsets within the kernel's structures. */
static const struct field {
	const char *name;
	size_t at;
	u32 align;
	bool optional;
} offsets[] = {
	FIELD(task_tasks, 8, false),
	FIELD(task_signal, 8, false),
	FIELD(signal_thread_head, 8, false),
	FIELD(task_thread_node, 8, false),
	FIELD(task_stack, 8, false),
	FIELD(task_sp, 8, false),
	FIELD(task_pc, 8, true),
	FIELD(task_on_cpu, 1, false),
	FIELD(task_pid, 4, false),
	FIELD(task_comm, 1, false),
	FIELD(task_switches, 8, false),
	FIELD(task_start, 8, false),
	FIELD(rq_lock, 4, true),
	FIELD(rq_cfs_tasks, 8, true),
	FIELD(rq_rt_queue, 8, true),
	FIELD(rq_dl_root, 8, true),
	FIELD(task_group_node, 8, true),
	FIELD(task_rt_run_list, 8, true),
	FIELD(task_dl_node, 8, true),
	FIELD(task_rethooks, 8, true),
	FIELD(rethook_ret_addr, 8, true),
	FIELD(kretprobe_ret_addr, 8, true),
	FIELD(kretprobe_task, 8, true),
	FIELD(rq_scx_tasks, 8, true),
	FIELD(task_scx_node, 8, true),
	FIELD(task_ret_stack, 8, true),
	FIELD(task_curr_ret_stack, 4, true),
	FIELD(slot_page_insns, 8, true),
	FIELD(task_regs, 8, false),
	FIELD(task_scs_base, 8, false),
	FIELD(task_scs_sp, 8, false),
};

/* Within struct module; only when there is a list of modules. */
static const struct field module_offsets[] = {
	FIELD(module_list, 8, false),	   FIELD(module_text, 8, false),
	FIELD(module_text_size, 4, false), FIELD(module_orc_ip, 8, false),
	FIELD(module_orc, 8, false),	   FIELD(module_nr_orcs, 4, false),
};

static const char *wrong_offset(const struct suture_layout *l, const struct field *f, size_t count)
{
	for (; count; f++, count--) {
		u32 v = *(const u32 *)((const u8 *)l + f->at);

		if (v == SUTURE_NONE && f->optional)
			continue;
		if (v >= MAX_TASK_SIZE || v % f->align)
			return f->name;
	}
	return NULL;
}

static bool is_kernel_range(u64 start, u64 end)
{
	return (s64)start < 0 && start < end;
}

static bool is_kernel_pointer(u64 va)
{
	return (s64)va < 0 && va % 8 == 0;
}

static bool is_stack_size(u32 size)
{
	return size && size % PAGE_SIZE == 0 && size <= MAX_STACK_SIZE;
}

/* A stack of each CPU is described by an offset and a size: both or neither. */
static bool is_cpu_stack(u64 pcpu, u32 size)
{
	return pcpu ? is_stack_size(size) : !size;
}

static bool is_near(s32 offset)
{
	return offset >= -MAX_STACK_AWAY && offset <= MAX_STACK_AWAY;
}

#define MAX_RT_PRIOS	    1024u
#define MAX_RETURN_DEPTH    1024u
#define MAX_RETURN_ENTRY    256u
#define MAX_KRETPROBE_HEADS 4096u
#define MAX_HIDING_SIZE	    65536u
#define MAX_FINAL_RECORD    1024u

/* Parts that a kernel may lack: all of one, or nothing. */
static const char *wrong_option(const struct suture_layout *l)
{
	if (l->pcpu_rq && (l->rq_lock == SUTURE_NONE || l->rq_cfs_tasks == SUTURE_NONE ||
			   l->task_group_node == SUTURE_NONE || l->rq_rt_queue == SUTURE_NONE ||
			   l->task_rt_run_list == SUTURE_NONE || l->rq_dl_root == SUTURE_NONE ||
			   l->task_dl_node == SUTURE_NONE || l->rt_prios > MAX_RT_PRIOS))
		return "pcpu_rq";
	if (l->task_rethooks != SUTURE_NONE && l->rethook_ret_addr == SUTURE_NONE)
		return "rethook_ret_addr";
	if (l->task_ret_stack != SUTURE_NONE &&
	    (l->task_curr_ret_stack == SUTURE_NONE || l->ret_stack_entry > MAX_RETURN_ENTRY ||
	     l->ret_stack_entry % 8 || l->ret_stack_ret % 8 ||
	     l->ret_stack_ret >= l->ret_stack_entry || l->ret_stack_depth > MAX_RETURN_DEPTH))
		return "ret_stack";
	if (l->kprobe_slots &&
	    (!is_kernel_pointer(l->kprobe_slots) || l->slot_page_insns == SUTURE_NONE))
		return "kprobe_slots";
	if (l->optprobe_slots &&
	    (!is_kernel_pointer(l->optprobe_slots) || l->slot_page_insns == SUTURE_NONE))
		return "optprobe_slots";
	if (l->kretprobe_table &&
	    (!is_kernel_pointer(l->kretprobe_table) || l->kretprobe_heads > MAX_KRETPROBE_HEADS ||
	     l->kretprobe_ret_addr == SUTURE_NONE || l->kretprobe_task == SUTURE_NONE))
		return "kretprobe_table";
	if (l->rq_scx_tasks != SUTURE_NONE && l->task_scx_node == SUTURE_NONE)
		return "rq_scx_tasks";
	if (l->task_nr_regs > GUEST_SAVED_REGS)
		return "task_nr_regs";
	if (l->scs_size ? !is_stack_size(l->scs_size) : l->pcpu_irq_scs)
		return "scs_size";
	if (l->nr_hiding > SUTURE_MAX_HIDING)
		return "nr_hiding";
	for (u32 i = 0; i < l->nr_hiding; i++) {
		const struct suture_hiding *h = &l->hiding[i];

		if (!is_kernel_range(h->addr, h->addr + h->size) || h->size > MAX_HIDING_SIZE ||
		    !memchr(h->name, 0, sizeof(h->name)))
			return "hiding";
	}
	return NULL;
}

static const char *wrong_records(const struct suture_layout *l)
{
	if (l->final_record > MAX_FINAL_RECORD || l->final_record % 8)
		return "final_record";
	if (l->final_record && !is_kernel_range(l->entry.start, l->entry.end))
		return "entry";
	if (l->nr_trampolines > SUTURE_MAX_TRAMPOLINES)
		return "nr_trampolines";
	for (u32 i = 0; i < l->nr_trampolines; i++)
		if (!is_kernel_range(l->trampolines[i].start, l->trampolines[i].end))
			return "trampolines";
	return NULL;
}

/* One entry of 6 bytes for each address of 4. */
static bool are_orc_tables(const struct suture_layout *l)
{
	u64 ips = l->orc_ip_end - l->orc_ip_start;

	return is_kernel_range(l->orc_ip_start, l->orc_ip_end) &&
	       is_kernel_range(l->orc_start, l->orc_end) && ips <= MAX_ORC_SIZE && ips % 4 == 0 &&
	       l->orc_end - l->orc_start == ips / 4 * 6;
}

static const char *wrong_orc(const struct suture_layout *l)
{
	if (l->orc_format == SUTURE_ORC_NONE)
		return NULL;
	if (l->orc_format > SUTURE_ORC_7_0)
		return "orc_format";
	if (!are_orc_tables(l))
		return "orc_ip_start, orc_ip_end, orc_start, orc_end";
	if (!l->modules_entry)
		return NULL;
	if (!is_kernel_pointer(l->modules_entry))
		return "modules_entry";
	return wrong_offset(l, module_offsets, ARRAY_SIZE(module_offsets));
}

/* The name of the first number that is not plausible, or NULL. */
static const char *wrong_number(const struct suture_layout *l)
{
	const char *wrong;

	if (!arch_guest_format(l->page_levels))
		return "page_levels";
	if (l->kernel_pgd % PAGE_SIZE || !guest_is_ram(IPA(l->kernel_pgd), PAGE_SIZE))
		return "kernel_pgd";
	if (!is_kernel_range(l->text_start, l->text_end) ||
	    l->text_end - l->text_start > MAX_TEXT_SIZE)
		return "text_start, text_end";
	if (!is_kernel_range(l->modules_start, l->modules_end))
		return "modules_start, modules_end";
	if (!is_kernel_pointer(l->init_task))
		return "init_task";
	if (!is_kernel_pointer(l->per_cpu_offset))
		return "per_cpu_offset";
	if (!l->nr_cpu_ids || l->nr_cpu_ids > GUEST_MAX_CPU_IDS)
		return "nr_cpu_ids";
	if (!is_stack_size(l->thread_size) || l->thread_size & (l->thread_size - 1))
		return "thread_size";
	if (!is_cpu_stack(l->pcpu_irq_stack, l->irq_stack_size))
		return "irq_stack_size";
	if (!is_cpu_stack(l->pcpu_exc_stacks, l->exc_stacks_size))
		return "exc_stacks_size";
	if (l->pcpu_entry_stack ? !l->entry_stack_size || l->entry_stack_size > MAX_STACK_SIZE
				: l->entry_stack_size)
		return "entry_stack_size";
	if (!is_near(l->irq_stack_offset))
		return "irq_stack_offset";
	if (!is_near(l->entry_stack_offset))
		return "entry_stack_offset";
	wrong = wrong_offset(l, offsets, ARRAY_SIZE(offsets));
	if (!wrong)
		wrong = wrong_option(l);
	if (!wrong)
		wrong = wrong_records(l);
	return wrong ? wrong : wrong_orc(l);
}

/* ---- what the addresses must lead to ---- */

#define NT_GNU_BUILD_ID 3
#define MAX_NOTES_SIZE	65536u

struct elf_note {
	u32 namesz, descsz, type;
};

/* Find the build-id among the ELF notes in [start, end): gABI, "Note Section". */
static int read_build_id(u64 start, u64 end, u8 *id, u32 room, u32 *len)
{
	while (end - start >= sizeof(struct elf_note)) {
		struct elf_note note;
		char name[4] = "";
		u64 desc, next;

		if (guest_read(GVA(start), &note, sizeof(note)))
			return -EFAULT;
		desc = sizeof(note) + ALIGN_UP((u64)note.namesz, 4);
		next = desc + ALIGN_UP((u64)note.descsz, 4);
		if (desc + note.descsz > end - start)
			return -ENOENT;
		if (note.namesz == sizeof(name) &&
		    guest_read(GVA(start + sizeof(note)), name, sizeof(name)))
			return -EFAULT;
		if (note.type == NT_GNU_BUILD_ID && !memcmp(name, "GNU", 4)) {
			if (note.descsz > room)
				return -ENOENT;
			*len = note.descsz;
			return guest_read(GVA(start + desc), id, note.descsz);
		}
		if (next > end - start)
			break;
		start += next;
	}
	return -ENOENT;
}

struct why {
	char *buf;
	size_t size;
};

static int refuse_field(const struct why *why, int err, const char *what, const char *is)
{
	format(why->buf, why->size, "%s %s", what, is);
	return err;
}

static int check_build_id(struct guest_kernel *k, const struct suture_hello *h,
			  const struct why *why)
{
	int err;

	if (!is_kernel_range(h->notes_start, h->notes_end) ||
	    h->notes_end - h->notes_start > MAX_NOTES_SIZE)
		return refuse_field(why, -EINVAL, "notes_start, notes_end", NO_SENSE);
	err = read_build_id(h->notes_start, h->notes_end, k->build_id, sizeof(k->build_id),
			    &k->build_id_len);
	if (err == -EFAULT)
		return refuse_field(why, err, "the kernel's notes", "cannot be read");
	if (err)
		return refuse_field(why, -EBADMSG, "the kernel's notes", "hold no build-id");
	if (k->build_id_len != h->build_id_len ||
	    memcmp(k->build_id, h->build_id, k->build_id_len) != 0)
		return refuse_field(why, -EBADMSG, "the agent's build-id",
				    "is not the one in the kernel's notes");
	return 0;
}

static int check_init_task(const struct suture_layout *l, const struct why *why)
{
	char comm[8] = "";

	if (guest_read(GVA(l->init_task + l->task_comm), comm, sizeof(comm) - 1))
		return refuse_field(why, -EFAULT, "init_task", "cannot be read");
	if (strcmp(comm, "swapper") != 0)
		return refuse_field(why, -EINVAL, "init_task", "is not the kernel's first task");
	return 0;
}

int guest_kernel_register(const struct suture_hello *h, char *why_buf, size_t why_size)
{
	const struct why why = {why_buf, why_size};
	const char *wrong = wrong_number(&h->layout);
	struct guest_kernel *k = &guest_kernel;
	int err;

	if (k->registered)
		return refuse_field(&why, -EBUSY, k->release, "is registered already");
	if (wrong)
		return refuse_field(&why, -EINVAL, wrong, NO_SENSE);

	/* Translation uses the layout, so it is set before the checks that read memory. */
	k->layout = h->layout;
	err = check_build_id(k, h, &why);
	if (!err)
		err = check_init_task(&k->layout, &why);
	if (err) {
		guest_kernel_forget();
		return err;
	}
	memcpy(k->release, h->release, sizeof(k->release) - 1);
	k->notes_start = h->notes_start;
	k->notes_end = h->notes_end;
	k->registered = true;
	return 0;
}

bool guest_kernel_is_same(void)
{
	const struct guest_kernel *k = &guest_kernel;
	char reason[REASON_LEN];
	const struct why why = {reason, sizeof(reason)};
	u8 id[sizeof(k->build_id)];
	u32 len = 0;

	return k->registered &&
	       !read_build_id(k->notes_start, k->notes_end, id, sizeof(id), &len) &&
	       len == k->build_id_len && !memcmp(id, k->build_id, len) &&
	       !check_init_task(&k->layout, &why);
}
