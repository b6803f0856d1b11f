/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks of an entry: they pass the states that the monitor makes, and each state that is
 * broken in one field is refused, by the check that the field is for.
 */
#include <stdio.h>
#include "vmx_rig.h"

#define LIMIT_OF_ALL 0xffffffff

/* A processor that has all and demands nothing. */
static const u64 capability[NR_VMX_CONTROLS] = {~0ull << 32, ~0ull << 32, ~0ull << 32, ~0ull << 32,
						~0ull << 32};

static void write_host(void)
{
	vmcs_write(VMCS_HOST_CR0, 0x80010033);
	vmcs_write(VMCS_HOST_CR3, 0x1000);
	vmcs_write(VMCS_HOST_CR4, CR4_PAE | 1u << 13);
	vmcs_write(VMCS_HOST_EFER, EFER_LME | EFER_LMA);
	vmcs_write(VMCS_HOST_PAT, PAT_RESET);
	vmcs_write(VMCS_HOST_CS, HOST_CS);
	vmcs_write(VMCS_HOST_SS, HOST_DS);
	vmcs_write(VMCS_HOST_TR, HOST_TR);
}

static void write_controls(void)
{
	const char *missing;

	for (enum vmx_controls f = 0; f < NR_VMX_CONTROLS; f++)
		assert_int_equal(vmx_choose(f, capability[f], &vmx.controls[f], &missing), 0);
	vmcs_write(VMCS_PIN_CONTROLS, vmx.controls[VMX_PIN]);
	vmx_of(self)->cpu = vmx.controls[VMX_CPU];
	vmcs_write(VMCS_CPU_CONTROLS, vmx.controls[VMX_CPU]);
	vmcs_write(VMCS_CPU_CONTROLS_2, vmx.controls[VMX_CPU2]);
	vmcs_write(VMCS_EXIT_CONTROLS, vmx.controls[VMX_EXIT]);
	vmcs_write(VMCS_EPTP, 0x2000 | EPTP_WB_4_LEVELS);
	vmcs_write(VMCS_VPID, 1);
}

/* In long mode, as after the take-over. */
static struct guest_state long_mode(void)
{
	const struct segment data = {.selector = 0x30, .attributes = 0xc93, .limit = LIMIT_OF_ALL};

	return (struct guest_state){
		.efer = EFER_LME | EFER_LMA,
		.cr0 = CR0_PE | CR0_PG,
		.cr4 = CR4_PAE,
		.rflags = RFLAGS_FIXED,
		.pat = PAT_RESET,
		.rip = 0x100000,
		.cs = {.selector = 0x38, .attributes = 0xa9b, .limit = LIMIT_OF_ALL},
		.ss = data,
		.ds = data,
		.es = data,
		.ldtr = {.attributes = 0x82, .limit = 0xffff},
		.tr = {.attributes = 0x8b, .limit = 0xffff},
	};
}

static void start(const struct guest_state *g)
{
	write_controls();
	write_host();
	hv->set_state(self, g);
}

static void good_states(void **state)
{
	struct guest_state g = long_mode();

	(void)state;
	start(&g);
	assert_null(vmx_check(capability));
	state_reset(&g, 0x9a, 0);
	start(&g);
	assert_null(vmx_check(capability));
	/* with what the monitor does to it later */
	hv->step_begin(self);
	assert_null(vmx_check(capability));
	hv->step_end(self, true);
	arch.vcpu.event = VEC_NMI | EVENT_NMI | EVENT_VALID;
	hv->run(self);
	assert_null(vmx_check(capability));
	hv->catch_tables(self);
	hv->force_exit(self);
	assert_null(vmx_check(capability));
	/* an error code in real mode is left out by the entry */
	arch.vcpu.event = VEC_GP | EVENT_EXCEPTION | EVENT_VALID | EVENT_HAS_ERROR;
	hv->run(self);
	assert_int_equal(vmcs[VMCS_ENTRY_EVENT] & EVENT_HAS_ERROR, 0);
	assert_null(vmx_check(capability));
}

#define GUEST(what, n) VMCS_SEGMENT(VMCS_GUEST_##what, n)
#define NOT_CANONICAL  (1ull << 47)

