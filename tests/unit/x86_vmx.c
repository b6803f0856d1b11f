/* SPDX-License-Identifier: BSD-2-Clause */
/* VMX's part of hv.h over a VMCS in memory: controls, the bitmap of MSRs, the first state of a CPU,
 * events, NMIs and single steps. */
#include "vmx_rig.h"

/* A processor that has it all, and one without each thing that is needed: it is named. */
static void controls(void **state)
{
	const u64 all = ~0ull << 32;
	u32 value, named = 0;
	const char *missing;

	(void)state;
	for (enum vmx_controls f = 0; f < NR_VMX_CONTROLS; f++) {
		assert_int_equal(vmx_choose(f, all, &value, &missing), 0);
		for (u32 bit = 0; bit < 32; bit++) {
			u32 without;
			int err = vmx_choose(f, all & ~(1ull << (32 + bit)), &without, &missing);

			assert_int_equal(!err, !missing);
			named += missing != NULL;
			/* what is set is needed, or only wanted; what the processor has not is not
			 * set */
			assert_false(without >> bit & 1);
			assert_int_equal(value & ~(1u << bit), without);
			/* what it demands is set, unless it would be an exit that nobody handles */
			err = vmx_choose(f, all | 1ull << bit, &without, &missing);
			assert_int_equal(without, value | 1u << bit);
			assert_int_equal(err, f == VMX_CPU && (bit == 15 || bit == 16) ? -EOPNOTSUPP
										       : 0);
		}
	}
	assert_int_equal(named, 23);
	assert_int_equal(vmx_choose(VMX_PIN, all, &value, &missing), 0);
	assert_int_equal(value, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	assert_null(vmx_ept_lacks(~0ull));
	assert_non_null(vmx_ept_lacks(~EPT_CAP_INVVPID_SINGLE));
	assert_non_null(vmx_ept_lacks(0));
}

/* Each bit of the bitmap is what the table says; what the bitmap has not is not mixed up with it.
 */
static void the_bitmap_is_the_table(void **state)
{
	static const u32 ranges[] = {0, 0xc0000000};
	const u8 *map = vmx.msr_bitmap;
	u32 set = 0;

	(void)state;
	msr_init();
	hv->intercept_msr(0x40000000, true, true);
	hv->intercept_msr(0xc0010010, true, true);
	for (u32 range = 0; range < 2; range++) {
		for (u32 i = 0; i < 0x2000; i++) {
			const struct msr_rule *r = rule_of(ranges[range] + i);
			const u8 *at = map + 1024 * range + i / 8;

			assert_int_equal(at[0] >> i % 8 & 1, r && msr_exits(r, false, false));
			assert_int_equal(at[2048] >> i % 8 & 1, r && msr_exits(r, true, false));
			set += r && (msr_exits(r, false, false) || msr_exits(r, true, false));
		}
	}
	assert_true(set > 20);
	hv->intercept_ports(0xcfc, 4);
	assert_int_equal(vmx.io_bitmaps[0xcfc / 8], 0xf0);
	hv->intercept_ports(0xffff, 1);
	assert_int_equal(vmx.io_bitmaps[2 * PAGE_SIZE - 1], 0x80);
}

static u64 rights(enum vmcs_segment n)
{
	return vmcs[VMCS_SEGMENT(VMCS_GUEST_ATTRIBUTES, n)];
}

static void a_start_by_sipi(void **state)
{
	struct guest_state g;

	(void)state;
	memset(arch.vcpu.gpr, 0xff, sizeof(arch.vcpu.gpr));
	arch.vcpu.event = 1;
	state_reset(&g, 0x9a, CR0_CD | CR0_PG | CR0_PE);
	hv->set_state(self, &g);
	assert_int_equal(arch.vcpu.rip, 0);
	assert_int_equal(arch.vcpu.rflags, 2);
	/* the guest reads its own NE and VMXE, and the processor has them set */
	assert_int_equal(arch.vcpu.cr0, CR0_CD | CR0_ET);
	assert_int_equal(vmcs[VMCS_GUEST_CR0], CR0_CD | CR0_ET | CR0_NE);
	assert_int_equal(arch.vcpu.cr4, 0);
	assert_int_equal(vmcs[VMCS_GUEST_CR4], 1u << 13);
	assert_int_equal(arch.vcpu.cs_base, 0x9a000);
	assert_false(arch.vcpu.long_code || arch.vcpu.wide_code);
	assert_int_equal(arch.vcpu.event, 0);
	assert_int_equal(arch.vcpu.gpr[RDX], cpuid(1, 0).eax);
	assert_int_equal(vmcs[VMCS_ENTRY_CONTROLS] & ENTRYC_IA32E, 0);
	assert_int_equal(rights(SEG_CS), 0x9b);
	assert_int_equal(rights(SEG_SS), 0x93);
	assert_int_equal(rights(SEG_TR), 0x8b);
	assert_int_equal(vmcs[VMCS_GUEST_IDTR_LIMIT], 0xffff);
	assert_int_equal(vmcs[VMCS_LINK], ~0ull);
	assert_true(arch.flush);
}

/* In long mode, with what a firmware may have: segments that were never accessed, or are null. */
static void a_take_over(void **state)
{
	struct guest_state g = {.efer = EFER_LME | EFER_LMA,
				.cr0 = CR0_PE | CR0_PG,
				.cs = {.selector = 0x38, .attributes = 0xa9a, .limit = ~0u},
				.ss = {.selector = 0x30, .attributes = 0xcf2, .limit = ~0u}};

	(void)state;
	hv->set_state(self, &g);
	assert_int_equal(vmcs[VMCS_ENTRY_CONTROLS] & ENTRYC_IA32E, ENTRYC_IA32E);
	assert_int_equal(rights(SEG_CS), 0xa09b);
	assert_int_equal(rights(SEG_SS), 0xc0f3);
	assert_int_equal(rights(SEG_FS), ATTRIBUTES_UNUSABLE);
	assert_true(arch.vcpu.long_code);
	assert_int_equal(arch.vcpu.cpl, 3);
}

/* An event is given once; one that the exit interrupts comes again, unless its INT does. */
static void events(void **state)
{
	const u64 gp = VEC_GP | EVENT_EXCEPTION | EVENT_HAS_ERROR | EVENT_VALID | 5ull << 32;

	(void)state;
	arch.vcpu.cr0 = vmcs[VMCS_GUEST_CR0] = CR0_PE;
	vmcs[VMCS_GUEST_ACTIVITY] = 1;
	arch.vcpu.event = gp;
	hv->run(self);
	assert_int_equal(entered_with, (u32)gp);
	assert_int_equal(vmcs[VMCS_ENTRY_ERROR], 5);
	assert_int_equal(vmcs[VMCS_GUEST_ACTIVITY], 0);
	assert_int_equal(arch.vcpu.event, 0);
	/* the error code, and bit 12, which is reserved */
	vmcs[VMCS_VECTORING_EVENT] = (u32)gp | NMI_UNBLOCKED;
	vmcs[VMCS_VECTORING_ERROR] = 5;
	hv->run(self);
	assert_int_equal(entered_with & EVENT_VALID, 0);
	assert_int_equal(arch.vcpu.event, gp);
	/* in real mode there is no error code */
	arch.vcpu.cr0 = 0;
	vmcs[VMCS_VECTORING_EVENT] = EVENT_SOFTWARE | EVENT_VALID | 0x80;
	hv->run(self);
	assert_int_equal(entered_with, (u32)gp & ~EVENT_HAS_ERROR);
	assert_int_equal(arch.vcpu.event, 0);
	for (u32 type = 5; type <= 6; type++) { /* INT1; INT3 and INTO */
		vmcs[VMCS_VECTORING_EVENT] = type << 8 | EVENT_VALID | VEC_BP;
		hv->run(self);
		assert_int_equal(arch.vcpu.event, 0);
	}
	/* an NMI that is injected again must not be blocked by itself */
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = BLOCKED_BY_NMI;
	vmcs[VMCS_VECTORING_EVENT] = VEC_NMI | EVENT_NMI | EVENT_VALID;
	hv->run(self);
	assert_int_equal(arch.vcpu.event, VEC_NMI | EVENT_NMI | EVENT_VALID);
	assert_int_equal(vmcs[VMCS_GUEST_INTERRUPTIBILITY], 0);
}

/* The first entry launches; translations are dropped where that was asked for, once. */
static void entries(void **state)
{
	(void)state;
	hv->run(self);
	assert_false(entered_launched);
	assert_int_equal(invalidations, 0);
	arch.flush = true;
	hv->run(self);
	assert_true(entered_launched);
	hv->run(self);
	assert_int_equal(invalidations, 1);
}

static void nmi_window(void **state)
{
	(void)state;
	assert_true(hv->nmi_window(self));
	for (u32 blocked = 0; blocked < 4; blocked++) {
		vmcs[VMCS_GUEST_INTERRUPTIBILITY] = blocked < 2	   ? 1u << blocked
						    : blocked == 2 ? 8
								   : 0;
		arch.vcpu.event = blocked == 3 ? 0x30 | EVENT_VALID : 0;
		assert_false(hv->nmi_window(self));
		assert_int_equal(vmcs[VMCS_CPU_CONTROLS], CPU_NMI_WINDOW_EXITING);
		arch.vcpu.event = 0;
		exit_reason = VMX_NMI_WINDOW;
		hv->run(self);
		assert_int_equal(vmcs[VMCS_CPU_CONTROLS], 0);
	}
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = 0;
	assert_true(hv->nmi_window(self));
}

/* An NMI in the monitor makes the next entry exit; one that comes during that exit does it again.
 */
static void forced_exits(void **state)
{
	const u32 usual = PIN_NMI_EXITING | PIN_VIRTUAL_NMIS;

	(void)state;
	hv->force_exit(self);
	assert_int_equal(vmcs[VMCS_PIN_CONTROLS], usual | PIN_PREEMPTION_TIMER);
	assert_int_equal(vmcs[VMCS_PREEMPTION_TIMER], 0);
	exit_reason = VMX_CPUID;
	hv->run(self); /* another exit came first */
	assert_int_equal(vmcs[VMCS_PIN_CONTROLS], usual | PIN_PREEMPTION_TIMER);
	exit_reason = VMX_PREEMPTION_TIMER;
	hv->run(self);
	assert_int_equal(nmi_exits, 1);
	assert_int_equal(vmcs[VMCS_PIN_CONTROLS], usual);
	exit_reason = VMX_EXCEPTION_OR_NMI;
	vmcs[VMCS_EXIT_EVENT] = VEC_NMI | EVENT_NMI | EVENT_VALID;
	hv->run(self);
	assert_int_equal(nmi_exits, 2);
	assert_true(nmis_unblocked);
}

/* Interrupts wait for the end of a step, by IF, which is back afterwards, also for an exception. */
static void steps(void **state)
{
	(void)state;
	for (u32 fails = 0; fails < 2; fails++) {
		arch.step = STEP_SHADOWED;
		arch.vcpu.rflags = RFLAGS_FIXED | RFLAGS_IF;
		vmcs[VMCS_GUEST_INTERRUPTIBILITY] = BLOCKED_BY_STI;
		hv->step_begin(self);
		hv->step_begin(self); /* another fault of the same instruction */
		assert_int_equal(vmcs[VMCS_CPU_CONTROLS], CPU_MONITOR_TRAP_FLAG);
		assert_int_equal(vmcs[VMCS_GUEST_INTERRUPTIBILITY], 0);
		exit_reason = fails ? VMX_EXCEPTION_OR_NMI : VMX_MONITOR_TRAP;
		vmcs[VMCS_EXIT_EVENT] = VEC_GP | EVENT_EXCEPTION | EVENT_HAS_ERROR | EVENT_VALID;
		vmcs[VMCS_EXIT_ERROR] = 8;
		hv->run(self);
		assert_int_equal(vmcs[VMCS_GUEST_RFLAGS], RFLAGS_FIXED);
		assert_int_equal(steps_done, fails + 1);
		assert_int_equal(step_completed, !fails);
		assert_int_equal(arch.vcpu.rflags, RFLAGS_FIXED | RFLAGS_IF);
		assert_int_equal(vmcs[VMCS_CPU_CONTROLS], 0);
		assert_int_equal(vmcs[VMCS_EXCEPTIONS], 0);
	}
	assert_int_equal(arch.vcpu.event,
			 VEC_GP | EVENT_EXCEPTION | EVENT_HAS_ERROR | EVENT_VALID | 8ull << 32);
}

/* The delivery of an event that writes to a shadowed page is the step: it saves IF as it is. */
static void a_step_with_an_event(void **state)
{
	(void)state;
	arch.step = STEP_SHADOWED;
	arch.vcpu.rflags = RFLAGS_FIXED | RFLAGS_IF;
	arch.vcpu.event = 0x30 | EVENT_VALID;
	hv->step_begin(self);
	assert_int_equal(arch.vcpu.rflags, RFLAGS_FIXED | RFLAGS_IF);
	exit_reason = VMX_MONITOR_TRAP;
	hv->run(self);
	assert_int_equal(entered_with, 0x30 | EVENT_VALID);
	assert_int_equal(vmcs[VMCS_GUEST_RFLAGS], RFLAGS_FIXED | RFLAGS_IF);
	/* its handler begins without */
	arch.step = STEP_SHADOWED;
	arch.vcpu.event = 0x30 | EVENT_VALID;
	hv->step_begin(self);
	arch.vcpu.rflags = RFLAGS_FIXED;
	hv->step_end(self, true);
	assert_int_equal(arch.vcpu.rflags, RFLAGS_FIXED);
}

/* An IRET that has unblocked NMIs and faults blocks them again, unless something was delivered. */
static void an_iret_that_faults(void **state)
{
	(void)state;
	exit_reason = VMX_EXCEPTION_OR_NMI;
	for (u32 i = 0; i < 4; i++) {
		u8 vector = i == 1 ? VEC_DF : VEC_GP;

		vmcs[VMCS_GUEST_INTERRUPTIBILITY] = 0;
		vmcs[VMCS_EXIT_EVENT] =
			vector | EVENT_EXCEPTION | EVENT_VALID | (i == 3 ? 0 : NMI_UNBLOCKED);
		vmcs[VMCS_VECTORING_EVENT] = i == 2 ? 0x30 | EVENT_VALID : 0;
		hv->run(self);
		assert_int_equal(vmcs[VMCS_GUEST_INTERRUPTIBILITY], i ? 0 : BLOCKED_BY_NMI);
	}
}

/* The next LGDT exits, once; SIDT before it is stepped over, and does not count. */
static void tables(void **state)
{
	const u32 loads = 1u << 29;

	(void)state;
	hv->catch_tables(self);
	assert_int_equal(vmcs[VMCS_CPU_CONTROLS_2], CPU2_TABLE_EXITING);
	exit_reason = VMX_GDTR_IDTR;
	hv->run(self);
	assert_int_equal(vmcs[VMCS_CPU_CONTROLS_2], 0);
	assert_int_equal(arch.step, STEP_VENDOR);
	exit_reason = VMX_MONITOR_TRAP;
	hv->run(self);
	assert_int_equal(vmcs[VMCS_CPU_CONTROLS_2], CPU2_TABLE_EXITING);
	assert_int_equal(tables_changed, 0);
	exit_reason = VMX_GDTR_IDTR;
	vmcs[VMCS_EXIT_INSTRUCTION] = loads;
	hv->run(self);
	assert_int_equal(tables_changed, 1);
	assert_int_equal(vmcs[VMCS_CPU_CONTROLS_2], 0);
	assert_int_equal(arch.step, STEP_NONE);
}

/* What the guest may set is its own at the second attempt, and what it may not is #GP. */
static void control_registers(void **state)
{
	(void)state;
	exit_reason = VMX_CR_ACCESS;
	vmcs[VMCS_QUALIFICATION] = 0 | R9 << 8; /* MOV to CR0 from R9 */
	arch.vcpu.gpr[R9] = CR0_NE | CR0_PE;
	hv->run(self);
	assert_int_equal(vmcs[VMCS_CR0_SHADOW] & cr_owned(0), CR0_NE);
	assert_int_equal(faults, 0);
	vmcs[VMCS_QUALIFICATION] = 4 | R9 << 8;
	arch.vcpu.gpr[R9] = 1u << 13; /* VMXE */
	hv->run(self);
	assert_int_equal(vmcs[VMCS_CR4_SHADOW], 0);
	assert_int_equal(faults, 1);
}

static void faults_of_stage_2(void **state)
{
	(void)state;
	exit_reason = VMX_EPT_VIOLATION;
	vmcs[VMCS_GUEST_PHYSICAL] = 0x1234;
	vmcs[VMCS_QUALIFICATION] = EPTV_WRITE | EPTV_LINEAR_VALID | NMI_UNBLOCKED;
	hv->run(self);
	assert_true(fault.write && fault.table_walk && !fault.fetch);
	assert_int_equal(fault.ipa.v, 0x1234);
	/* the IRET that faulted runs again: NMIs stay blocked until then */
	assert_int_equal(vmcs[VMCS_GUEST_INTERRUPTIBILITY], BLOCKED_BY_NMI);
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = 0;
	vmcs[VMCS_VECTORING_EVENT] = 0x30 | EVENT_VALID;
	vmcs[VMCS_QUALIFICATION] = EPTV_FETCH | EPTV_LINEAR_VALID | EPTV_TRANSLATED | NMI_UNBLOCKED;
	hv->run(self);
	assert_true(fault.fetch && !fault.table_walk && !fault.write);
	assert_int_equal(vmcs[VMCS_GUEST_INTERRUPTIBILITY], 0);
}

/* An instruction that is skipped ends the shadow of STI, and a single step of the guest's own. */
static void skipped(void **state)
{
	(void)state;
	arch.vcpu.rip = 0xfffffffe;
	arch.vcpu.rflags = RFLAGS_TF | RFLAGS_RF;
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = BLOCKED_BY_STI | BLOCKED_BY_NMI;
	(hv->skip)(self, 2);
	assert_int_equal(arch.vcpu.rip, 0);
	assert_int_equal(arch.vcpu.rflags, RFLAGS_TF);
	assert_int_equal(vmcs[VMCS_GUEST_INTERRUPTIBILITY], BLOCKED_BY_NMI);
	assert_int_equal(vmcs[VMCS_GUEST_PENDING_DEBUG], PENDING_DEBUG_BS);
	vmcs[VMCS_GUEST_PENDING_DEBUG] = 0;
	vmcs[VMCS_GUEST_DEBUGCTL] = DEBUGCTL_BTF;
	(hv->skip)(self, 2);
	assert_int_equal(vmcs[VMCS_GUEST_PENDING_DEBUG], 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(controls),
		T(the_bitmap_is_the_table),
		T(a_start_by_sipi),
		T(a_take_over),
		T(events),
		T(entries),
		T(nmi_window),
		T(forced_exits),
		T(steps),
		T(a_step_with_an_event),
		T(an_iret_that_faults),
		T(tables),
		T(control_registers),
		T(faults_of_stage_2),
		T(skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
