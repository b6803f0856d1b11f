/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses that stage 2 refuses and that cannot be carried out: the guest gets an exception. If
 * that cannot be delivered either, or the access was to the guest's page tables, the CPU shuts down
 * (triple fault), as on hardware. Writes to an interrupt controller.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/cpu.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "boot/boot.h"
#include "lib/string.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/icr.h"
#include "../../arch/x86/insn.h"
#include "../../arch/x86/ioapic.h"
#include "net/pci_guest.h"

static struct arch_cpu arch;
static struct cpu *self = &cpus[0];
static struct boot_info info = {.local_apic = {0xfee00000}};
struct boot_info *machine = &info;

static int injected;
static jmp_buf ended;

/* ---- what the code under test calls ---- */

struct cpu *cpu_this(void)
{
	return &cpus[0];
}

void vcpu_inject_fault(struct cpu *c, u8 vector, bool has_error, u32 error)
{
	assert_ptr_equal(c, self);
	assert_true(has_error);
	assert_int_equal(error, 0);
	injected = vector;
}

static u32 skipped, apic_writes, ioapic_writes;

static void fake_skip(struct cpu *c, u32 len)
{
	assert_ptr_equal(c, self);
	skipped += len;
}

static const struct hv_ops ops = {.skip = fake_skip};
const struct hv_ops *hv = &ops;

void vcpu_shutdown(struct cpu *c)
{
	assert_ptr_equal(c, self);
	longjmp(ended, 1);
}

static struct guest_insn *decoded; /* NULL: it cannot be decoded */

int vcpu_decode(struct cpu *c, struct guest_insn *insn)
{
	assert_ptr_equal(c, self);
	if (decoded)
		*insn = *decoded;
	return decoded ? 0 : -1;
}

enum guest_fault guest_fault(struct cpu *c, ipa_t ipa, u32 need, bool stepping)
{
	assert_ptr_equal(c, self);
	(void)need;
	assert_false(stepping);
	return ipa.v < 0x200000 ? GUEST_FAULT_HIDDEN : GUEST_FAULT_NOTHING;
}

void guest_fault_stepped(void)
{
	fail();
}

enum exit_class apic_guest_write(struct cpu *c, u32 offset, u32 value)
{
	assert_ptr_equal(c, self);
	assert_int_equal(offset, 0x80);
	assert_int_equal(value, 0x11);
	apic_writes++;
	return EXIT_IRQCHIP;
}

bool ioapic_covers(ipa_t ipa)
{
	return ALIGN_DOWN(ipa.v, PAGE_SIZE) == 0xfec00000;
}

void ioapic_guest_write(struct cpu *c, ipa_t ipa, u32 value)
{
	assert_ptr_equal(c, self);
	assert_int_equal(ipa.v, 0xfec00010);
	assert_int_equal(value, 0x11);
	ioapic_writes++;
}

u64 arch_time_us(void)
{
	return 1000;
}

bool pci_guest_covers(ipa_t ipa)
{
	return ipa.v >> 28 == 0xe;
}

static u32 config_size;

void pci_guest_write(ipa_t ipa, u32 size, u32 value)
{
	assert_int_equal(ipa.v, 0xe0008010);
	assert_int_equal(value, 0x11);
	config_size = size;
}

/* ---- the tests ---- */

static int setup(void **state)
{
	(void)state;
	self->arch = &arch;
	nr_cpus = 1;
	injected = -1;
	decoded = NULL;
	skipped = apic_writes = ioapic_writes = 0;
	return 0;
}

/* One exit; true if it was the last. */
static bool fault(struct stage2_fault f)
{
	if (setjmp(ended))
		return true;
	vcpu_stage2_fault(self, &f);
	return false;
}

static const struct stage2_fault faults[] = {
	{.ipa = {0x1000}, .fetch = true}, /* hidden */
	{.ipa = {0x1000}, .write = true},
	{.ipa = {0xfee00000}, .write = true}, /* the local APIC, by what cannot be decoded */
	{.ipa = {0xfec00010}, .write = true}, /* an IOAPIC, the same */
	{.ipa = {0x40000000}},		      /* nothing there */
};

static void writes_reach_their_controller(void **state)
{
	static struct guest_insn store = {.len = 3, .store = true, .size = 4, .value = 0x11};

	(void)state;
	decoded = &store;
	assert_false(fault((struct stage2_fault){.ipa = {0xfee00080}, .write = true}));
	assert_false(fault((struct stage2_fault){.ipa = {0xfec00010}, .write = true}));
	assert_int_equal(apic_writes, 1);
	assert_int_equal(ioapic_writes, 1);
	/* others than 32 bits, aligned, are dropped */
	assert_false(fault((struct stage2_fault){.ipa = {0xfec00012}, .write = true}));
	store.size = 2;
	assert_false(fault((struct stage2_fault){.ipa = {0xfec00010}, .write = true}));
	assert_false(fault((struct stage2_fault){.ipa = {0xfee00080}, .write = true}));
	assert_int_equal(apic_writes + ioapic_writes, 2);
	assert_int_equal(skipped, 15);
	/* PCI takes those of one, two and four bytes */
	for (store.size = 1; store.size <= 4; store.size *= 2) {
		assert_false(fault((struct stage2_fault){.ipa = {0xe0008010}, .write = true}));
		assert_int_equal(config_size, store.size);
	}
	assert_false(fault((struct stage2_fault){.ipa = {0xe0008010}, .write = true}));
	assert_int_equal(config_size, 4);
	assert_int_equal(skipped, 27);
	assert_int_equal(injected, -1);
}

static void the_guest_gets_an_exception(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(faults); i++) {
		assert_false(fault(faults[i]));
		assert_int_equal(injected, VEC_GP);
	}
}

/* Page tables in hidden memory, in an interrupt controller, where nothing is: at once. */
static void a_guest_without_tables_ends(void **state)
{
	static const u64 at[] = {0x1000, 0xfee00000, 0xfec00000, 0x40000000};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(at); i++)
		for (u32 write = 0; write < 2; write++) {
			assert_true(fault((struct stage2_fault){
				.ipa = {at[i]}, .write = i < 3 || write, .table_walk = true}));
			assert_int_equal(injected, -1);
		}
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_guest_gets_an_exception),
		T(a_guest_without_tables_ends),
		T(writes_reach_their_controller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
