/* SPDX-License-Identifier: BSD-2-Clause */
/* What the guest's calls, waits and unknown exits come to. */
#include "arm64_processor.h"
#include "../../arch/arm64/include/arch/pac.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "core/pause.h"

static struct arch_cpu arch;
static struct cpu cpu = {.arch = &arch, .state = CPU_GUEST};
static jmp_buf end;
static struct vcpu exit_;
static enum exit_vector vector;
static char calls[128];
static u32 entries, most;
static bool moves; /* the guest's registers, from exit to exit */

static void note(const char *call)
{
	size_t n = strlen(calls);

	snprintf(calls + n, sizeof(calls) - n, "%s%s", n ? " " : "", call);
}

/* ---- the rest of the monitor ---- */

enum exit_vector vcpu_enter(struct arch_cpu *a)
{
	if (entries++ == most)
		longjmp(end, 1);
	a->vcpu = exit_;
	exit_.x[3] += moves;
	return vector;
}

bool psci_call(struct cpu *c)
{
	return ((u32)c->arch->vcpu.x[0] & ~0x40000000u) == 0x84000003u;
}

void smc_forward(u64 x[18])
{
	(void)x;
	note("firmware");
}

s64 hypercall(struct cpu *c, u64 nr, u64 a, u64 b, u64 d)
{
	(void)c, (void)a, (void)b, (void)d;
	note("hypercall");
	return (s64)nr + 1;
}

enum exit_class vcpu_stage2_fault(struct cpu *c)
{
	(void)c;
	note("stage2");
	return EXIT_STAGE2_FAULT;
}

void vcpu_step_done(struct cpu *c)
{
	(void)c;
	note("step");
}

void kexec_entry(struct cpu *c, u64 entry)
{
	(void)c, (void)entry;
	note("entry");
}

static bool wants_entry;

bool kexec_wants_entry(const struct cpu *c)
{
	(void)c;
	return wants_entry;
}

void pac_set_tcr(u64 tcr_el1)
{
	(void)tcr_el1;
}

void pause_point(struct cpu *self)
{
	(void)self;
	note("pause");
}

void service_look(struct cpu *self)
{
	(void)self;
}

void pause_sleep(struct cpu *self, void (*halt)(struct cpu *self))
{
	note("sleep");
	halt(self);
}

void log_limited(enum log_kind kind, enum log_level level, const char *fmt, ...)
{
	(void)kind, (void)level, (void)fmt;
	note("log");
}

void cpu_mark_dead(struct cpu *c, const char *cause, const char *fmt, ...)
{
	(void)fmt;
	note(cause);
	c->state = CPU_DEAD;
}

void psci_halt(void)
{
	longjmp(end, 2);
}

/* ---- tests ---- */

#define AT 0xffff800008123450ull

static int setup(void **state)
{
	(void)state;
	memset(&processor, 0, sizeof(processor));
	unit_write("hcr_el2", HCR_VM);
	memset(&arch, 0, sizeof(arch));
	memset(&exit_, 0, sizeof(exit_));
	exit_.elr = AT;
	most = 1;
	moves = false;
	exit_.spsr = PSTATE_EL1H;
	vector = EXIT_SYNC;
	cpu.state = CPU_GUEST;
	return 0;
}

/* The guest leaves once with that syndrome; what was called before it goes on. */
static void leave(u32 ec, u64 iss, const char *called)
{
	exit_.esr = (u64)ec << 26 | ESR_IL | iss;
	entries = 0;
	calls[0] = 0;
	if (!setjmp(end))
		vcpu_loop(&cpu);
	assert_string_equal(calls, called);
}

/* Stage 2 refuses the same access again and again. */
static void a_cpu_without_progress_dies(void **state)
{
	(void)state;
	most = 3 * PROGRESS_LIMIT;
	exit_.esr = (u64)EC_DABT_LOWER << 26 | ESR_IL;
	calls[0] = 0;
	entries = 0;
	moves = true;
	if (!setjmp(end))
		vcpu_loop(&cpu);
	assert_int_equal(entries, most + 1);
	moves = false;
	entries = 0;
	if (!setjmp(end))
		vcpu_loop(&cpu);
	assert_int_equal(entries, PROGRESS_LIMIT);
	assert_int_equal(cpu.state, CPU_DEAD);
}

static void smc(u64 fn, const char *called, u64 answer)
{
	exit_.x[0] = fn;
	leave(EC_SMC64, 0, called);
	assert_int_equal(arch.vcpu.elr, AT + 4); /* an SMC that traps has not been executed */
	assert_true(arch.vcpu.x[0] == answer);
}

static void calls_of_the_firmware(void **state)
{
	(void)state;
	smc(0x80000000, "pause firmware pause", 0x80000000); /* SMCCC_VERSION */
	smc(0x84000050, "pause firmware pause", 0x84000050); /* TRNG_VERSION */
	smc(0xc4000003, "pause pause", 0xc4000003);	     /* psci.c has seen to it */
	exit_.x[0] = 0x80000000;
	leave(EC_SMC64, 1, "pause pause"); /* an immediate: reserved */
	assert_true(arch.vcpu.x[0] == ~0ull);
}

