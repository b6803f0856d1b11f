/* SPDX-License-Identifier: BSD-2-Clause */
/* SVM's part of hv.h: its bitmap of MSRs, the first state of a CPU, events and NMIs. */
#include "x86_rig.h"
#include "../../arch/x86/svm/svm.h"

const struct hv_ops *hv = &svm_ops;
static u32 kicks;
static u64 entered_with; /* the event that the processor was given */
static u64 interrupted;	 /* the one that its exit interrupts */

/* ---- what the code under test calls ---- */

void svm_run(u64 *gprs, u64 guest_pa, u64 host_pa, u32 flags)
{
	struct vmcb *v = svm_of(self)->guest;

	(void)gprs, (void)guest_pa, (void)host_pa, (void)flags;
	entered_with = v->event_injection;
	v->exit_int_info = interrupted;
}

void svm_open_window(void)
{
}

enum exit_class svm_exit(struct cpu *c)
{
	assert_ptr_equal(c, self);
	return EXIT_OTHER;
}

void arch_kick(struct cpu *c)
{
	assert_ptr_equal(c, self);
	kicks++;
}

static u64 debugctl;

u64 host_debugctl(void)
{
	return debugctl;
}

void host_set_debugctl(u64 value)
{
	debugctl = value;
}

static u32 steps_done;

void vcpu_step_done(struct cpu *c, bool completed)
{
	steps_done++;
	c->arch->step = STEP_NONE;
	hv->step_end(c, completed);
}

void vcpu_inject_fault(struct cpu *c, u8 vector, bool has_error, u32 error)
{
	assert_false(has_error || error);
	c->arch->vcpu.event = vector | EVENT_EXCEPTION | EVENT_VALID;
}

/* ---- the tests ---- */

static int setup(void **state)
{
	(void)state;
	kicks = 0;
	entered_with = interrupted = 0;
	return setup_cpu();
}

/* Each bit of the permission map is what the table says, for every MSR that the map has. */
static void the_bitmap_is_the_table(void **state)
{
	static const u32 ranges[] = {0, 0xc0000000, 0xc0010000};
	const u8 *map = blocks[1]; /* behind the I/O permission map */
	u32 set = 0;

	(void)state;
	msr_init();
	for (u32 range = 0; range < 3; range++) {
		for (u32 i = 0; i < 0x2000; i++) {
			const struct msr_rule *r = rule_of(ranges[range] + i);
			u8 bits = map[range * 0x800 + i / 4] >> i % 4 * 2 & 3;

			assert_int_equal(bits & 1, r && msr_exits(r, false, false));
			assert_int_equal(bits >> 1, r && msr_exits(r, true, false));
			set += bits != 0;
		}
	}
	assert_true(set > 20);
	for (u32 i = 0x1800; i < 2 * PAGE_SIZE; i++)
		assert_int_equal(map[i], 0);
	/* what the map has not exits anyway, and is not mixed up with others */
	hv->intercept_msr(0x40000000, true, true);
	hv->intercept_msr(0xc0002000, true, true);
	assert_int_equal(map[0], 0);
	assert_int_equal(map[0x800], 0);
}

static void a_start_by_sipi(void **state)
{
	const struct svm_cpu *s = svm_of(self);
	const struct vmcb *b = s->guest;
	struct guest_state g;

	(void)state;
	memset(arch.vcpu.gpr, 0xff, sizeof(arch.vcpu.gpr));
	arch.vcpu.event = 1;
	state_reset(&g, 0x9a, CR0_CD | CR0_PG | CR0_PE);
	hv->set_state(self, &g);
	assert_int_equal(arch.vcpu.rip, 0);
	assert_int_equal(arch.vcpu.rflags, 2);
	assert_int_equal(arch.vcpu.cr0, CR0_CD | CR0_ET);
	assert_int_equal(arch.vcpu.cs_base, 0x9a000);
	assert_false(arch.vcpu.long_code || arch.vcpu.wide_code);
	assert_int_equal(arch.vcpu.efer, 0);
	assert_int_equal(arch.vcpu.event, 0);
	assert_int_equal(arch.vcpu.gpr[RDX], cpuid(1, 0).eax);
	for (u32 r = 0; r < NR_GPRS; r++)
		assert_true(r == RDX || !arch.vcpu.gpr[r]);
	assert_int_equal(b->efer, EFER_SVME);
	assert_int_equal(b->cs.selector, 0x9a00);
	assert_int_equal(b->cs.attributes, 0x9b);
	assert_int_equal(b->ss.attributes, 0x93);
	assert_int_equal(b->tr.attributes, 0x8b);
	assert_int_equal(b->idtr.limit, 0xffff);
	assert_int_equal(b->g_pat, PAT_RESET);
	assert_int_equal(b->dr7, DR7_RESET);
}

