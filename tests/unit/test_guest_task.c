/* SPDX-License-Identifier: BSD-2-Clause */
/* Tasks, and the stacks of CPUs, as read from the guest's memory. */
#include "synthetic.h"
#include "arch/time.h"

static struct {
	struct guest_task tasks[64];
	u32 count, stop_at;
} seen;

static int note(const struct guest_task *t, void *arg)
{
	assert_ptr_equal(arg, &seen);
	assert_true(seen.count < ARRAY_SIZE(seen.tasks));
	seen.tasks[seen.count++] = *t;
	return seen.count == seen.stop_at ? 42 : 0;
}

static int iterate(void)
{
	memset(seen.tasks, 0, sizeof(seen.tasks));
	seen.count = 0;
	return guest_for_each_task(UINT64_MAX, note, &seen);
}

static int setup(void **state)
{
	(void)state;
	seen.stop_at = 0;
	syn_new(2);
	guest_percpu_forget();
	return 0;
}

static void all_threads_of_all_processes(void **state)
{
	u64 a, b, b1, b2, c;

	(void)state;
	assert_int_equal(iterate(), 0);
	assert_int_equal(seen.count, 0);

	a = syn_task(1, "init");
	b = syn_task(20, "many");
	c = syn_task(30, "sixteen-letters-");
	b1 = syn_thread(b, 21, "many/1");
	b2 = syn_thread(b, 22, "many/2");
	syn_sleep(a, 200);
	syn_set32(b2 + TASK_ON_CPU, 1);
	assert_int_equal(iterate(), 0);
	assert_int_equal(seen.count, 5);
	assert_int_equal(seen.tasks[0].task, a);
	assert_int_equal(seen.tasks[0].pid, 1);
	assert_int_equal(seen.tasks[0].stack, syn_stack(a));
	assert_int_equal(seen.tasks[0].sp, syn_stack_end(a) - 200);
	assert_int_equal(seen.tasks[0].pc, 0);
	assert_false(seen.tasks[0].on_cpu);
	assert_int_equal(seen.tasks[1].task, b);
	assert_int_equal(seen.tasks[2].task, b1);
	assert_string_equal(seen.tasks[2].comm, "many/1");
	assert_int_equal(seen.tasks[3].task, b2);
	assert_true(seen.tasks[3].on_cpu);
	assert_int_equal(seen.tasks[4].task, c);
	assert_string_equal(seen.tasks[4].comm, "sixteen-letters-");
}

static void the_callback_can_stop(void **state)
{
	(void)state;
	for (u32 i = 1; i <= 4; i++)
		syn_task(i, "t");
	seen.stop_at = 3;
	assert_int_equal(iterate(), 42);
	assert_int_equal(seen.count, 3);
}

static void a_saved_pc_where_there_is_one(void **state)
{
	u64 a;

	(void)state;
	guest_kernel.layout.task_pc = TASK_PC;
	a = syn_task(1, "init");
	syn_set(a + TASK_PC, SYN_TEXT + 4);
	assert_int_equal(iterate(), 0);
	assert_int_equal(seen.tasks[0].pc, SYN_TEXT + 4);
}

/* ---- lists that are broken, or in the middle of a change ---- */

static void a_loop_is_found(void **state)
{
	u64 a = syn_task(1, "a"), b = syn_task(2, "b"), c = syn_task(3, "c");

	(void)state;
	(void)a;
	/* c leads back to b, not to the head */
	syn_set(c + TASK_TASKS, b + TASK_TASKS);
	assert_int_equal(iterate(), -ELOOP);
	/* and to itself, consistently */
	syn_set(c + TASK_TASKS, c + TASK_TASKS);
	syn_set(c + TASK_TASKS + LIST_PREV, c + TASK_TASKS);
	assert_int_equal(iterate(), -ELOOP);
}

