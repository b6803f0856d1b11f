/* SPDX-License-Identifier: BSD-2-Clause */
/* The portable part of unwinding: the hits of the check that it clears, and the list of modules. */
#include "synthetic.h"
#include "guest/module.h"
#include "guest/unwind.h"
#include "patch/check/check.h"

#define FUNC_START (SYN_TEXT + 0x1000)
#define FUNC_END   (SYN_TEXT + 0x1080)
#define INSIDE	   (SYN_TEXT + 0x1040)
#define OUTSIDE	   (SYN_TEXT + 0x2040)
#define STEP	   64 /* from one record to the next */

static struct check_range range = {.start = FUNC_START, .end = FUNC_END, .name = "func"};
static struct pause pause_;
static struct transition_report report;
static u64 task; /* pid 100 */

static int setup(void **state)
{
	(void)state;
	syn_new(3);
	fake_time_set(1000, 0);
	task = syn_task(100, "task");
	pause_ = (struct pause){.deadline_us = 10000};
	return 0;
}

/* Records of the fake's stacks from sp to the end, STEP apart; all return to OUTSIDE. */
static void make_chain(u64 sp, u64 end)
{
	for (; sp < end - 16; sp += STEP) {
		syn_set(sp, sp + STEP < end - 16 ? sp + STEP : end - 16);
		syn_set(sp + 8, OUTSIDE);
	}
	syn_set(end - 16, 0);
	syn_set(end - 8, 0);
}

static u64 sleeper(u64 used)
{
	u64 sp = syn_sleep(task, used);

	make_chain(sp, syn_stack_end(task));
	return sp;
}

static u64 runner(u64 used)
{
	u64 sp = syn_run(2, task, used);

	make_chain(sp, syn_stack_end(task));
	return sp;
}

static int check(void)
{
	return check_run(&pause_, NULL, &range, 1, NULL, &report);
}

static void assert_cleared(u64 words)
{
	int err = check();

	if (err)
		fail_msg("%s: %s %s", errno_name(err), report.reason, report.blocker.where);
	assert_int_equal(report.words_cleared, words);
}

static void assert_stands(u32 pid, const char *where)
{
	assert_int_equal(check(), -EBUSY);
	assert_int_equal(report.blocker.pid, pid);
	assert_string_equal(report.blocker.where, where);
}

/* ---- hits ---- */

static void stale_words_of_a_sleeping_task(void **state)
{
	u64 sp = sleeper(0x800);

	(void)state;
	assert_cleared(0);
	syn_set(sp + 16, INSIDE);
	syn_set(sp + STEP + 40, FUNC_END);
	syn_set(syn_stack_end(task) - 24, FUNC_START + 1);
	assert_cleared(3);
	syn_set(sp + 5 * STEP + 8, INSIDE); /* and a true one */
	assert_stands(100, "stack");
}

static void a_return_address_stands(void **state)
{
	u64 sp = sleeper(0x200);

	(void)state;
	for (u64 at = sp + 8; at < syn_stack_end(task) - 16; at += STEP) {
		syn_set(at, INSIDE);
		assert_stands(100, "stack");
		assert_int_equal(report.words_cleared, 0);
		syn_set(at, OUTSIDE);
		assert_cleared(0);
	}
}

static void the_blocker_s_stack_is_told(void **state)
{
	u64 sp = sleeper(0x800);

	(void)state;
	syn_set(sp + 2 * STEP + 8, INSIDE);
	assert_stands(100, "stack");
	assert_int_equal(report.blocker.nr_stack, BLOCKER_STACK);
	for (u32 i = 0; i < BLOCKER_STACK; i++) {
		assert_int_equal(report.blocker.stack[i].address, i == 2 ? INSIDE : OUTSIDE);
		assert_string_equal(report.blocker.stack[i].func, i == 2 ? "func" : "");
	}
	sp = sleeper(0x80);
	syn_set(sp + 8, INSIDE);
	assert_stands(100, "stack");
	assert_int_equal(report.blocker.nr_stack, 2);
	/* as far as it goes */
	sp = sleeper(0x200);
	syn_set(sp + 2 * STEP, 0);
	syn_set(sp + 16, INSIDE);
	assert_stands(100, "stack");
	assert_int_equal(report.blocker.nr_stack, 2);
}