static void the_state_is_the_vmcb_s(void **state)
{
	const struct vmcb *b = svm_of(self)->guest;
	struct guest_state g;

	(void)state;
	for (size_t i = 0; i < sizeof(g); i++)
		((u8 *)&g)[i] = (u8)(i * 7 + 1);
	hv->set_state(self, &g);
	assert_memory_equal(&b->es, &g.es, sizeof(g.es));
	assert_memory_equal(&b->cs, &g.cs, sizeof(g.cs));
	assert_memory_equal(&b->ss, &g.ss, sizeof(g.ss));
	assert_memory_equal(&b->ds, &g.ds, sizeof(g.ds));
	assert_memory_equal(&b->fs, &g.fs, sizeof(g.fs));
	assert_memory_equal(&b->gs, &g.gs, sizeof(g.gs));
	assert_memory_equal(&b->ldtr, &g.ldtr, sizeof(g.ldtr));
	assert_memory_equal(&b->tr, &g.tr, sizeof(g.tr));
	assert_memory_equal(&b->gdtr, &g.gdtr, sizeof(g.gdtr));
	assert_memory_equal(&b->idtr, &g.idtr, sizeof(g.idtr));
	assert_memory_equal(b->syscall, g.syscall, sizeof(g.syscall));
	assert_int_equal(b->cr2, g.cr2);
	assert_int_equal(b->dr6, g.dr6);
	assert_int_equal(arch.vcpu.cr3, g.cr3);
	assert_int_equal(arch.vcpu.cr4, g.cr4);
	assert_int_equal(arch.vcpu.rip, g.rip);
	assert_int_equal(arch.vcpu.kernel_gs_base, g.syscall[SYSCALL_KERNEL_GS_BASE]);
	assert_memory_equal(arch.vcpu.gpr, g.gpr, sizeof(g.gpr));
}

#define INTERCEPT_TABLES (INTERCEPT_LGDT | INTERCEPT_LIDT)

/* CPUID exits until user space runs, and again from the load of a descriptor table or INIT on. */
static void cpuid_exits_while_a_kernel_starts(void **state)
{
	const struct vmcb *b = svm_of(self)->guest;
	struct guest_state g = {0};
	u32 others;

	(void)state;
	hv->set_state(self, &g);
	assert_int_equal(b->intercept1 & (INTERCEPT_CPUID | INTERCEPT_TABLES), INTERCEPT_CPUID);
	others = b->intercept1 & ~INTERCEPT_CPUID;
	for (u32 again = 0; again < 2; again++) {
		hv->release_cpuid(self);
		assert_int_equal(b->intercept1, others | INTERCEPT_TABLES);
		if (again)
			hv->set_state(self, &g);
		else
			svm_catch_cpuid(self);
		assert_int_equal(b->intercept1, others | INTERCEPT_CPUID);
	}
}

/* An event is given once; one that the exit interrupts comes again, unless its INT does. */
static void events(void **state)
{
	const u64 gp = VEC_GP | EVENT_EXCEPTION | EVENT_HAS_ERROR | EVENT_VALID | 5ull << 32;

	(void)state;
	arch.vcpu.event = gp;
	hv->run(self);
	assert_int_equal(entered_with, gp);
	assert_int_equal(arch.vcpu.event, 0);
	interrupted = gp;
	hv->run(self);
	assert_int_equal(entered_with, 0);
	assert_int_equal(arch.vcpu.event, gp);
	interrupted = 0x80 | EVENT_SOFTWARE | EVENT_VALID;
	hv->run(self);
	assert_int_equal(entered_with, gp);
	assert_int_equal(arch.vcpu.event, 0);
	/* INT3 and INTO run again too, though they cause exceptions */
	interrupted = VEC_BP | EVENT_EXCEPTION | EVENT_VALID;
	hv->run(self);
	assert_int_equal(arch.vcpu.event, 0);
	interrupted = VEC_OF | EVENT_EXCEPTION | EVENT_VALID;
	hv->run(self);
	assert_int_equal(arch.vcpu.event, 0);
}

/* The window closes with an NMI and opens behind the IRET of its handler, even if that faults. */
static void nmi_window(void **state)
{
	struct vmcb *b = svm_of(self)->guest;

	(void)state;
	arch.vcpu.event = 0x30 | EVENT_VALID; /* it is delivered first, then the NMI */
	assert_false(hv->nmi_window(self));
	assert_int_equal(kicks, 1);
	arch.vcpu.event = 0;
	assert_true(hv->nmi_window(self));
	assert_true(b->intercept1 & INTERCEPT_IRET);
	for (u32 completed = 0; completed < 2; completed++) {
		assert_false(hv->nmi_window(self));
		assert_int_equal(kicks, 1);
		arch.vcpu.rflags = RFLAGS_FIXED;
		svm_iret(self);
		assert_int_equal(arch.step, STEP_VENDOR);
		assert_true(arch.vcpu.rflags & RFLAGS_TF);
		assert_false(b->intercept1 & INTERCEPT_IRET);
		hv->step_end(self, completed);
		/* the flags that it has loaded stay */
		assert_int_equal(!(arch.vcpu.rflags & RFLAGS_TF), !completed);
		assert_true(hv->nmi_window(self));
	}
}