/* Its events would come to EL2, at an address of the guest's. */
static void the_guest_has_no_sdei(void **state)
{
	(void)state;
	for (u64 fn = 0x84000020; fn < 0x84000040; fn++) {
		smc(fn, "pause pause", ~0ull);
		smc(fn | 0x40000000, "pause pause", ~0ull);
	}
}

static void calls_of_the_agent(void **state)
{
	(void)state;
	exit_.x[0] = 0x53750000;
	leave(EC_HVC64, 0, "pause hypercall pause");
	assert_int_equal(arch.vcpu.elr, AT); /* behind it already */
	assert_int_equal(arch.vcpu.x[0], 0x53750001);
	leave(EC_HVC64, 1, "pause pause");
	assert_true(arch.vcpu.x[0] == ~0ull);
}

/* An interrupt ends WFI at EL2 only while it would come there. */
static void waits(void **state)
{
	(void)state;
	leave(EC_WFX, 0, "pause sleep pause");
	assert_int_equal(arch.vcpu.elr, AT + 4);
	assert_executed("isb; dsb sy; wfi; isb");
	assert_true(unit_read("hcr_el2") == HCR_VM);
	leave(EC_WFX, 1, "pause pause"); /* WFE may end at any time */
	assert_executed("");
}

static u64 hcr_at_wfi;

static void look_at_hcr(const char *text)
{
	if (!strcmp(text, "wfi"))
		hcr_at_wfi = unit_read("hcr_el2");
}

static void interrupts_are_el2s_while_it_waits(void **state)
{
	(void)state;
	processor.look = look_at_hcr;
	leave(EC_WFX, 0, "pause sleep pause");
	assert_true(hcr_at_wfi == (HCR_VM | HCR_IMO | HCR_FMO | HCR_AMO));
}

/* A kernel of the same build has its vectors where the one before had them. */
static void a_kernel_that_idles_tells_its_entry(void **state)
{
	(void)state;
	unit_write("vbar_el1", 0xffff800008010800);
	leave(EC_WFX, 0, "pause entry sleep pause");
	leave(EC_WFX, 0, "pause sleep pause");
	wants_entry = true;
	leave(EC_WFX, 0, "pause entry sleep pause");
	wants_entry = false;
}

/* Undefined, as on a processor without it: at the vector for where it came from. */
static void what_is_not_known_is_undefined(void **state)
{
	static const struct {
		u64 pstate, vector;
	} from[] = {
		{PSTATE_EL1H, 0x200}, {PSTATE_EL1H & ~1ull, 0}, {0, 0x400}, {PSTATE_A32, 0x600}};

	(void)state;
	unit_write("vbar_el1", 0xffff800008010800);
	for (u32 i = 0; i < ARRAY_SIZE(from); i++) {
		exit_.spsr = from[i].pstate;
		leave(0x3f, 0, "pause log pause");
		assert_true(arch.vcpu.elr == 0xffff800008010800 + from[i].vector);
		assert_true((arch.vcpu.spsr & ~PSTATE_PAN) == (PSTATE_EL1H | PSTATE_DAIF));
		assert_true(unit_read("elr_el1") == AT);
		assert_true(unit_read("spsr_el1") == from[i].pstate);
		assert_true(unit_read("esr_el1") == ESR_IL);
	}
}

/* Such a CPU cannot be gone on with: the machine must know why. */
static void an_interrupt_at_el2(void **state)
{
	(void)state;
	vector = EXIT_IRQ;
	leave(0, 0, "pause interrupt");
	assert_int_equal(cpu.state, CPU_DEAD);
}

static void who_is_stopped_leaves(void **state)
{
	(void)state;
	arch_vcpu_stop(&cpu);
	assert_true(arch_vcpu_stopped(&cpu));
	leave(EC_WFX, 0, "pause");
	assert_int_equal(cpu.state, CPU_PARKED);
	assert_int_equal(entries, 0);
	/* it holds a pause for its single step: first that */
	cpu.state = CPU_GUEST;
	arch.step.active = true;
	leave(EC_STEP_LOWER, 0, "pause step pause");
	assert_int_equal(cpu.state, CPU_GUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_cpu_without_progress_dies, setup),
		cmocka_unit_test_setup(calls_of_the_firmware, setup),
		cmocka_unit_test_setup(the_guest_has_no_sdei, setup),
		cmocka_unit_test_setup(calls_of_the_agent, setup),
		cmocka_unit_test_setup(waits, setup),
		cmocka_unit_test_setup(interrupts_are_el2s_while_it_waits, setup),
		cmocka_unit_test_setup(a_kernel_that_idles_tells_its_entry, setup),
		cmocka_unit_test_setup(what_is_not_known_is_undefined, setup),
		cmocka_unit_test_setup(an_interrupt_at_el2, setup),
		cmocka_unit_test_setup(who_is_stopped_leaves, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
