/* SPDX-License-Identifier: BSD-2-Clause */
/* Registration of a kernel: each number from the agent is untrusted. */
#include "synthetic.h"

static char why[128];

static int try_register(void)
{
	static const struct guest_kernel none;
	int err = guest_kernel_register(&syn.hello, why, sizeof(why));

	if (err)
		assert_memory_equal(&guest_kernel, &none, sizeof(none));
	return err;
}

/* Refused with this error, for a reason that names the thing. */
static void assert_refused(int err, const char *name)
{
	why[0] = '\0';
	assert_int_equal(try_register(), err);
	if (!strstr(why, name))
		fail_msg("\"%s\" does not name %s", why, name);
}

static int setup(void **state)
{
	(void)state;
	syn_new_unregistered(2, 4);
	return 0;
}

static void a_kernel_registers_once(void **state)
{
	(void)state;
	assert_int_equal(try_register(), 0);
	assert_true(guest_kernel.registered);
	assert_int_equal(guest_kernel.build_id_len, 20);
	assert_memory_equal(guest_kernel.build_id, syn.hello.build_id, 20);
	assert_string_equal(guest_kernel.release, "6.1.0-synthetic");
	assert_int_equal(guest_kernel_register(&syn.hello, why, sizeof(why)), -EBUSY);
	assert_true(guest_kernel.registered);
	guest_kernel_forget();
	assert_int_equal(try_register(), 0);
}

static void text_ranges(void **state)
{
	(void)state;
	assert_int_equal(try_register(), 0);
	assert_true(guest_is_kernel_text(SYN_TEXT, SYN_TEXT_SIZE));
	assert_false(guest_is_kernel_text(SYN_TEXT, SYN_TEXT_SIZE + 1));
	assert_false(guest_is_kernel_text(SYN_TEXT + SYN_TEXT_SIZE, 0));
	assert_false(guest_is_kernel_text(SYN_TEXT - 1, 2));
	assert_false(guest_is_kernel_text(SYN_TEXT + 1, ~0ull));
	assert_true(guest_is_module_text(SYN_MODULE + 16, 16));
	assert_false(guest_is_module_text(SYN_TEXT, 16));
}

static void the_release_is_terminated(void **state)
{
	(void)state;
	memset(syn.hello.release, 'x', sizeof(syn.hello.release));
	assert_int_equal(try_register(), 0);
	assert_int_equal(strlen(guest_kernel.release), SUTURE_NAME_LEN - 1);
}