/* DebugCtl.BTF makes TF trap at branches only: a step would execute all instructions before. */
static void a_step_is_of_one_instruction(void **state)
{
	const u64 btf = 1 << 1, lbr = 1 << 0;

	(void)state;
	for (u64 was = 0; was <= (btf | lbr); was++) {
		debugctl = was;
		hv->step_begin(self);
		assert_int_equal(debugctl, was & ~btf);
		hv->step_end(self, true);
		assert_int_equal(debugctl, was);
	}
}

/*
 * The delivery of an event that writes to a shadowed page is the step: what it saves is the guest's
 * flags, and the kick behind it ends the step. Delivered twice, since its frame is in two pages.
 */
static void a_step_with_an_event(void **state)
{
	const u64 irq = 0x30 | EVENT_VALID;

	(void)state;
	steps_done = 0;
	arch.vcpu.rflags = RFLAGS_FIXED | RFLAGS_IF;
	arch.vcpu.event = irq;
	arch.step = STEP_SHADOWED;
	hv->step_begin(self);
	assert_int_equal(arch.vcpu.rflags, RFLAGS_FIXED | RFLAGS_IF);
	assert_int_equal(kicks, 1);
	interrupted = irq;
	hv->run(self);
	assert_int_equal(entered_with, irq);
	svm_delivered(self);
	assert_int_equal(steps_done, 0);
	interrupted = 0;
	hv->run(self);
	assert_int_equal(entered_with, irq);
	svm_of(self)->guest->rflags = RFLAGS_FIXED; /* the handler's */
	svm_delivered(self);
	assert_int_equal(steps_done, 1);
	assert_int_equal(svm_of(self)->guest->intercept_exceptions, 0);
	/* one of an instruction ends with its #DB */
	arch.vcpu.rflags = RFLAGS_FIXED;
	arch.step = STEP_SHADOWED;
	hv->step_begin(self);
	assert_int_equal(arch.vcpu.rflags, RFLAGS_FIXED | RFLAGS_TF);
	svm_delivered(self);
	assert_int_equal(steps_done, 1);
	assert_int_equal(kicks, 1);
}

static void which_processors_need_a_barrier(void **state)
{
	const u32 ibpb = 1u << 12;

	(void)state;
	for (u32 family = 0x10; family < 0x20; family++) {
		assert_int_equal(svm_needs_barrier(family, ibpb), family >= 0x17 && family < 0x1a);
		/* it does not know the MSR */
		assert_false(svm_needs_barrier(family, ~ibpb));
	}
}

/* An instruction that is skipped ends the shadow of STI, and a single step of the guest's own. */
static void skipped(void **state)
{
	struct vmcb *b = svm_of(self)->guest;

	(void)state;
	for (u32 own = 0; own < 3; own++) {
		arch.vcpu.event = b->dr6 = 0;
		arch.step = own ? STEP_NONE : STEP_SHADOWED;
		debugctl = own == 2 ? DEBUGCTL_BTF : 0;
		arch.vcpu.rip = 0xfffffffe;
		arch.vcpu.rflags = RFLAGS_TF | RFLAGS_RF;
		b->interrupt_shadow = 1;
		(hv->skip)(self, 2);
		assert_int_equal(arch.vcpu.rip, 0);
		assert_int_equal(arch.vcpu.rflags, RFLAGS_TF);
		assert_int_equal(b->interrupt_shadow, 0);
		assert_int_equal(b->dr6, own == 1 ? DR6_BS : 0);
		assert_int_equal(arch.vcpu.event,
				 own == 1 ? VEC_DB | EVENT_EXCEPTION | EVENT_VALID : 0);
	}
	debugctl = 0;
}

static void which_processors_need_clearing(void **state)
{
	(void)state;
	assert_true(svm_needs_clearing(1u << 5, 0));
	assert_true(svm_needs_clearing(1u << 5, 1u << 1));
	assert_true(svm_needs_clearing(1u << 5, 1u << 2));
	assert_false(svm_needs_clearing(1u << 5, 3u << 1));
	assert_false(svm_needs_clearing(~(1u << 5), 0)); /* VERW clears nothing */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_bitmap_is_the_table),
		T(a_start_by_sipi),
		T(the_state_is_the_vmcb_s),
		T(cpuid_exits_while_a_kernel_starts),
		T(events),
		T(which_processors_need_a_barrier),
		T(which_processors_need_clearing),
		T(skipped),
		T(nmi_window),
		T(a_step_is_of_one_instruction),
		T(a_step_with_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