static const struct {
	u32 field;
	u64 value;
	const char *says; /* in the name of the check */
} broken[] = {
	{VMCS_PIN_CONTROLS, PIN_VIRTUAL_NMIS, "PIN_NMI_EXITING"},
	{VMCS_CR3_TARGETS, 5, "CR3_TARGETS"},
	{VMCS_IO_BITMAP_A, 0x10, "IO_BITMAP_A"},
	{VMCS_IO_BITMAP_B, 0x10, "IO_BITMAP_B"},
	{VMCS_MSR_BITMAP, ~0xfffull, "MSR_BITMAP"},
	{VMCS_VPID, 0, "VPID"},
	{VMCS_CPU_CONTROLS_2, CPU2_UNRESTRICTED, "CPU2_UNRESTRICTED"},
	{VMCS_EPTP, 0x2000, "eptp"},
	{VMCS_EPTP, 0x2000 | 6 | 2 << 3, "eptp"},
	{VMCS_EXIT_CONTROLS, 0, "EXITC_HOST_64"},
	{VMCS_ENTRY_EVENT, EVENT_VALID | 1 << 8, "type != 1"},
	{VMCS_ENTRY_EVENT, EVENT_VALID | EVENT_NMI | 3, "VEC_NMI"},
	{VMCS_ENTRY_EVENT, EVENT_VALID | EVENT_EXCEPTION | 32, "vector <= 31"},
	{VMCS_ENTRY_EVENT, EVENT_VALID | EVENT_EXCEPTION | VEC_GP, "has_error_code"},
	{VMCS_ENTRY_EVENT, EVENT_VALID | EVENT_EXCEPTION | VEC_UD | EVENT_HAS_ERROR,
	 "has_error_code"},
	{VMCS_ENTRY_EVENT, EVENT_VALID | EVENT_NMI | VEC_NMI | NMI_UNBLOCKED, "0x7ffff000"},
	{VMCS_ENTRY_EVENT, EVENT_VALID | 0x30, "RFLAGS_IF"},
	{VMCS_HOST_CR0, 0x80010013, "HOST_CR0"},
	{VMCS_HOST_CR4, CR4_PAE, "cr4"},
	{VMCS_HOST_CR4, 1u << 13, "cr4 & CR4_PAE"},
	{VMCS_HOST_CR3, ~0ull, "HOST_CR3"},
	{VMCS_HOST_GS_BASE, NOT_CANONICAL, "addresses"},
	{VMCS_HOST_RIP, NOT_CANONICAL, "addresses"},
	{VMCS_HOST_PAT, 2, "HOST_PAT"},
	{VMCS_HOST_EFER, EFER_LME, "EFER_LMA"},
	{VMCS_HOST_SS, 3, "selectors"},
	{VMCS_HOST_CS, 0, "HOST_CS"},
	{VMCS_HOST_TR, 0, "HOST_TR"}, /* as the firmware's */
	{VMCS_GUEST_CR0, CR0_PE | CR0_PG, "cr0"},
	{VMCS_GUEST_CR0, CR0_PG | CR0_NE, "CR0_PE"},
	{VMCS_GUEST_CR4, 1u << 13, "CR4_PAE"},
	{VMCS_GUEST_CR4, CR4_PAE, "cr4"},
	{VMCS_GUEST_CR4, CR4_PAE | 1u << 13 | CR4_CET, "CR4_CET"},
	{VMCS_GUEST_CR3, ~0ull, "GUEST_CR3"},
	{VMCS_GUEST_DR7, 1ull << 32, "DR7"},
	{VMCS_GUEST_SYSENTER_ESP, NOT_CANONICAL, "SYSENTER_ESP"},
	{VMCS_GUEST_SYSENTER_EIP, NOT_CANONICAL, "SYSENTER_EIP"},
	{VMCS_GUEST_PAT, 0x303, "GUEST_PAT"},
	{VMCS_GUEST_EFER, EFER_LME | EFER_LMA | EFER_SVME, "EFER_SCE"},
	{VMCS_GUEST_EFER, EFER_LME, "long_mode"},
	{VMCS_GUEST_EFER, EFER_LMA, "EFER_LME"},
	{VMCS_ENTRY_CONTROLS, 0, "long_mode"},
	{GUEST(ATTRIBUTES, SEG_TR), 0x89, "tr"},
	{GUEST(ATTRIBUTES, SEG_TR), 0x1008b, "ATTRIBUTES_UNUSABLE"},
	{GUEST(ATTRIBUTES, SEG_TR), 0x800b, "RIGHTS_P"},
	{GUEST(LIMIT, SEG_TR), 0x100000, "has_limit(SEG_TR)"},
	{GUEST(SELECTOR, SEG_TR), 4, "SEG_TR"},
	{GUEST(BASE, SEG_TR), NOT_CANONICAL, "SEG_TR"},
	{GUEST(ATTRIBUTES, SEG_LDTR), 0x83, "ldtr"},
	{GUEST(BASE, SEG_LDTR), NOT_CANONICAL, "base_of(SEG_LDTR)"},
	{GUEST(SELECTOR, SEG_LDTR), 4, "SEG_LDTR"},
	{GUEST(LIMIT, SEG_LDTR), 0x100000, "has_limit(SEG_LDTR)"},
	{GUEST(ATTRIBUTES, SEG_CS), 0xa09a, "type == 3"},
	{GUEST(ATTRIBUTES, SEG_CS), 0xa08b, "RIGHTS_S"},
	{GUEST(ATTRIBUTES, SEG_CS), 0xa0fb, "RIGHTS_DPL"},
	{GUEST(ATTRIBUTES, SEG_CS), 0xa0f3, "type == 3, !RIGHTS_DPL"},
	{GUEST(ATTRIBUTES, SEG_CS), 0xa0ff, "type == 13"},
	{GUEST(ATTRIBUTES, SEG_CS), 0xe09b, "RIGHTS_DB"},
	{GUEST(LIMIT, SEG_CS), 0xfffff000, "has_limit(SEG_CS)"},
	{GUEST(BASE, SEG_CS), 1ull << 32, "SEG_CS"},
	{GUEST(ATTRIBUTES, SEG_SS), 0xc09b, "SEG_SS"},
	{GUEST(ATTRIBUTES, SEG_DS), 0xc092, "TYPE_ACCESSED"},
	{GUEST(ATTRIBUTES, SEG_ES), 0xc099, "TYPE_READ"},
	{GUEST(ATTRIBUTES, SEG_ES), 0xc083, "rights & RIGHTS_S"},
	{GUEST(LIMIT, SEG_ES), 0xfffff000, "has_limit(n)"},
	{GUEST(BASE, SEG_DS), 1ull << 32, "base_of"},
	{GUEST(BASE, SEG_GS), NOT_CANONICAL, "SEG_GS"},
	{VMCS_GUEST_GDTR_BASE, NOT_CANONICAL, "GDTR_BASE"},
	{VMCS_GUEST_IDTR_BASE, NOT_CANONICAL, "IDTR_BASE"},
	{VMCS_GUEST_GDTR_LIMIT, 0x10000, "GDTR_LIMIT"},
	{VMCS_GUEST_IDTR_LIMIT, 0x10000, "IDTR_LIMIT"},
	{VMCS_GUEST_RIP, NOT_CANONICAL, "rip"},
	{VMCS_GUEST_RFLAGS, 0, "rflags"},
	{VMCS_GUEST_RFLAGS, RFLAGS_FIXED | 1ull << 17, "RFLAGS_VM"},
	{VMCS_GUEST_ACTIVITY, 4, "ACTIVITY_LAST"},
	{VMCS_GUEST_INTERRUPTIBILITY, 1 << 5, "BLOCKED_DEFINED"},
	{VMCS_GUEST_INTERRUPTIBILITY, 3, "BLOCKED_BY_STI"},
	{VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI, "RFLAGS_IF"},
	{VMCS_GUEST_PENDING_DEBUG, 1 << 4, "pending"},
	{VMCS_LINK, 0, "LINK"},
};

