/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of the processor that the guest sees and may change, and the code that uses them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "arch/upcalls.h"
#include "core/cpu.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "../../arch/x86/apic.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/icr.h"
#include "../../arch/x86/mtrr.h"
#include "../../arch/x86/policy.h"

static struct boot_info info = {.local_apic = {0xfee00000}};
struct boot_info *machine = &info;
static struct arch_cpu arch;
static struct cpu cpu = {.arch = &arch}, *self = &cpu;

/* ---- what the code under test calls ---- */

#define MAX_CALLS 1024
static struct {
	u32 msr;
	bool read, write;
} bitmap[MAX_CALLS]; /* as it was programmed */
static u32 nr_bitmap;
static u32 hw_reads, hw_writes, faults, skips, icr_writes;
static u64 hw_value, hw_written;
static bool hw_has = true;

static void fake_intercept_msr(u32 msr, bool read, bool write)
{
	assert_true(nr_bitmap < MAX_CALLS);
	bitmap[nr_bitmap].msr = msr;
	bitmap[nr_bitmap].read = read;
	bitmap[nr_bitmap++].write = write;
}

static void fake_skip(struct cpu *c, u32 len)
{
	(void)c, (void)len;
	skips++;
}

static void fake_set_efer(struct cpu *c, u64 efer)
{
	c->arch->vcpu.efer = efer;
}

static void fake_set_lstar(struct cpu *c, u64 lstar)
{
	(void)c, (void)lstar;
}

static struct hv_ops ops = {
	.intercept_msr = fake_intercept_msr,
	.skip = fake_skip,
	.set_efer = fake_set_efer,
	.set_lstar = fake_set_lstar,
};
const struct hv_ops *hv = &ops;

int rdmsr_safe(u32 msr, u64 *value)
{
	(void)msr;
	hw_reads++;
	if (!hw_has)
		return -EIO;
	*value = hw_value;
	return 0;
}

int wrmsr_safe(u32 msr, u64 value)
{
	(void)msr;
	hw_writes++;
	hw_written = value;
	return hw_has ? 0 : -EIO;
}

static u32 noted;

void mtrr_note(u32 msr, u64 value)
{
	assert_int_equal(msr, MSR_MTRR_DEFAULT);
	assert_int_equal(value, 6);
	noted++;
}

void vcpu_inject_fault(struct cpu *c, u8 vector, bool has_error, u32 error)
{
	assert_ptr_equal(c, self);
	assert_int_equal(vector, VEC_GP);
	assert_true(has_error && !error);
	faults++;
}

u32 apic_read(enum apic_register r)
{
	(void)r;
	return 0;
}

void apic_write(enum apic_register r, u32 value)
{
	(void)r, (void)value;
}

bool apic_is_x2(void)
{
	return true;
}

bool icr_filter(struct cpu *c, u32 icr, u32 destination, bool x2)
{
	(void)c, (void)icr, (void)destination;
	assert_true(x2);
	icr_writes++;
	return false;
}

void kexec_entry(struct cpu *c, u64 va)
{
	(void)c, (void)va;
}

/* ---- MSRs ---- */

static int setup(void **state)
{
	(void)state;
	memset(&arch, 0, sizeof(arch));
	nr_bitmap = hw_reads = hw_writes = faults = skips = icr_writes = 0;
	hw_value = hw_written = 0;
	hw_has = true;
	return 0;
}

/* True if the guest's read, or write, came to its end, and it got no #GP. */
static bool guest_reads(u32 msr, u64 *value)
{
	struct vcpu *v = &arch.vcpu;

	faults = skips = 0;
	v->gpr[RCX] = msr;
	assert_int_equal(vcpu_rdmsr(self, 2), EXIT_SYSREG);
	assert_int_equal(faults + skips, 1);
	*value = v->gpr[RDX] << 32 | v->gpr[RAX];
	return skips;
}

static bool guest_writes(u32 msr, u64 value)
{
	struct vcpu *v = &arch.vcpu;

	faults = skips = 0;
	v->gpr[RCX] = msr;
	v->gpr[RAX] = (u32)value;
	v->gpr[RDX] = value >> 32;
	vcpu_wrmsr(self, 2);
	assert_int_equal(faults + skips, 1);
	return skips;
}

static void the_msrs_are_in_order(void **state)
{
	(void)state;
	for (u32 i = 0; i < nr_msr_rules; i++) {
		const struct msr_rule *r = &msr_rules[i];

		assert_true(r->first <= r->last);
		if (i)
			assert_true(msr_rules[i - 1].last < r->first);
		/* a policy has the function that it needs, and no other */
		assert_int_equal(r->read == MIRROR || r->read == EMULATE, r->get != NULL);
		assert_int_equal(r->write == MIRROR || r->write == EMULATE, r->set != NULL);
		assert_true(r->read != REFUSE);
		/* who cannot see it cannot write it */
		assert_int_equal(r->read == HIDE, r->write == HIDE);
		assert_true(r->read != PASS || r->write != PASS);
	}
}