/* A word is stale only for who is in none of the functions: else it might be confused with it. */
static void who_is_inside_has_no_stale_words(void **state)
{
	u64 sp = sleeper(0x200);

	(void)state;
	syn_set(sp + 16, INSIDE);
	assert_cleared(1);
	syn_set(sp + STEP + 8, INSIDE);
	assert_stands(100, "stack");
	assert_int_equal(report.words_cleared, 0);
}

static void what_cannot_be_unwound_to_its_end_stands(void **state)
{
	u64 sp = sleeper(0x400), other;
	const u64 wrong[] = {0,
			     sp,
			     sp + 2 * STEP,
			     sp - STEP,
			     8,
			     ~0ull,
			     syn_stack_end(task),
			     syn.cpus[1].ctx.sp,
			     sp + 4 * STEP + 4};

	(void)state;
	syn_set(sp + 16, INSIDE);
	assert_cleared(1);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		syn_set(sp + 3 * STEP, wrong[i]);
		assert_stands(100, "stack");
	}
	/* by way of another's stack */
	other = syn_stack(syn.cpus[1].idle);
	syn_set(sp + 3 * STEP, other);
	syn_set(other, sp + 4 * STEP);
	syn_set(other + 8, OUTSIDE);
	assert_stands(100, "stack");
	syn_set(sp + 3 * STEP, sp + 4 * STEP);
	assert_cleared(1);
	syn_set(syn_stack_end(task) - 8, OUTSIDE);
	assert_stands(100, "stack");
}

/* More frames than are kept, and just as many. */
static void a_very_deep_stack_stands(void **state)
{
	u64 end = syn_stack_end(task), sp = syn_sleep(task, 16 * (UNWIND_MAX_FRAMES + 2));

	(void)state;
	syn_sleep(task, 16 * (UNWIND_MAX_FRAMES + 1) + 8);
	sp = syn_get(task + TASK_SP);
	for (u64 at = sp; at < end - 24; at += 16) {
		syn_set(at, at + 16);
		syn_set(at + 8, OUTSIDE);
	}
	syn_set(end - 24 - 16, end - 16);
	syn_set(end - 16, 0);
	syn_set(end - 8, 0);
	syn_set(end - 24, INSIDE);
	assert_cleared(1);
	syn_set(sp - 16, sp);
	syn_set(sp - 8, OUTSIDE);
	syn_set(task + TASK_SP, sp - 16);
	assert_stands(100, "stack");
}

static void stale_words_of_a_running_task(void **state)
{
	struct syn_cpu *c = &syn.cpus[2];
	u64 sp = runner(0x400);

	(void)state;
	syn_set(sp + 16, INSIDE);
	assert_cleared(1);
	syn_set(sp + STEP + 8, INSIDE);
	assert_stands(100, "stack");
	syn_set(sp + STEP + 8, OUTSIDE);
	/* in the function itself: with its stack */
	c->ctx.ip = INSIDE;
	syn_put_context(2);
	assert_stands(100, "ip");
	assert_int_equal(report.blocker.stack[0].address, INSIDE);
	assert_int_equal(report.blocker.stack[1].address, OUTSIDE);
	c->ctx.ip = OUTSIDE;
	/* a register may be where it goes on */
	c->ctx.nr_regs = 3;
	c->ctx.regs[2] = INSIDE;
	syn_put_context(2);
	assert_stands(100, "register");
}

/* On another stack, from where the chain leads to the task's. */
static void stale_words_below_an_interrupt(void **state)
{
	struct syn_cpu *c = &syn.cpus[2];
	u64 sp = runner(0x400), irq = c->irq + SYN_IRQ_SIZE - 64;

	(void)state;
	c->ctx.sp = irq;
	syn_put_context(2);
	syn_set(irq, sp);
	syn_set(irq + 8, OUTSIDE);
	syn_set(sp + 24, INSIDE);
	syn_set(sp - 64, INSIDE);
	syn_set(irq + 16, INSIDE);
	syn_set(c->exc + PAGE_SIZE, INSIDE);
	assert_cleared(4);
	syn_set(sp + 8, INSIDE);
	assert_stands(100, "stack");
	syn_set(sp + 8, OUTSIDE);
	syn_set(irq + 8, INSIDE);
	assert_stands(100, "stack"); /* its stale word comes first, and it is inside */
	syn_set(irq + 8, OUTSIDE);
	syn_set(irq, 0);
	assert_stands(100, "stack");
}