#define MAX_CHECKS 200
static const char *seen[MAX_CHECKS]; /* the checks that have refused a state, by their names */
static u32 nr_seen;

static void note(const char *failed)
{
	assert_true(failed && nr_seen < MAX_CHECKS);
	seen[nr_seen++] = failed;
}

static const char *check(void)
{
	const char *failed = vmx_check(capability);

	if (failed)
		note(failed);
	return failed;
}

static void broken_states(void **state)
{
	struct guest_state g = long_mode();

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(broken); i++) {
		const char *failed;

		memset(vmcs, 0, sizeof(vmcs));
		start(&g);
		vmcs[broken[i].field] = broken[i].value;
		failed = check();
		if (!failed || !strstr(failed, broken[i].says))
			fail_msg("field %#x = %#llx: %s", broken[i].field,
				 (unsigned long long)broken[i].value, failed ? failed : "passes");
	}
}

/* States that are broken by several fields together. */
static const struct {
	struct {
		u32 field;
		u64 value;
	} set[3];
	const char *says;
} broken_together[] = {
	{{{VMCS_PIN_CONTROLS, PIN_NMI_EXITING}, {VMCS_CPU_CONTROLS, CPU_NMI_WINDOW_EXITING}},
	 "CPU_NMI_WINDOW_EXITING"},
	{{{VMCS_EXIT_STORE_COUNT, 1}, {VMCS_EXIT_STORE, 8}}, "EXIT_STORE"},
	{{{VMCS_EXIT_LOAD_COUNT, 1}, {VMCS_EXIT_LOAD, 8}}, "EXIT_LOAD"},
	{{{VMCS_ENTRY_LOAD_COUNT, 1}, {VMCS_ENTRY_LOAD, 8}}, "ENTRY_LOAD"},
	{{{VMCS_ENTRY_EVENT, EVENT_VALID | EVENT_EXCEPTION | VEC_GP | EVENT_HAS_ERROR},
	  {VMCS_ENTRY_ERROR, 0x10000}},
	 "ENTRY_ERROR"},
	{{{VMCS_ENTRY_CONTROLS, 0}, {VMCS_GUEST_CR4, 1u << 13 | CR4_PCIDE}}, "CR4_PCIDE"},
	{{{GUEST(ATTRIBUTES, SEG_CS), 0xa09f},
	  {GUEST(ATTRIBUTES, SEG_SS), 0xc0f3},
	  {VMCS_GUEST_ACTIVITY, 1}},
	 "ACTIVITY_HLT"},
	{{{VMCS_ENTRY_EVENT, EVENT_VALID | 0x30},
	  {VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_IF},
	  {VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS}},
	 "!EVENT_TYPE(event), !shadow"},
};