/* Each MSR of the table as its policies need it, and none else: what was programmed last counts. */
static void check_bitmap(bool tsc_moved)
{
	u32 listed = 0, programmed = 0;

	for (u32 i = 0; i < nr_msr_rules; i++) {
		const struct msr_rule *r = &msr_rules[i];

		for (u32 msr = r->first; msr <= r->last; msr++, listed++) {
			bool read = false, write = false;

			for (u32 j = 0; j < nr_bitmap; j++) {
				if (bitmap[j].msr != msr)
					continue;
				programmed++;
				read = bitmap[j].read;
				write = bitmap[j].write;
			}
			assert_int_equal(read, msr_exits(r, false, tsc_moved));
			assert_int_equal(write, msr_exits(r, true, tsc_moved));
			/* an idle Linux reads it again and again */
			assert_true(msr != MSR_TSC_ADJUST || (read == tsc_moved && write));
		}
	}
	assert_int_equal(programmed, nr_bitmap);
	assert_true(listed <= nr_bitmap);
}

static void the_table_programs_the_bitmap(void **state)
{
	(void)state;
	msr_init();
	check_bitmap(false);
	printf("%u MSRs exit, of %u lines\n", nr_bitmap, nr_msr_rules);
	assert_true(guest_writes(MSR_TSC, 5));
	check_bitmap(true);
}

static void hidden_msrs_are_not_there(void **state)
{
	u64 value;

	(void)state;
	for (u32 i = 0; i < nr_msr_rules; i++) {
		const struct msr_rule *r = &msr_rules[i];

		for (u32 msr = r->first; msr <= r->last; msr++) {
			if (r->read == HIDE)
				assert_false(guest_reads(msr, &value));
			if (r->write == HIDE || r->write == REFUSE)
				assert_false(guest_writes(msr, 0));
		}
	}
	assert_int_equal(hw_reads + hw_writes, 0);
}

static void other_msrs_are_the_processor_s(void **state)
{
	static const u32 others[] = {0, MSR_PAT, 0x1d9, 0x6e1, MSR_STAR, 0xc0010044, 0x40000000};
	u64 value;

	(void)state;
	hw_value = 0x123456789abcdefull;
	for (u32 i = 0; i < ARRAY_SIZE(others); i++) {
		assert_true(guest_reads(others[i], &value));
		assert_int_equal(value, hw_value);
		assert_true(guest_writes(others[i], ~value));
		assert_int_equal(hw_written, ~value);
	}
	hw_has = false;
	assert_false(guest_reads(MSR_PAT, &value));
	assert_false(guest_writes(MSR_PAT, 0));
}

static void single_msrs(void **state)
{
	static const u32 constants[] = {MSR_SMRR,     MSR_TME,		MSR_IORR,     MSR_TOP_MEM,
					MSR_TOP_MEM2, MSR_SMI_IO,	MSR_SMM_BASE, MSR_SMM_CTL,
					MSR_SMM_KEY,  MSR_MMIO_CFG_BASE};
	u64 value;

	(void)state;
	/* locked, with nothing of VMX, whatever the firmware has left */
	hw_value = ~0ull;
	assert_true(guest_reads(MSR_FEATURE_CONTROL, &value));
	assert_int_equal(value & 0x6ffff, 1);
	assert_int_equal(value >> 19, ~0ull >> 19);
	/* SVM likewise */
	hw_value = 1 << 1;
	assert_true(guest_reads(MSR_VM_CR, &value));
	assert_int_equal(value, 1 << 1 | 1 << 3 | 1 << 4);
	assert_false(guest_writes(MSR_VM_CR, 0));
	/* encryption and what is memory stay, the rest does not matter */
	hw_value = 1 << 23;
	assert_true(guest_writes(MSR_SYSCFG, 1 << 23 | 1 << 19));
	assert_int_equal(hw_written, 1 << 23 | 1 << 19);
	hw_writes = 0;
	assert_false(guest_writes(MSR_SYSCFG, 0));
	assert_false(guest_writes(MSR_SYSCFG, 1 << 23 | 1 << 21));
	/* the firmware's */
	for (u32 i = 0; i < ARRAY_SIZE(constants); i++) {
		hw_value = 0x5000;
		assert_true(guest_reads(constants[i], &value));
		assert_int_equal(value, hw_value);
		assert_false(guest_writes(constants[i], hw_value));
	}
	/* microcode is written to nobody, without a fault */
	assert_true(guest_writes(MSR_PATCH_LOADER, 0x1000));
	assert_true(guest_writes(MSR_BIOS_UPDT_TRIG, 0x1000));
	assert_int_equal(hw_writes, 0);
	/* the local APIC stays where it is */
	assert_false(guest_writes(MSR_APIC_BASE, 0xfec00800));
	assert_int_equal(hw_writes, 0);
	/* and stays on, for NMIs */
	assert_true(guest_writes(MSR_APIC_BASE, 0xfee00000));
	assert_int_equal(hw_writes, 0);
	assert_true(guest_writes(MSR_APIC_BASE, 0xfee00c00));
	assert_true(guest_writes(MSR_X2APIC + APIC_ICR / 16, 0xc4500));
	assert_int_equal(icr_writes, 1);
	assert_int_equal(hw_writes, 1);
	/* reserved bits, as the processor refuses them */
	for (u32 bit = 0; bit < 32; bit++)
		assert_int_equal(guest_writes(MSR_X2APIC + APIC_ICR / 16, 1u << bit),
				 !(0xfff32000u >> bit & 1));
	assert_int_equal(hw_writes, 1);
	assert_false(guest_writes(MSR_LSTAR, 1ull << 48));
	assert_true(guest_writes(MSR_LSTAR, ~0ull << 47));
	/* MTRRs go to whom they matter to, and to the service CPU if the processor takes them */
	assert_true(guest_writes(MSR_MTRR_DEFAULT, 6));
	assert_int_equal(hw_writes, 2);
	assert_int_equal(noted, 1);
	hw_has = false;
	assert_false(guest_writes(MSR_MTRR_DEFAULT, 6));
	assert_int_equal(noted, 1);
	hw_has = true;
}