static int count_only(const struct guest_task *t, void *arg)
{
	(void)t;
	++*(u32 *)arg;
	return 0;
}

/* A ring that the head leads into, and that does not hold the head. */
static void a_ring_without_the_head(void **state)
{
	u64 a = syn_task(1, "a");
	u64 signal = syn_get(a + TASK_SIGNAL), ring = a + TASK_THREAD_NODE;
	u32 count = 0;

	(void)state;
	syn_set(ring, ring);
	syn_set(ring + LIST_PREV, signal + SIGNAL_THREAD_HEAD);
	assert_int_equal(guest_for_each_task(UINT64_MAX, count_only, &count), -ELOOP);
	assert_int_equal(count, 1);
}

/* Processes without threads: nobody is called for them, and 10 looks at the clock are the limit. */
static void a_long_list_ends_in_time(void **state)
{
	u32 count = 0;

	(void)state;
	syn_processes_without_threads(20000);
	fake_time_set(1000, 1000);
	assert_int_equal(guest_for_each_task(11000, count_only, &count), -ETIMEDOUT);
	assert_true(arch_time_us() <= 13000);
	assert_int_equal(guest_for_each_task(UINT64_MAX, count_only, &count), 0);
	assert_int_equal(count, 0);
	fake_time_set(1000, 0);
}

static void a_half_added_entry(void **state)
{
	u64 head = syn.hello.layout.init_task + TASK_TASKS;
	u64 a = syn_task(1, "a"), b = syn_task(2, "b");

	(void)state;
	(void)a;
	/* list_add_tail_rcu() before its last store: head->prev is not b yet */
	syn_set(head + LIST_PREV, a + TASK_TASKS);
	assert_int_equal(iterate(), -ELOOP);
	syn_set(head + LIST_PREV, b + TASK_TASKS);
	assert_int_equal(iterate(), 0);
	/* list_del_rcu(a) before its last store */
	syn_set(b + TASK_TASKS + LIST_PREV, head);
	assert_int_equal(iterate(), -ELOOP);
}

static void a_link_out_of_memory(void **state)
{
	const u64 nowhere[] = {0,	   0x400000,
			       SYN_DIRECT, SYN_VMAP + (1ull << 36),
			       ~0ull,	   SYN_DIRECT + FAKE_RAM_BASE - 16};
	u64 a = syn_task(1, "a"), b = syn_task(2, "b");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++) {
		u64 before = syn_get(a + TASK_TASKS);

		syn_set(a + TASK_TASKS, nowhere[i]);
		assert_int_equal(iterate(), -EFAULT);
		syn_set(a + TASK_TASKS, before);

		before = syn_get(b + TASK_SIGNAL);
		syn_set(b + TASK_SIGNAL, nowhere[i]);
		assert_int_equal(iterate(), -EFAULT);
		syn_set(b + TASK_SIGNAL, before);
	}
	assert_int_equal(iterate(), 0);
}

/* ---- what a CPU has ---- */

static void current_and_idle(void **state)
{
	u64 a = syn_task(7, "a");
	struct guest_task t;

	(void)state;
	syn_run(2, a, 64);
	assert_int_equal(guest_current(syn.cpus[2].base, &t), 0);
	assert_int_equal(t.task, a);
	assert_true(t.on_cpu);
	assert_int_equal(guest_idle(syn.cpus[2].base, &t), 0);
	assert_int_equal(t.task, syn.cpus[2].idle);
	assert_string_equal(t.comm, "swapper/1");
	syn_set(syn.cpus[2].base + PCPU_IDLE, a);
	assert_int_equal(guest_idle(syn.cpus[2].base, &t), -ELOOP);
	syn_set(syn.cpus[2].base + PCPU_IDLE, 0);
	assert_int_equal(guest_idle(syn.cpus[2].base, &t), -EFAULT);
	assert_int_equal(guest_current(0, &t), -EFAULT);
}