/* Assembly may keep a return address in a register. */
static void registers_of_interrupted_code_stand(void **state)
{
	u64 sp = runner(0x400), record = sp + 2 * STEP;

	(void)state;
	syn_set(record + 24, INSIDE);
	assert_cleared(1);
	syn_set(record, syn_get(record) | 1);
	assert_stands(100, "stack");
	syn_set(record + 16, INSIDE);
	syn_set(record + 24, OUTSIDE);
	assert_stands(100, "stack");
	syn_set(record + 16, OUTSIDE);
	syn_set(record + 32, INSIDE);
	assert_cleared(1);
}

static void a_task_that_may_be_elsewhere_stands(void **state)
{
	u64 sp = runner(0x400), idle = syn.cpus[3].idle, next = syn_task(200, "next");

	(void)state;
	syn_set(sp + 16, INSIDE);
	assert_cleared(1);
	/* current of a second CPU */
	syn_set(syn.cpus[3].base + PCPU_CURRENT, task);
	assert_stands(100, "stack");
	syn_set(syn.cpus[3].base + PCPU_CURRENT, idle);
	assert_cleared(1);
	/* another CPU uses its stack */
	syn.cpus[3].ctx.sp = sp;
	syn_put_context(3);
	assert_stands(100, "stack");
	syn_run(3, idle, 64);
	assert_cleared(1);
	/* said to run, but nowhere: a context switch */
	syn_run(2, syn.cpus[2].idle, 64);
	syn_set(task + TASK_SP, sp);
	syn_set32(task + TASK_ON_CPU, 1);
	assert_stands(100, "stack");
	syn_set32(task + TASK_ON_CPU, 0);
	assert_cleared(1);
	/* asleep, but a CPU uses its stack */
	syn.cpus[3].ctx.sp = sp;
	syn_put_context(3);
	assert_stands(100, "stack");
	syn_run(3, idle, 64);
	/* its CPU is on the stack of the next */
	syn_run(2, task, 0x400);
	assert_cleared(1);
	syn.cpus[2].ctx.sp = syn_sleep(next, 0x400);
	make_chain(syn.cpus[2].ctx.sp, syn_stack_end(next));
	syn_put_context(2);
	assert_stands(100, "stack");
}

static void no_unwinding_after_the_deadline(void **state)
{
	u64 sp = sleeper(0x400);

	(void)state;
	/* the clock is looked at for the first task, and for the hit */
	fake_time_set(pause_.deadline_us - 1, 1);
	syn_set(sp + 16, INSIDE);
	assert_int_equal(check(), -ETIMEDOUT);
	assert_false(report.blocker.valid);
}

/* ---- modules ---- */

enum { M_LIST = 8, M_TEXT = 0x140, M_SIZE = 0x14c, M_IPS = 0x158, M_ORCS = 0x160, M_COUNT = 0x150 };
enum { M_STRIDE = 0x200, NR_MODULES = 4 };

#define MODULE_TEXT(i) (SYN_MODULE + 0x10000 + (u64)(i)*0x1000)

static u64 module(u32 i)
{
	return SYN_MODULE + (u64)i * M_STRIDE;
}

/* A list of these, the agent first, and of the list's head. */
static void make_modules(u32 count)
{
	struct suture_layout *l = &guest_kernel.layout;
	u64 head = syn_alloc(PAGE_SIZE), size = ALIGN_UP((u64)count * M_STRIDE, PAGE_SIZE);

	fake_map_new(syn.root, syn.levels, SYN_MODULE, size, PT_READ | PT_WRITE);
	l->modules_entry = module(0) + M_LIST;
	l->module_list = M_LIST;
	l->module_text = M_TEXT;
	l->module_text_size = M_SIZE;
	l->module_orc_ip = M_IPS;
	l->module_orc = M_ORCS;
	l->module_nr_orcs = M_COUNT;
	syn_list_init(head);
	for (u32 i = 0; i < count; i++) {
		syn_list_add_tail(module(i) + M_LIST, head);
		syn_set(module(i) + M_TEXT, MODULE_TEXT(i));
		syn_set32(module(i) + M_SIZE, 0x800);
		syn_set32(module(i) + M_COUNT, i + 1);
		syn_set(module(i) + M_IPS, SYN_TEXT);
		syn_set(module(i) + M_ORCS, SYN_TEXT);
	}
	guest_modules_forget();
}