/* The deadline is in the machine's time, and 0 means none. */
static void the_deadline_follows_the_counter(void **state)
{
	u64 value;

	(void)state;
	arch.tsc_offset = 1000;
	assert_true(guest_writes(MSR_TSC_DEADLINE, 5000));
	assert_int_equal(hw_written, 4000);
	assert_true(guest_writes(MSR_TSC_DEADLINE, 0));
	assert_int_equal(hw_written, 0);
	hw_value = 4000;
	assert_true(guest_reads(MSR_TSC_DEADLINE, &value));
	assert_int_equal(value, 5000);
	hw_value = 0;
	assert_true(guest_reads(MSR_TSC_DEADLINE, &value));
	assert_int_equal(value, 0);
}

/* EFER has no bit that CPUID does not show: none of UAIE (AMD's tags in pointers). */
static void efer_goes_by_what_the_guest_sees(void **state)
{
	(void)state;
	arch.vcpu.efer = EFER_LME | EFER_LMA;
	assert_true(guest_writes(MSR_EFER, EFER_LME | EFER_SCE | EFER_NXE));
	assert_int_equal(arch.vcpu.efer, EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE);
	assert_false(guest_writes(MSR_EFER, EFER_LME | EFER_SVME));
	assert_false(guest_writes(MSR_EFER, EFER_LME | EFER_UAIE));
}

/* ---- CPUID ---- */

static u32 word(struct cpuid r, enum cpuid_register reg)
{
	const u32 words[] = {[A] = r.eax, [B] = r.ebx, [C] = r.ecx, [D] = r.edx};

	return words[reg];
}

/* A processor that has everything. */
static u32 shown(u32 leaf, u32 subleaf, enum cpuid_register reg)
{
	return word(cpuid_filter(leaf, subleaf, (struct cpuid){~0u, ~0u, ~0u, ~0u}, 0), reg);
}

static void the_words_are_in_order(void **state)
{
	(void)state;
	for (u32 i = 1; i < nr_cpuid_rules; i++) {
		const struct cpuid_rule *a = &cpuid_rules[i - 1], *b = a + 1;
		u64 key_a = (u64)a->leaf << 32 | a->subleaf << 2 | a->reg;
		u64 key_b = (u64)b->leaf << 32 | b->subleaf << 2 | b->reg;

		assert_true(key_a < key_b);
	}
}

/* Each bit of each word alone: it is there if the table has it, and then nothing else is changed.
 */
static void only_known_bits_are_shown(void **state)
{
	u32 hidden = 0;

	(void)state;
	for (u32 i = 0; i < nr_cpuid_rules; i++) {
		const struct cpuid_rule *r = &cpuid_rules[i];

		for (u32 bit = 0; bit < 32; bit++) {
			struct cpuid raw = {0};
			u32 *const reg[] = {&raw.eax, &raw.ebx, &raw.ecx, &raw.edx};

			if ((r->leaf == 1 && bit == 27) ||
			    (r->leaf == 7 && !r->subleaf && (r->reg == A || bit == 4)))
				continue; /* below */
			*reg[r->reg] = 1u << bit;
			raw = cpuid_filter(r->leaf, r->subleaf, raw, 0);
			assert_int_equal(word(raw, r->reg), r->show & 1u << bit);
			assert_int_equal(raw.eax | raw.ebx | raw.ecx | raw.edx,
					 r->show & 1u << bit);
			hidden += !(r->show >> bit & 1);
		}
	}
	printf("%u words, %u bits hidden\n", nr_cpuid_rules, hidden);
}

