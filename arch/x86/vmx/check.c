/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the processor checks at an entry, in the manual's order: "Checks on VMX Controls and
 * Host-State Area", "Checking and Loading Guest State". Checks of features whose controls the
 * monitor never sets are left out.
 */
#include "../insn.h"
#include "arch/pagetable.h"
#include "vmx.h"

/* The first check that fails ends the function, which returns its name. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return #condition;                                                         \
	} while (0)

#define IMPLIES(a, b) (!(a) || (b))

static bool is_canonical(u64 va)
{
	return (u64)((s64)(va << 16) >> 16) == va;
}

static bool is_page(u64 pa)
{
	return !(pa & (PAGE_SIZE - 1)) && pa < arch_physical_limit();
}

/* Each of the eight types is one that there is ("Page Attribute Table"). */
static bool is_pat(u64 pat)
{
	for (u32 i = 0; i < 8; i++) {
		u8 type = (u8)(pat >> 8 * i);

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

/* All bits that must be 1 are, and none that must be 0. */
static bool obeys(u64 value, u64 must, u64 may)
{
	return (value & must) == must && !(value & ~may);
}

static bool obeys_capability(u32 value, u64 capability)
{
	return obeys(value, (u32)capability, capability >> 32);
}

/* ---- controls ---- */

static const char *check_execution(const u64 *capability)
{
	u32 pin = (u32)vmcs_read(VMCS_PIN_CONTROLS), cpu = (u32)vmcs_read(VMCS_CPU_CONTROLS);
	u32 cpu2 = (u32)vmcs_read(VMCS_CPU_CONTROLS_2);
	u64 eptp = vmcs_read(VMCS_EPTP);

	CHECK(obeys_capability(pin, capability[VMX_PIN]));
	CHECK(obeys_capability(cpu, capability[VMX_CPU]));
	CHECK(obeys_capability(cpu2, capability[VMX_CPU2]));
	CHECK(vmcs_read(VMCS_CR3_TARGETS) <= 4);
	CHECK(IMPLIES(cpu & CPU_IO_BITMAPS, is_page(vmcs_read(VMCS_IO_BITMAP_A))));
	CHECK(IMPLIES(cpu & CPU_IO_BITMAPS, is_page(vmcs_read(VMCS_IO_BITMAP_B))));
	CHECK(IMPLIES(cpu & CPU_MSR_BITMAPS, is_page(vmcs_read(VMCS_MSR_BITMAP))));
	CHECK(IMPLIES(pin & PIN_VIRTUAL_NMIS, pin & PIN_NMI_EXITING));
	CHECK(IMPLIES(cpu & CPU_NMI_WINDOW_EXITING, pin & PIN_VIRTUAL_NMIS));
	CHECK(IMPLIES(cpu2 & CPU2_VPID, vmcs_read(VMCS_VPID)));
	CHECK(IMPLIES(cpu2 & CPU2_UNRESTRICTED, cpu2 & CPU2_EPT));
	CHECK((eptp & 7) == 6 && (eptp >> 3 & 7) == 3 && is_page(eptp & ~0xfffull));
	return NULL;
}

static bool is_area(u64 pa, u64 count)
{
	return !count ||
	       (!(pa & 15) && pa + count * sizeof(struct msr_entry) - 1 < arch_physical_limit());
}

static const char *check_exit_and_entry(const u64 *capability)
{
	u32 exit = (u32)vmcs_read(VMCS_EXIT_CONTROLS), entry = (u32)vmcs_read(VMCS_ENTRY_CONTROLS);

	CHECK(obeys_capability(exit, capability[VMX_EXIT]));
	CHECK(is_area(vmcs_read(VMCS_EXIT_STORE), vmcs_read(VMCS_EXIT_STORE_COUNT)));
	CHECK(is_area(vmcs_read(VMCS_EXIT_LOAD), vmcs_read(VMCS_EXIT_LOAD_COUNT)));
	CHECK(obeys_capability(entry, capability[VMX_ENTRY]));
	CHECK(is_area(vmcs_read(VMCS_ENTRY_LOAD), vmcs_read(VMCS_ENTRY_LOAD_COUNT)));
	return NULL;
}

static bool has_error_code(u8 vector)
{
	return (1u << VEC_DF | 0x1fu << VEC_TS | 1u << 17 | 1u << 21) >> (vector & 31) & 1;
}

static const char *check_event(void)
{
	u32 event = (u32)vmcs_read(VMCS_ENTRY_EVENT), type = EVENT_TYPE(event) >> 8;
	u8 vector = EVENT_VECTOR(event);
	bool real = !(vmcs_read(VMCS_GUEST_CR0) & CR0_PE);
	bool exception = EVENT_TYPE(event) == EVENT_EXCEPTION;

	if (!(event & EVENT_VALID))
		return NULL;
	CHECK(type != 1);
	CHECK(IMPLIES(EVENT_TYPE(event) == EVENT_NMI, vector == VEC_NMI));
	CHECK(IMPLIES(exception, vector <= 31));
	CHECK(!(event & EVENT_HAS_ERROR) == !(exception && has_error_code(vector) && !real));
	CHECK(!(event & 0x7ffff000u));
	CHECK(IMPLIES(event & EVENT_HAS_ERROR, !(vmcs_read(VMCS_ENTRY_ERROR) >> 16)));
	return NULL;
}

/* ---- host ---- */

static const char *check_host(void)
{
	static const u32 selectors[] = {VMCS_HOST_ES, VMCS_HOST_CS, VMCS_HOST_SS, VMCS_HOST_DS,
					VMCS_HOST_FS, VMCS_HOST_GS, VMCS_HOST_TR};
	static const u32 addresses[] = {VMCS_HOST_SYSENTER_ESP, VMCS_HOST_SYSENTER_EIP,
					VMCS_HOST_FS_BASE,	VMCS_HOST_GS_BASE,
					VMCS_HOST_TR_BASE,	VMCS_HOST_GDTR_BASE,
					VMCS_HOST_IDTR_BASE,	VMCS_HOST_RIP};
	u64 cr4 = vmcs_read(VMCS_HOST_CR4), efer = vmcs_read(VMCS_HOST_EFER);

	CHECK(obeys(vmcs_read(VMCS_HOST_CR0), vmx.cr_fixed0[0], vmx.cr_fixed1[0]));
	CHECK(obeys(cr4, vmx.cr_fixed0[1], vmx.cr_fixed1[1]));
	CHECK(vmcs_read(VMCS_HOST_CR3) < arch_physical_limit());
	for (u32 i = 0; i < ARRAY_SIZE(addresses); i++)
		CHECK(is_canonical(vmcs_read(addresses[i])));
	CHECK(is_pat(vmcs_read(VMCS_HOST_PAT)));
	CHECK((efer & EFER_LMA) && (efer & EFER_LME));
	for (u32 i = 0; i < ARRAY_SIZE(selectors); i++)
		CHECK(!(vmcs_read(selectors[i]) & 7));
	CHECK(vmcs_read(VMCS_HOST_CS));
	CHECK(vmcs_read(VMCS_HOST_TR));
	CHECK(vmcs_read(VMCS_EXIT_CONTROLS) & EXITC_HOST_64);
	CHECK(cr4 & CR4_PAE);
	return NULL;
}

/* ---- guest: registers ---- */

static const char *check_guest_registers(void)
{
	u64 cr0 = vmcs_read(VMCS_GUEST_CR0), cr4 = vmcs_read(VMCS_GUEST_CR4);
	u64 efer = vmcs_read(VMCS_GUEST_EFER);
	bool long_mode = vmcs_read(VMCS_ENTRY_CONTROLS) & ENTRYC_IA32E;

	CHECK(obeys(cr0, vmx.cr_fixed0[0] & ~(CR0_PE | CR0_PG), vmx.cr_fixed1[0]));
	CHECK(IMPLIES(cr0 & CR0_PG, cr0 & CR0_PE));
	CHECK(obeys(cr4, vmx.cr_fixed0[1], vmx.cr_fixed1[1]));
	CHECK(IMPLIES(cr4 & CR4_CET, cr0 & CR0_WP));
	CHECK(IMPLIES(long_mode, (cr0 & CR0_PG) && (cr4 & CR4_PAE)));
	CHECK(IMPLIES(!long_mode, !(cr4 & CR4_PCIDE)));
	CHECK(vmcs_read(VMCS_GUEST_CR3) < arch_physical_limit());
	CHECK(!(vmcs_read(VMCS_GUEST_DR7) >> 32));
	CHECK(is_canonical(vmcs_read(VMCS_GUEST_SYSENTER_ESP)));
	CHECK(is_canonical(vmcs_read(VMCS_GUEST_SYSENTER_EIP)));
	CHECK(is_pat(vmcs_read(VMCS_GUEST_PAT)));
	CHECK(!(efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)));
	CHECK(!(efer & EFER_LMA) == !long_mode);
	CHECK(IMPLIES(cr0 & CR0_PG, !(efer & EFER_LMA) == !(efer & EFER_LME)));
	return NULL;
}

/* ---- guest: segments ---- */

#define RIGHTS_TYPE(r) ((r)&0xf)
#define RIGHTS_DPL(r)  ((r) >> 5 & 3)
#define RIGHTS_S       (1u << 4)
#define RIGHTS_P       (1u << 7)
#define RIGHTS_L       (1u << 13)
#define RIGHTS_DB      (1u << 14)
#define RIGHTS_G       (1u << 15)
#define RFLAGS_VM      (1ull << 17)
#define TYPE_ACCESSED  1u
#define TYPE_CODE      8u
#define TYPE_READ      2u

static u32 rights_of(enum vmcs_segment n)
{
	return (u32)vmcs_read(VMCS_SEGMENT(VMCS_GUEST_ATTRIBUTES, n));
}

static u64 base_of(enum vmcs_segment n)
{
	return vmcs_read(VMCS_SEGMENT(VMCS_GUEST_BASE, n));
}

/* The limit fits the granularity: all low bits are set, or it has no high ones. */
static bool has_limit(enum vmcs_segment n)
{
	u64 limit = vmcs_read(VMCS_SEGMENT(VMCS_GUEST_LIMIT, n));
	bool pages = rights_of(n) & RIGHTS_G;

	return pages ? (limit & 0xfff) == 0xfff : !(limit >> 20);
}

static const char *check_code_segment(void)
{
	u32 cs = rights_of(SEG_CS), type = RIGHTS_TYPE(cs), ss = rights_of(SEG_SS);
	bool long_mode = vmcs_read(VMCS_ENTRY_CONTROLS) & ENTRYC_IA32E;

	/* type 3, of data: an unrestricted guest in real mode */
	CHECK(type == 3 || (type & (TYPE_CODE | TYPE_ACCESSED)) == (TYPE_CODE | TYPE_ACCESSED));
	CHECK((cs & RIGHTS_S) && (cs & RIGHTS_P));
	CHECK(IMPLIES(type == 3, !RIGHTS_DPL(cs)));
	CHECK(IMPLIES(type == 9 || type == 11, RIGHTS_DPL(cs) == RIGHTS_DPL(ss)));
	CHECK(IMPLIES(type == 13 || type == 15, RIGHTS_DPL(cs) <= RIGHTS_DPL(ss)));
	CHECK(IMPLIES(long_mode && (cs & RIGHTS_L), !(cs & RIGHTS_DB)));
	CHECK(has_limit(SEG_CS));
	CHECK(!(base_of(SEG_CS) >> 32));
	return NULL;
}

static const char *check_data_segment(enum vmcs_segment n)
{
	u32 rights = rights_of(n), type = RIGHTS_TYPE(rights);

	CHECK(IMPLIES(n == SEG_FS || n == SEG_GS, is_canonical(base_of(n))));
	if (rights & ATTRIBUTES_UNUSABLE)
		return NULL;
	CHECK(type & TYPE_ACCESSED);
	CHECK(IMPLIES(type & TYPE_CODE, type & TYPE_READ));
	CHECK(IMPLIES(n == SEG_SS, type == 3 || type == 7));
	CHECK((rights & RIGHTS_S) && (rights & RIGHTS_P));
	CHECK(has_limit(n));
	CHECK(IMPLIES(n != SEG_FS && n != SEG_GS, !(base_of(n) >> 32)));
	return NULL;
}

static const char *check_system_segments(void)
{
	u32 tr = rights_of(SEG_TR), ldtr = rights_of(SEG_LDTR);
	bool long_mode = vmcs_read(VMCS_ENTRY_CONTROLS) & ENTRYC_IA32E;

	CHECK(is_canonical(base_of(SEG_TR)));
	CHECK(RIGHTS_TYPE(tr) == 11 || (!long_mode && RIGHTS_TYPE(tr) == 3));
	CHECK(!(tr & RIGHTS_S) && (tr & RIGHTS_P) && !(tr & ATTRIBUTES_UNUSABLE));
	CHECK(!(vmcs_read(VMCS_SEGMENT(VMCS_GUEST_SELECTOR, SEG_TR)) & 4));
	CHECK(has_limit(SEG_TR));
	if (ldtr & ATTRIBUTES_UNUSABLE)
		return NULL;
	CHECK(is_canonical(base_of(SEG_LDTR)));
	CHECK(RIGHTS_TYPE(ldtr) == 2 && !(ldtr & RIGHTS_S) && (ldtr & RIGHTS_P));
	CHECK(!(vmcs_read(VMCS_SEGMENT(VMCS_GUEST_SELECTOR, SEG_LDTR)) & 4));
	CHECK(has_limit(SEG_LDTR));
	return NULL;
}

static const char *check_segments(void)
{
	static const enum vmcs_segment data[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};
	const char *failed = check_system_segments();

	/* of virtual-8086 mode the processor sets all of them */
	if (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_VM)
		return failed;
	if (!failed)
		failed = check_code_segment();
	for (u32 i = 0; i < ARRAY_SIZE(data) && !failed; i++)
		failed = check_data_segment(data[i]);
	return failed;
}

/* ---- guest: the rest ---- */

static const char *check_rip_and_tables(void)
{
	u64 rflags = vmcs_read(VMCS_GUEST_RFLAGS), rip = vmcs_read(VMCS_GUEST_RIP);
	u32 event = (u32)vmcs_read(VMCS_ENTRY_EVENT);
	bool long_mode = vmcs_read(VMCS_ENTRY_CONTROLS) & ENTRYC_IA32E;
	bool interrupt = (event & EVENT_VALID) && !EVENT_TYPE(event);

	CHECK(is_canonical(vmcs_read(VMCS_GUEST_GDTR_BASE)));
	CHECK(is_canonical(vmcs_read(VMCS_GUEST_IDTR_BASE)));
	CHECK(!(vmcs_read(VMCS_GUEST_GDTR_LIMIT) >> 16));
	CHECK(!(vmcs_read(VMCS_GUEST_IDTR_LIMIT) >> 16));
	CHECK(long_mode && (rights_of(SEG_CS) & RIGHTS_L) ? is_canonical(rip) : !(rip >> 32));
	CHECK((rflags & RFLAGS_FIXED) && !(rflags & ~0x3f7fd7ull));
	CHECK(IMPLIES(rflags & RFLAGS_VM, !long_mode && vmcs_read(VMCS_GUEST_CR0) & CR0_PE));
	CHECK(IMPLIES(interrupt, rflags & RFLAGS_IF));
	return NULL;
}

#define ACTIVITY_HLT	1
#define ACTIVITY_LAST	3
#define BLOCKED_DEFINED 0x1fu

static const char *check_non_register_state(void)
{
	u64 activity = vmcs_read(VMCS_GUEST_ACTIVITY),
	    blocked = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
	u64 rflags = vmcs_read(VMCS_GUEST_RFLAGS), pending = vmcs_read(VMCS_GUEST_PENDING_DEBUG);
	u32 event = (u32)vmcs_read(VMCS_ENTRY_EVENT);
	bool given = event & EVENT_VALID, nmi = given && EVENT_TYPE(event) == EVENT_NMI;
	bool stepped = (rflags & RFLAGS_TF) && !(vmcs_read(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF);
	u64 shadow = blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);

	CHECK(activity <= ACTIVITY_LAST);
	CHECK(IMPLIES(activity == ACTIVITY_HLT, !RIGHTS_DPL(rights_of(SEG_SS))));
	CHECK(IMPLIES(shadow, activity == ACTIVITY_ACTIVE));
	CHECK(!(blocked & ~(u64)BLOCKED_DEFINED));
	CHECK(shadow != (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
	CHECK(IMPLIES(blocked & BLOCKED_BY_STI, rflags & RFLAGS_IF));
	CHECK(IMPLIES(given && !EVENT_TYPE(event), !shadow));
	CHECK(IMPLIES(nmi, !shadow && !(blocked & BLOCKED_BY_NMI)));
	CHECK(!(pending & ~0x1500full));
	CHECK(IMPLIES(shadow || activity == ACTIVITY_HLT,
		      !(pending & PENDING_DEBUG_BS) == !stepped));
	CHECK(vmcs_read(VMCS_LINK) == ~0ull);
	return NULL;
}

const char *vmx_check(const u64 *capability)
{
	const char *failed = check_execution(capability);

	if (!failed)
		failed = check_exit_and_entry(capability);
	if (!failed)
		failed = check_event();
	if (!failed)
		failed = check_host();
	if (!failed)
		failed = check_guest_registers();
	if (!failed)
		failed = check_segments();
	if (!failed)
		failed = check_rip_and_tables();
	return failed ? failed : check_non_register_state();
}
