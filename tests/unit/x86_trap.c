/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes to the monitor itself: interrupts, whatever vector a device has chosen, exceptions of
 * the instructions that may fault, and those that end the monitor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "arch/upcalls.h"
#include "lib/errno.h"
#include "lib/types.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/insn.h"
#include "../../arch/x86/machine_check.h"
#include "../../arch/x86/service.h"

void trap_handle(struct trap_frame *f);

static struct boot_info info;
struct boot_info *machine = &info;
static struct arch_cpu arch;
struct cpu cpus[MAX_CPUS] = {{.state = CPU_SERVICE, .arch = &arch}};
static jmp_buf ended;
static int interrupt; /* the vector that was taken for an interrupt, or -1 */
static u32 nmis;
static bool in_machine_check, goes_on_after_it; /* MCIP, RIPV */

/* isr.S: an instruction that may fault, and what is at the addresses that trap.c knows */
__asm__(".pushsection .data\n"
	"isr_stubs: .globl isr_stubs\n .long 0\n"
	"idle_halt_insn: .globl idle_halt_insn\n .long 0\n"
	"insn_failed: .globl insn_failed\n .long 0\n"
	"may_fail: .globl may_fail\n .long 0\n"
	"fixups_start: .globl fixups_start\n .long idle_halt_insn + 2 - .\n .long may_fail - .\n"
	"fixups_end: .globl fixups_end\n"
	".popsection\n");
extern const char idle_halt_insn[], insn_failed[], may_fail[];

/* ---- what the code under test calls ---- */

void service_interrupt(u32 vector)
{
	interrupt = (int)vector;
}

bool machine_check(void)
{
	return goes_on_after_it;
}

bool service_restarts(const char *why)
{
	(void)why;
	return true;
}

_Noreturn void service_restart(void)
{
	longjmp(ended, 2); /* its address is what counts */
}

void nmi_in_monitor(struct cpu *c)
{
	assert_ptr_equal(c, &cpus[0]);
	nmis++;
}

static bool nmi;

/* Of an exception without a handler it is the first thing that is asked. */
struct cpu *cpu_this(void)
{
	if (!nmi)
		longjmp(ended, 1);
	return &cpus[0];
}

int rdmsr_safe(u32 msr, u64 *value)
{
	assert_int_equal(msr, MSR_MCG_STATUS);
	*value = in_machine_check ? MCG_STATUS_MCIP : 0;
	return 0;
}

/* ---- tests ---- */

static int setup(void **state)
{
	(void)state;
	interrupt = -1;
	nmis = 0;
	nmi = in_machine_check = goes_on_after_it = false;
	return 0;
}

/* True if the monitor goes on. */
static bool goes_on(struct trap_frame *f)
{
	if (setjmp(ended))
		return false;
	trap_handle(f);
	return true;
}

/* In the halt, where interrupts are on, and behind it. */
static void every_vector_is_an_interrupt_in_the_halt(void **state)
{
	(void)state;
	for (u32 vector = 0; vector < 256; vector++)
		for (u32 behind = 0; behind < 2; behind++) {
			struct trap_frame f = {.vector = vector,
					       .rflags = RFLAGS_FIXED | RFLAGS_IF,
					       .rip = (u64)idle_halt_insn + behind};

			if (vector == VEC_NMI)
				continue;
			interrupt = -1;
			assert_true(goes_on(&f));
			assert_int_equal(interrupt, vector);
			/* it may have been the one that was waited for */
			assert_int_equal(f.rip, (u64)idle_halt_insn + 1);
		}
}

static void elsewhere_it_is_an_exception(void **state)
{
	(void)state;
	for (u32 vector = 0; vector < 256; vector++) {
		struct trap_frame f = {.vector = vector, .rflags = RFLAGS_FIXED, .rip = 0x1000};

		if (vector == VEC_NMI || vector == VEC_DB)
			continue;
		interrupt = -1;
		assert_int_equal(goes_on(&f), vector >= 32);
		assert_int_equal(interrupt, vector >= 32 ? (int)vector : -1);
	}
}

static void a_machine_check_is_none(void **state)
{
	struct trap_frame f = {
		.vector = VEC_MC, .rflags = RFLAGS_FIXED | RFLAGS_IF, .rip = (u64)idle_halt_insn};

	(void)state;
	in_machine_check = true;
	assert_false(goes_on(&f));
	assert_int_equal(interrupt, -1);
	goes_on_after_it = true;
	assert_true(goes_on(&f));
	assert_int_equal(interrupt, -1);
}

static void nmis_are_nmis(void **state)
{
	struct trap_frame f = {
		.vector = VEC_NMI, .rflags = RFLAGS_FIXED | RFLAGS_IF, .rip = (u64)idle_halt_insn};

	(void)state;
	nmi = true;
	assert_true(goes_on(&f));
	assert_int_equal(nmis, 1);
	assert_int_equal(interrupt, -1);
}

static void an_instruction_that_may_fault_fails(void **state)
{
	struct trap_frame f = {.vector = VEC_GP, .rflags = RFLAGS_FIXED, .rip = (u64)may_fail};

	(void)state;
	assert_true(goes_on(&f));
	assert_int_equal(f.rip, (u64)insn_failed);
	/* by #GP alone, and no instruction beside it */
	f = (struct trap_frame){.vector = VEC_UD, .rflags = RFLAGS_FIXED, .rip = (u64)may_fail};
	assert_false(goes_on(&f));
	f = (struct trap_frame){.vector = VEC_GP, .rflags = RFLAGS_FIXED, .rip = (u64)may_fail + 1};
	assert_false(goes_on(&f));
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_vector_is_an_interrupt_in_the_halt),
		T(elsewhere_it_is_an_exception),
		T(a_machine_check_is_none),
		T(nmis_are_nmis),
		T(an_instruction_that_may_fault_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