static const struct guest_module *again(u64 va)
{
	guest_modules_forget();
	return guest_module_at(va);
}

static void modules_are_found_by_their_text(void **state)
{
	(void)state;
	make_modules(NR_MODULES);
	for (u32 i = 0; i < NR_MODULES; i++) {
		const struct guest_module *m = guest_module_at(MODULE_TEXT(i) + 0x7ff);

		assert_non_null(m);
		assert_int_equal(m->nr_unwind, i + 1);
		assert_ptr_equal(guest_module_at(MODULE_TEXT(i)), m);
		assert_null(guest_module_at(MODULE_TEXT(i) + 0x800));
	}
	/* kept for as long as the guest stands still */
	syn_set32(module(1) + M_COUNT, 77);
	assert_int_equal(guest_module_at(MODULE_TEXT(1))->nr_unwind, 2);
	assert_int_equal(again(MODULE_TEXT(1))->nr_unwind, 77);
	/* by a check, which comes with a new pause, no longer */
	syn_set32(module(1) + M_COUNT, 78);
	assert_cleared(0);
	assert_int_equal(guest_module_at(MODULE_TEXT(1))->nr_unwind, 78);
	guest_kernel.layout.modules_entry = 0;
	assert_null(again(MODULE_TEXT(1)));
}

static void modules_that_make_no_sense(void **state)
{
	(void)state;
	make_modules(NR_MODULES);
	syn_set32(module(0) + M_COUNT, 0);
	syn_set32(module(1) + M_COUNT, 2u << 20);
	syn_set(module(2) + M_TEXT, SYN_TEXT);
	syn_set(module(3) + M_IPS, 0x1000);
	for (u32 i = 0; i < NR_MODULES; i++)
		assert_null(again(MODULE_TEXT(i)));
	assert_null(again(SYN_TEXT));
	syn_set(module(3) + M_IPS, SYN_TEXT);
	assert_non_null(again(MODULE_TEXT(3)));
	syn_set32(module(3) + M_SIZE, 0x2000000); /* to beyond where modules may be */
	assert_null(again(MODULE_TEXT(3)));
}

static void a_list_of_modules_that_is_broken(void **state)
{
	u64 link;

	(void)state;
	make_modules(NR_MODULES);
	link = module(2) + M_LIST;
	for (u32 i = 0; i < 2; i++) {
		const u64 wrong[] = {0, ~0ull, SYN_MODULE + 4, SYN_DIRECT + FAKE_POOL_BASE,
				     module(0) + M_LIST};
		u64 before = syn_get(link + 8 * i);

		for (u32 j = 0; j < ARRAY_SIZE(wrong); j++) {
			syn_set(link + 8 * i, wrong[j]);
			assert_null(again(MODULE_TEXT(1))); /* read before, but not believed */
		}
		syn_set(link + 8 * i, before);
		assert_non_null(again(MODULE_TEXT(1)));
	}
}

static void very_many_modules(void **state)
{
	(void)state;
	make_modules(1023);
	assert_non_null(guest_module_at(MODULE_TEXT(1022)));
	setup(state);
	make_modules(1100);
	assert_null(guest_module_at(MODULE_TEXT(1)));
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stale_words_of_a_sleeping_task),
		TEST(a_return_address_stands),
		TEST(the_blocker_s_stack_is_told),
		TEST(who_is_inside_has_no_stale_words),
		TEST(what_cannot_be_unwound_to_its_end_stands),
		TEST(a_very_deep_stack_stands),
		TEST(stale_words_of_a_running_task),
		TEST(stale_words_below_an_interrupt),
		TEST(registers_of_interrupted_code_stand),
		TEST(a_task_that_may_be_elsewhere_stands),
		TEST(no_unwinding_after_the_deadline),
		TEST(modules_are_found_by_their_text),
		TEST(modules_that_make_no_sense),
		TEST(a_list_of_modules_that_is_broken),
		TEST(very_many_modules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