#define BAD(field, value)                                                                          \
	do {                                                                                       \
		struct suture_layout before = syn.hello.layout;                                    \
		syn.hello.layout.field = (value);                                                  \
		assert_refused(-EINVAL, #field);                                                   \
		syn.hello.layout = before;                                                         \
	} while (0)

static void numbers_without_sense(void **state)
{
	(void)state;
	BAD(page_levels, 0);
	BAD(page_levels, 6);
	BAD(kernel_pgd, syn.root.v + 8);
	BAD(kernel_pgd, 0);
	BAD(kernel_pgd, FAKE_POOL_BASE);
	BAD(text_start, 0x1000);
	BAD(text_start, syn.hello.layout.text_end);
	BAD(text_end, SYN_TEXT + (2ull << 30));
	BAD(modules_end, SYN_MODULE - 1);
	BAD(modules_start, 0x400000);
	BAD(init_task, 0x400000);
	BAD(init_task, syn.hello.layout.init_task + 4);
	BAD(per_cpu_offset, 0x400000);
	BAD(per_cpu_offset, syn.hello.layout.per_cpu_offset + 1);
	BAD(nr_cpu_ids, 0);
	BAD(nr_cpu_ids, 1u << 20);
	BAD(thread_size, 0);
	BAD(thread_size, 0x3000);
	BAD(thread_size, 0x800);
	BAD(thread_size, 1u << 30);
	BAD(irq_stack_size, 0);
	BAD(irq_stack_size, 0x1234);
	BAD(exc_stacks_size, 0);
	BAD(exc_stacks_size, 1u << 30);
	BAD(entry_stack_size, 0);
	BAD(entry_stack_size, 1u << 30);
	BAD(irq_stack_offset, 1 << 30);
	BAD(entry_stack_offset, 1 << 30);
	BAD(entry_stack_offset, -(1 << 30));
	BAD(task_tasks, 65536);
	BAD(task_tasks, SUTURE_NONE);
	BAD(task_signal, TASK_SIGNAL + 4);
	BAD(signal_thread_head, 1u << 20);
	BAD(task_thread_node, 4);
	BAD(task_stack, 1u << 16);
	BAD(task_sp, SUTURE_NONE);
	BAD(task_pc, 3);
	BAD(task_on_cpu, 65536);
	BAD(task_pid, 1);
	BAD(task_comm, 1u << 16);
	BAD(task_switches, TASK_SWITCHES + 4);
	BAD(task_switches, SUTURE_NONE);
	BAD(task_start, 65536);
	BAD(task_start, SUTURE_NONE);
	assert_int_equal(try_register(), 0);
}

#define BAD_OPTION(field, value, names)                                                            \
	do {                                                                                       \
		struct suture_layout before = syn.hello.layout;                                    \
		syn.hello.layout.field = (value);                                                  \
		assert_refused(-EINVAL, names);                                                    \
		syn.hello.layout = before;                                                         \
	} while (0)

/* What a kernel may lack is there wholly or not at all. */
static void options_without_sense(void **state)
{
	(void)state;
	BAD(rq_cfs_tasks, 1u << 16);
	BAD(task_rt_run_list, 12);
	BAD_OPTION(rq_cfs_tasks, SUTURE_NONE, "pcpu_rq");
	BAD_OPTION(rq_lock, SUTURE_NONE, "pcpu_rq");
	BAD_OPTION(task_group_node, SUTURE_NONE, "pcpu_rq");
	BAD_OPTION(rq_rt_queue, SUTURE_NONE, "pcpu_rq");
	BAD_OPTION(task_rt_run_list, SUTURE_NONE, "pcpu_rq");
	BAD_OPTION(rq_dl_root, SUTURE_NONE, "pcpu_rq");
	BAD_OPTION(task_dl_node, SUTURE_NONE, "pcpu_rq");
	BAD_OPTION(rt_prios, 1u << 20, "pcpu_rq");
	BAD(rethook_ret_addr, SUTURE_NONE);
	BAD(task_rethooks, 4);
	BAD_OPTION(task_curr_ret_stack, SUTURE_NONE, "ret_stack");
	BAD_OPTION(ret_stack_entry, 0, "ret_stack");
	BAD_OPTION(ret_stack_entry, 4, "ret_stack");
	BAD_OPTION(ret_stack_entry, 1u << 20, "ret_stack");
	BAD_OPTION(ret_stack_ret, RET_STACK_ENTRY, "ret_stack");
	BAD_OPTION(ret_stack_ret, 4, "ret_stack");
	BAD_OPTION(ret_stack_depth, 1u << 20, "ret_stack");
	BAD(kprobe_slots, 0x400000);
	BAD(optprobe_slots, syn.hello.layout.optprobe_slots + 4);
	BAD_OPTION(slot_page_insns, SUTURE_NONE, "kprobe_slots");
	BAD(task_regs, 4);
	BAD(task_nr_regs, 33);
	BAD(task_scs_base, 1u << 16);
	BAD(task_scs_sp, 4);
	BAD(scs_size, 100);
	BAD_OPTION(pcpu_irq_scs, 0x100, "scs_size");
	BAD(rq_scx_tasks, 4);
	syn.hello.layout.rq_scx_tasks = RQ_SCX_TASKS;
	BAD(task_scx_node, 1u << 16);
	BAD_OPTION(task_scx_node, SUTURE_NONE, "rq_scx_tasks");
	syn.hello.layout.kretprobe_table = SYN_DIRECT;
	syn.hello.layout.kretprobe_heads = 64;
	BAD(kretprobe_table, 0x400000);
	BAD_OPTION(kretprobe_heads, 1u << 20, "kretprobe_table");
	BAD_OPTION(kretprobe_ret_addr, SUTURE_NONE, "kretprobe_table");
	BAD_OPTION(kretprobe_task, SUTURE_NONE, "kretprobe_table");
	BAD(nr_hiding, SUTURE_MAX_HIDING + 1);
	BAD_OPTION(hiding[0].addr, 0x400000, "hiding");
	BAD_OPTION(hiding[0].size, 1u << 20, "hiding");
	BAD_OPTION(hiding[0].size, 0, "hiding");
	memset(syn.hello.layout.hiding[0].name, 'x', sizeof(syn.hello.layout.hiding[0].name));
	assert_refused(-EINVAL, "hiding");
	syn.hello.layout.hiding[0].name[0] = 0;
	syn.hello.layout.kretprobe_table = 0;
	syn.hello.layout.kretprobe_ret_addr = syn.hello.layout.kretprobe_task = SUTURE_NONE;
	syn.hello.layout.rq_scx_tasks = syn.hello.layout.task_scx_node = SUTURE_NONE;
	syn.hello.layout.pcpu_rq = 0;
	syn.hello.layout.rq_cfs_tasks = SUTURE_NONE;
	syn.hello.layout.task_rethooks = SUTURE_NONE;
	syn.hello.layout.task_ret_stack = SUTURE_NONE;
	syn.hello.layout.kprobe_slots = syn.hello.layout.optprobe_slots = 0;
	syn.hello.layout.slot_page_insns = SUTURE_NONE;
	syn.hello.layout.nr_hiding = 0;
	assert_int_equal(try_register(), 0);
}

static void unwind_tables_without_sense(void **state)
{
	struct suture_layout *l = &syn.hello.layout;

	(void)state;
	/* Without tables the rest does not count; without modules, their offsets do not. */
	l->modules_entry = 3;
	l->module_list = 1;
	assert_int_equal(try_register(), 0);
	guest_kernel_forget();
	l->orc_format = SUTURE_ORC_6_1;
	l->modules_entry = 0;
	l->orc_ip_start = SYN_TEXT;
	l->orc_ip_end = SYN_TEXT + 4 * 1000;
	l->orc_start = SYN_TEXT + 0x2000;
	l->orc_end = SYN_TEXT + 0x2000 + 6 * 1000;
	assert_int_equal(try_register(), 0);
	guest_kernel_forget();
	BAD(orc_format, SUTURE_ORC_7_0 + 1);
	BAD(orc_ip_start, 0x1000);
	BAD(orc_ip_end, before.orc_ip_start);
	BAD(orc_ip_end, before.orc_ip_end + 4);
	BAD(orc_ip_end, before.orc_ip_end + 2);
	BAD(orc_start, 0x1000);
	BAD(orc_end, before.orc_end + 6);
	l->orc_ip_end = l->orc_ip_start + (65ull << 20);
	l->orc_end = l->orc_start + (65ull << 20) / 4 * 6;
	assert_refused(-EINVAL, "orc_ip_end");
	l->orc_ip_end = SYN_TEXT + 4 * 1000;
	l->orc_end = SYN_TEXT + 0x2000 + 6 * 1000;
	l->modules_entry = SYN_MODULE + 8;
	l->module_list = 8;
	assert_int_equal(try_register(), 0);
	guest_kernel_forget();
	BAD(modules_entry, SYN_MODULE + 4);
	BAD(modules_entry, 0x1000);
	BAD(module_list, 65536);
	BAD(module_text, 4);
	BAD(module_text_size, 2);
	BAD(module_orc_ip, SUTURE_NONE);
	BAD(module_orc, 12);
	BAD(module_nr_orcs, 1u << 20);
	assert_int_equal(try_register(), 0);
}

static void frame_records_without_sense(void **state)
{
	struct suture_layout *l = &syn.hello.layout;

	(void)state;
	/* where there are none, the entry's place does not count */
	l->entry.start = 3;
	assert_int_equal(try_register(), 0);
	guest_kernel_forget();
	l->final_record = 32;
	l->entry = (struct suture_code){SYN_TEXT, SYN_TEXT + 0x1000};
	l->nr_trampolines = 2;
	for (u32 i = 0; i < 2; i++)
		l->trampolines[i] = (struct suture_code){SYN_TEXT + 0x2000, SYN_TEXT + 0x2040};
	assert_int_equal(try_register(), 0);
	guest_kernel_forget();
	BAD(final_record, 36);
	BAD(final_record, 1u << 20);
	BAD_OPTION(entry.start, 0x1000, "entry");
	BAD_OPTION(entry.end, SYN_TEXT, "entry");
	BAD(nr_trampolines, SUTURE_MAX_TRAMPOLINES + 1);
	BAD_OPTION(trampolines[1].start, 0, "trampolines");
	BAD_OPTION(trampolines[0].end, SYN_TEXT, "trampolines");
	assert_int_equal(try_register(), 0);
}

static void a_stack_that_is_absent_needs_no_size(void **state)
{
	(void)state;
	syn.hello.layout.pcpu_entry_stack = 0;
	syn.hello.layout.entry_stack_size = 0;
	syn.hello.layout.pcpu_exc_stacks = 0;
	assert_refused(-EINVAL, "exc_stacks_size");
	syn.hello.layout.exc_stacks_size = 0;
	assert_int_equal(try_register(), 0);
}

static void init_task_must_be_one(void **state)
{
	(void)state;
	memcpy(syn_at(syn.hello.layout.init_task + TASK_COMM), "systemd", 7);
	assert_refused(-EINVAL, "init_task");
	syn.hello.layout.init_task = SYN_VMAP + (1ull << 36);
	assert_refused(-EFAULT, "init_task");
}

static void another_build_id(void **state)
{
	(void)state;
	syn.hello.build_id[19] ^= 1;
	assert_refused(-EBADMSG, "build-id");
	syn.hello.build_id[19] ^= 1;
	syn.hello.build_id_len = 19;
	assert_refused(-EBADMSG, "build-id");
	syn.hello.build_id_len = 33;
	assert_refused(-EBADMSG, "build-id");
}

static void notes_without_build_id(void **state)
{
	u64 start = syn.hello.notes_start, end = syn.hello.notes_end;

	(void)state;
	syn.hello.notes_end = start + 28; /* before it */
	assert_refused(-EBADMSG, "build-id");
	syn.hello.notes_end = end - 1; /* in the middle of it */
	assert_refused(-EBADMSG, "build-id");
	syn.hello.notes_end = end - 24; /* in the middle of its header */
	assert_refused(-EBADMSG, "build-id");
	syn.hello.notes_end = start;
	assert_refused(-EINVAL, "notes");
	syn.hello.notes_end = start + (1u << 20);
	assert_refused(-EINVAL, "notes");
	syn.hello.notes_start = 0x400000;
	syn.hello.notes_end = 0x401000;
	assert_refused(-EINVAL, "notes");
	syn.hello.notes_start = SYN_VMAP + (1ull << 36);
	syn.hello.notes_end = syn.hello.notes_start + 64;
	assert_refused(-EFAULT, "notes");
}

static void notes_with_lengths_that_lie(void **state)
{
	const u32 lies[] = {0xffffffff, 0xfffffffd, 0x7fffffff, 0x1000};
	u64 start = syn.hello.notes_start;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		u32 name = *(u32 *)syn_at(start), desc = *(u32 *)syn_at(start + 4);

		syn_set32(start, lies[i]);
		assert_refused(-EBADMSG, "build-id");
		syn_set32(start, name);
		syn_set32(start + 4, lies[i]);
		assert_refused(-EBADMSG, "build-id");
		syn_set32(start + 4, desc);
	}
	/* a build-id longer than any */
	syn_set32(start + 28 + 4, 64);
	syn.hello.notes_end += 64;
	assert_refused(-EBADMSG, "build-id");
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_kernel_registers_once),	   TEST(text_ranges),
		TEST(the_release_is_terminated),   TEST(numbers_without_sense),
		TEST(options_without_sense),	   TEST(unwind_tables_without_sense),
		TEST(frame_records_without_sense), TEST(a_stack_that_is_absent_needs_no_size),
		TEST(init_task_must_be_one),	   TEST(another_build_id),
		TEST(notes_without_build_id),	   TEST(notes_with_lengths_that_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