static void bases_of_cpus(void **state)
{
	u64 table = syn.hello.layout.per_cpu_offset, template = syn_alloc(PAGE_SIZE);

	(void)state;
	assert_true(guest_is_percpu_base(syn.cpus[1].base));
	assert_true(guest_is_percpu_base(syn.cpus[2].base));
	assert_false(guest_is_percpu_base(syn.cpus[1].base + 8));
	/* the table is read once, and again after this */
	syn_set(table, template + 16);
	assert_true(guest_is_percpu_base(syn.cpus[1].base));
	guest_percpu_forget();
	assert_false(guest_is_percpu_base(syn.cpus[1].base));
	syn_set(table, syn.cpus[1].base);
	guest_percpu_forget();
	/* CPUs that cannot exist: none here, or the same for all */
	assert_false(guest_is_percpu_base(0));
	for (u32 i = 2; i < SYN_MAX_CPU_IDS; i++)
		syn_set(table + 8 * i, template);
	guest_percpu_forget();
	assert_false(guest_is_percpu_base(template));
	/* behind the table's end */
	syn_set(table + 8 * SYN_MAX_CPU_IDS, template + 8);
	guest_percpu_forget();
	assert_false(guest_is_percpu_base(template + 8));
	guest_kernel.layout.per_cpu_offset = SYN_VMAP + (1ull << 36);
	guest_percpu_forget();
	assert_false(guest_is_percpu_base(syn.cpus[1].base));
}

static void stacks_of_a_cpu(void **state)
{
	const struct syn_cpu *c = &syn.cpus[1];
	struct guest_stack s[GUEST_CPU_STACKS];

	(void)state;
	assert_int_equal(guest_cpu_stacks(c->base, s), 3);
	assert_string_equal(s[0].kind, "irq");
	assert_int_equal(s[0].low, c->irq);
	assert_int_equal(s[0].high, c->irq + SYN_IRQ_SIZE);
	assert_string_equal(s[1].kind, "exception");
	assert_int_equal(s[1].low, c->exc);
	assert_int_equal(s[1].high, c->exc + SYN_EXC_SIZE);
	assert_true(s[1].holes);
	assert_string_equal(s[2].kind, "entry");
	assert_int_equal(s[2].low, c->entry);
	assert_int_equal(s[2].high, c->entry + SYN_ENTRY_SIZE);

	/* the pointer may be to the very top, or to the bottom */
	syn_set(c->base + PCPU_IRQ, c->irq + SYN_IRQ_SIZE);
	assert_int_equal(guest_cpu_stacks(c->base, s), 3);
	assert_int_equal(s[0].low, c->irq);
	syn_set(c->base + PCPU_IRQ, c->irq);
	guest_kernel.layout.irq_stack_offset = 0;
	assert_int_equal(guest_cpu_stacks(c->base, s), 3);
	assert_int_equal(s[0].low, c->irq);

	/* and it may lie behind the stack */
	syn_set(c->base + PCPU_ENTRY, c->entry + SYN_ENTRY_SIZE);
	guest_kernel.layout.entry_stack_offset = -(s32)SYN_ENTRY_SIZE;
	assert_int_equal(guest_cpu_stacks(c->base, s), 3);
	assert_int_equal(s[2].low, c->entry);

	guest_kernel.layout.irq_stack_size = 0;
	assert_int_equal(guest_cpu_stacks(c->base, s), 2);
	assert_int_equal(guest_cpu_stacks(0, s), -EFAULT);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_threads_of_all_processes),
		TEST(the_callback_can_stop),
		TEST(a_saved_pc_where_there_is_one),
		TEST(a_loop_is_found),
		TEST(a_ring_without_the_head),
		TEST(a_long_list_ends_in_time),
		TEST(a_half_added_entry),
		TEST(a_link_out_of_memory),
		TEST(current_and_idle),
		TEST(bases_of_cpus),
		TEST(stacks_of_a_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
