/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop of a guest CPU: one that makes no progress ends, and none else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "arch/upcalls.h"
#include "core/heartbeat.h"
#include "guest/bell.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/insn.h"
#include "../../arch/x86/smp.h"

static struct arch_cpu arch;
static struct cpu cpu = {.arch = &arch};
static jmp_buf end;
static struct boot_info info;
struct boot_info *machine = &info;

/* One exit: where, where the guest goes on, and what else there is about it. */
static struct {
	u64 at, on;
	u64 event;
	enum exit_class class;
	bool nmi_pending, counts;
} next;
static u32 exits, looks, most;
static const char *died;

/* ---- what the code under test calls ---- */

static enum exit_class fake_run(struct cpu *c)
{
	struct vcpu *v = &c->arch->vcpu;

	if (exits++ == most)
		longjmp(end, 1);
	v->exit_rip = next.at;
	v->rip = next.on;
	v->event = next.event;
	v->gpr[RCX] += next.counts;
	c->arch->nmi_pending = next.nmi_pending;
	return next.class;
}

static const struct hv_ops ops = {.run = fake_run};
const struct hv_ops *hv = &ops;

void pause_point(struct cpu *self)
{
	(void)self;
}

void service_look(struct cpu *c)
{
	(void)c;
	looks++;
}

void guest_bell_forget(const struct cpu *c)
{
	(void)c;
}

void smp_check_init(struct cpu *self)
{
	(void)self;
}

void nmi_deliver(struct cpu *c)
{
	(void)c;
}

void cpu_mark_dead(struct cpu *c, const char *cause, const char *fmt, ...)
{
	(void)c, (void)fmt;
	died = cause;
}

void smp_halt(struct cpu *self)
{
	(void)self;
	longjmp(end, 2);
}

struct cpu *cpu_this(void)
{
	return &cpu;
}

s64 hypercall(struct cpu *c, u64 nr, u64 a0, u64 a1, u64 a2)
{
	(void)c, (void)nr, (void)a0, (void)a1, (void)a2;
	return 0;
}

bool kexec_check(struct cpu *c)
{
	(void)c;
	return false;
}

void vcpu_step_done(struct cpu *c, bool completed)
{
	(void)c, (void)completed;
}

int xsetbv_safe(u32 index, u64 value)
{
	(void)index, (void)value;
	return 0;
}

void machine_reset(void)
{
	longjmp(end, 3);
}

/* ---- tests ---- */

#define AT 0x1000ull

static int setup(void **state)
{
	(void)state;
	memset(&arch, 0, sizeof(arch));
	memset(&next, 0, sizeof(next));
	next.at = next.on = AT;
	next.class = EXIT_STAGE2_FAULT;
	memset(cpu.exits, 0, sizeof(cpu.exits));
	died = NULL;
	return 0;
}

/* Exits like `next`, until the CPU dies; true if it does. */
static bool dies(void)
{
	exits = looks = 0;
	most = 3 * PROGRESS_LIMIT;
	if (!setjmp(end))
		vcpu_loop(&cpu);
	/* the service CPU is looked after in each */
	assert_int_equal(looks, exits - 1);
	return died;
}

static void a_cpu_without_progress_dies(void **state)
{
	(void)state;
	assert_true(dies());
	assert_string_equal(died, "no-progress");
	assert_int_equal(cpu.exits[EXIT_STAGE2_FAULT], PROGRESS_LIMIT);
}

static void instructions_that_are_carried_out_are_progress(void **state)
{
	(void)state;
	next.on = AT + 2;
	assert_false(dies());
}

static void instructions_that_count_are_progress(void **state)
{
	(void)state;
	next.counts = true;
	assert_false(dies());
}

/* The guest's handler runs, and may come back. */
static void exceptions_are_progress(void **state)
{
	(void)state;
	next.event = EVENT_VALID;
	assert_false(dies());
}

/* They come to a CPU that waits in a loop of one instruction. */
static void nmis_say_nothing(void **state)
{
	(void)state;
	next.class = EXIT_KICK;
	assert_false(dies());
	next.class = EXIT_OTHER;
	next.nmi_pending = true;
	assert_false(dies());
}

/* ---- an exception during the delivery of another ---- */

static bool shuts_down(u8 first, u8 second)
{
	arch.vcpu.event = first | EVENT_EXCEPTION | EVENT_VALID;
	if (setjmp(end))
		return true;
	vcpu_inject_fault(&cpu, second, true, 8);
	return false;
}

static void look(u8 first, u8 second, char expected)
{
	const u64 with_error = EVENT_EXCEPTION | EVENT_VALID | EVENT_HAS_ERROR;
	u64 event = expected == 'D' ? VEC_DF : second | 8ull << 32;

	assert_int_equal(shuts_down(first, second), expected == 'X');
	if (expected != 'X')
		assert_true(arch.vcpu.event == (event | with_error));
}

/* APM vol. 2, table 8-3; SDM vol. 3, "Conditions for Generating a Double Fault" */
static void two_exceptions(void **state)
{
	static const u8 benign[] = {VEC_DB, VEC_UD, 7, 16, 19},
			contributory[] = {0, 10, 11, 12, 13};
	/* benign, contributory, page fault; D: double fault, X: shutdown */
	static const char *const says[] = {"---", "-D-", "-DD", "-XX"};

	(void)state;
	for (u32 i = 0; i < 25; i++) {
		const u8 first[] = {benign[i / 5], contributory[i / 5], VEC_PF, VEC_DF};
		const u8 second[] = {benign[i % 5], contributory[i % 5], VEC_PF};

		for (u32 k = 0; k < 12; k++)
			look(first[k / 3], second[k % 3], says[k / 3][k % 3]);
	}
	/* an interrupt, or an NMI, gives way */
	arch.vcpu.event = VEC_GP | EVENT_VALID;
	vcpu_inject_fault(&cpu, VEC_GP, false, 0);
	assert_int_equal(arch.vcpu.event, VEC_GP | EVENT_EXCEPTION | EVENT_VALID);
	arch.vcpu.event = VEC_NMI | EVENT_NMI | EVENT_VALID;
	vcpu_inject_fault(&cpu, VEC_PF, false, 0);
	assert_int_equal(arch.vcpu.event, VEC_PF | EVENT_EXCEPTION | EVENT_VALID);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_cpu_without_progress_dies),
		T(instructions_that_are_carried_out_are_progress),
		T(instructions_that_count_are_progress),
		T(exceptions_are_progress),
		T(nmis_say_nothing),
		T(two_exceptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