static void broken_in_several_fields(void **state)
{
	struct guest_state g = long_mode();

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(broken_together); i++) {
		const char *failed;

		memset(vmcs, 0, sizeof(vmcs));
		start(&g);
		for (u32 k = 0; k < 3 && broken_together[i].set[k].field; k++)
			vmcs[broken_together[i].set[k].field] = broken_together[i].set[k].value;
		failed = check();
		if (!failed || !strstr(failed, broken_together[i].says))
			fail_msg("%s: %s", broken_together[i].says, failed ? failed : "passes");
	}
}

/* A processor without one of the controls that are set, and one that demands another. */
static void capabilities(void **state)
{
	static const u32 fields[NR_VMX_CONTROLS] = {VMCS_PIN_CONTROLS, VMCS_CPU_CONTROLS,
						    VMCS_CPU_CONTROLS_2, VMCS_EXIT_CONTROLS,
						    VMCS_ENTRY_CONTROLS};
	struct guest_state g = long_mode();

	(void)state;
	start(&g);
	for (u32 f = 0; f < NR_VMX_CONTROLS; f++) {
		u64 others[NR_VMX_CONTROLS];
		u32 set = (u32)vmcs[fields[f]] & -(u32)vmcs[fields[f]];
		u32 clear = ~(u32)vmcs[fields[f]] & ((u32)vmcs[fields[f]] + 1);

		memcpy(others, capability, sizeof(others));
		others[f] &= ~((u64)set << 32);
		note(vmx_check(others));
		others[f] = capability[f] | clear;
		assert_non_null(vmx_check(others));
	}
	assert_null(vmx_check(capability));
}

/* What two fields say together. */
static void pairs(void **state)
{
	struct guest_state g = long_mode();
	const char *failed;

	(void)state;
	start(&g);
	vmcs[VMCS_ENTRY_EVENT] = EVENT_VALID | EVENT_NMI | VEC_NMI;
	assert_null(check());
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = BLOCKED_BY_NMI;
	failed = check();
	assert_true(failed && strstr(failed, "nmi"));
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = BLOCKED_BY_MOV_SS;
	failed = check();
	assert_true(failed && strstr(failed, "nmi"));

	vmcs[VMCS_ENTRY_EVENT] = 0;
	assert_null(check());
	vmcs[VMCS_GUEST_RFLAGS] |= RFLAGS_TF; /* the trap behind MOV SS must be pending */
	failed = check();
	assert_true(failed && strstr(failed, "PENDING_DEBUG_BS"));
	vmcs[VMCS_GUEST_PENDING_DEBUG] = PENDING_DEBUG_BS;
	assert_null(check());
	vmcs[VMCS_GUEST_ACTIVITY] = 1;
	failed = check();
	assert_true(failed && strstr(failed, "ACTIVITY_ACTIVE"));
}

/* The condition of the next CHECK() of the text, as the preprocessor makes a string of it. */
static const char *next_check(const char *at, char *name, size_t size)
{
	u32 depth = 1;
	size_t n = 0;

	at = strstr(at, "\tCHECK(");
	if (!at)
		return NULL;
	for (at += strlen("\tCHECK("); depth; at++) {
		depth += *at == '(';
		depth -= *at == ')';
		if (!strchr(" \t\n", *at))
			name[n++] = *at;
		else if (n && name[n - 1] != ' ')
			name[n++] = ' ';
		assert_true(n < size);
	}
	name[n - 1] = 0;
	return at;
}

/* Each check of the file has refused a state of the tests before. */
static void all_checks(void **state)
{
	static char text[32768], name[400];
	FILE *f = fopen("arch/x86/vmx/check.c", "r");
	const char *at = text;
	u32 checks = 0, missing = 0;

	(void)state;
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	while ((at = next_check(at, name, sizeof(name)))) {
		u32 i = 0;

		while (i < nr_seen && strcmp(seen[i], name))
			i++;
		checks++;
		missing += i == nr_seen;
		if (i == nr_seen)
			print_error("no state breaks: %s\n", name);
	}
	print_message("%u checks\n", checks);
	assert_int_equal(missing, 0);
	assert_true(checks > 50);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(good_states),	 T(broken_states), T(broken_in_several_fields),
		T(capabilities), T(pairs),	   T(all_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