static void what_changes_events_is_hidden(void **state)
{
	static const struct {
		u32 leaf, subleaf;
		enum cpuid_register reg;
		u32 bit;
		const char *name;
	} features[] = {
		{7, 1, A, 17, "FRED"},
		{7, 1, A, 18, "LKGS"},
		{7, 1, A, 20, "NMI source"},
		{7, 1, A, 26, "LAM"},
		{7, 1, A, 27, "MSRLIST"},
		{7, 0, D, 5, "user interrupts"},
		{7, 1, D, 13, "user timer"},
		{7, 1, D, 17, "UIRET"},
		{7, 1, D, 15, "user MSR"},
		{7, 1, D, 21, "APX"},
		{7, 1, C, 4, "64-bit SIPI"},
		{7, 1, C, 5, "MSR_IMM"},
		{7, 0, C, 24, "bus lock"},
		{7, 0, B, 2, "SGX"},
		{7, 0, B, 25, "trace"},
		{7, 0, D, 18, "PCONFIG"},
		{1, 0, C, 2, "64-bit debug store"},
		{1, 0, C, 4, "debug store by CPL"},
		{1, 0, C, 5, "VMX"},
		{1, 0, D, 21, "debug store"},
		{1, 0, C, 6, "SMX"},
		{0x80000001, 0, C, 2, "SVM"},
		{0x80000001, 0, C, 12, "SKINIT"},
		{0x80000008, 0, B, 3, "INVLPGB"},
		{0x80000021, 0, A, 7, "UAI"},
		{7, 1, A, 9, "unknown"},
		{7, 2, D, 31, "unknown"},
		{7, 3, A, 0, "unknown"},
		{13, 0, A, 19, "APX state"},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(features); i++)
		if (shown(features[i].leaf, features[i].subleaf, features[i].reg) >>
			    features[i].bit &
		    1)
			fail_msg("%s is shown", features[i].name);
}

static void what_is_harmless_is_shown(void **state)
{
	(void)state;
	assert_true(shown(1, 0, C) & 1u << 21); /* x2APIC */
	assert_true(shown(1, 0, C) & 1u << 24); /* TSC deadline */
	assert_true(shown(7, 0, B) & 1u << 20); /* SMAP */
	assert_true(shown(7, 0, D) & 1u << 20); /* IBT */
	assert_true(shown(7, 1, A) & 1u << 6);	/* LASS */
	assert_int_equal(shown(2, 0, A), ~0u);
	assert_int_equal(shown(0x80000001, 0, D), ~0u);
	/* other leaves have no subleaves: whatever ECX holds, it is the same word */
	assert_int_equal(shown(1, 77, C), shown(1, 0, C));
	assert_int_equal(shown(0x80000001, 77, C), shown(0x80000001, 0, C));
}

static void hidden_leaves_are_empty(void **state)
{
	static const u32 leaves[] = {0x12, 0x14, 0x1b, 0x8000000a, 0x8000001f};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(leaves); i++)
		for (enum cpuid_register reg = A; reg <= D; reg++)
			assert_int_equal(shown(leaves[i], 0, reg), 0);
	assert_int_equal(shown(7, 0, A), 2); /* the last subleaf that is known */
	assert_int_equal(cpuid_filter(7, 0, (struct cpuid){.eax = 1}, 0).eax, 1);
}

static void two_bits_follow_cr4(void **state)
{
	const struct cpuid all = {~0u, ~0u, ~0u, ~0u}, none = {0};

	(void)state;
	assert_false(cpuid_filter(1, 0, all, 0).ecx & 1u << 27);
	assert_true(cpuid_filter(1, 0, none, CR4_OSXSAVE).ecx & 1u << 27);
	assert_false(cpuid_filter(7, 0, all, 0).ecx & 1u << 4);
	assert_true(cpuid_filter(7, 0, none, CR4_PKE).ecx & 1u << 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(the_msrs_are_in_order),
		T(the_table_programs_the_bitmap),
		T(hidden_msrs_are_not_there),
		T(other_msrs_are_the_processor_s),
		T(single_msrs),
		T(the_deadline_follows_the_counter),
		T(efer_goes_by_what_the_guest_sees),
		T(the_words_are_in_order),
		T(only_known_bits_are_shown),
		T(what_changes_events_is_hidden),
		T(what_is_harmless_is_shown),
		T(hidden_leaves_are_empty),
		T(two_bits_follow_cr4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
