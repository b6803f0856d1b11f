/* SPDX-License-Identifier: BSD-2-Clause */
/* Who calls what in an arm64 Image and module, as `suture build` looks at it. */
#include "../../ctl/refs.h"
#include "../../ctl/refs_scan.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <suture/bundle.h>

#define SIZE	 0x40000u
#define BASE	 0xffff800008000000ull
#define STEXT	 0x10000u
#define ETEXT	 0x20000u
#define RODATA	 0x22000u
#define INITTEXT 0x28000u
#define INITEND	 0x2a000u
#define MCOUNT	 0x2b000u
#define SITES	 1200u
#define RELA	 0x30000u
#define FUNC	 0x18000u

static unsigned char bytes[SIZE];
static size_t nr_relocations;

/* ---- what of ctl/kallsyms.c is called ---- */

uint64_t kallsyms_address(const struct kallsyms *k, const char *name)
{
	static const struct {
		const char *name;
		uint64_t at;
	} syms[] = {{"_stext", STEXT},
		    {"_etext", ETEXT},
		    {"_sinittext", INITTEXT},
		    {"_einittext", INITEND}};

	(void)k;
	for (size_t i = 0; i < sizeof(syms) / sizeof(syms[0]); i++)
		if (!strcmp(syms[i].name, name))
			return syms[i].at;
	return 0;
}

/* ---- a made-up Image ---- */

static void put32(size_t at, uint32_t word)
{
	memcpy(bytes + at, &word, sizeof(word));
}

static void put_relocation(uint64_t place, uint64_t to)
{
	Elf64_Rela rela = {BASE + place, R_AARCH64_RELATIVE, (int64_t)(BASE + to)};

	memcpy(bytes + RELA + nr_relocations++ * sizeof(rela), &rela, sizeof(rela));
}

/* The list of ftrace's sites has all functions, init code among them. */
static int setup(void **state)
{
	(void)state;
	memset(bytes, 0, sizeof(bytes));
	nr_relocations = 0;
	for (unsigned i = 0; i < SITES; i++)
		put_relocation(MCOUNT + 8ull * i, i == 600 ? FUNC
						  : i % 7  ? STEXT + 16 * i
							   : INITTEXT + 4 * i);
	return 0;
}

static unsigned refs, branches, inits;
static uint64_t last;

static void take(void *data, unsigned target, const struct ref *ref)
{
	(void)data, (void)target;
	refs++;
	branches += ref->branch;
	inits += ref->init;
	last = ref->place;
}

static int look(void)
{
	struct kernel k = {.image = {.data = bytes, .size = SIZE, .machine = SUTURE_MACHINE_ARM64}};
	const uint64_t target = FUNC;
	struct areas a;
	int err = areas_of_kernel(&a, &k);

	refs = branches = inits = 0;
	last = 0;
	if (!err)
		refs_find(&a, &target, 1, take, NULL);
	areas_free(&a);
	return err;
}

static void assert_found(uint64_t place, bool branch, bool init)
{
	assert_int_equal(look(), 0);
	assert_int_equal(refs, 1);
	assert_int_equal(last, place);
	assert_int_equal(branches, branch);
	assert_int_equal(inits, init);
}

static void the_list_of_sites_is_no_caller(void **state)
{
	(void)state;
	assert_int_equal(look(), 0);
	assert_int_equal(refs, 0);
}

static void branches_of_all_kinds(void **state)
{
	static const struct {
		uint32_t insn;
		unsigned low, bits;
	} kinds[] = {
		{0x94000000, 0, 26}, /* BL */
		{0x14000000, 0, 26}, /* B */
		{0x54000001, 5, 19}, /* B.NE */
		{0xb4000003, 5, 19}, /* CBZ */
		{0x35000003, 5, 19}, /* CBNZ */
		{0x37080003, 5, 14}, /* TBNZ */
	};
	static const uint32_t places[] = {FUNC - 0x7ffc, FUNC + 0x7ffc};

	(void)state;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (unsigned j = 0; j < 2; j++) {
			uint32_t away = (FUNC - places[j]) / 4 & ((1u << kinds[i].bits) - 1);

			put32(places[j], kinds[i].insn | away << kinds[i].low);
			assert_found(places[j], true, false);
			put32(places[j], 0);
		}
	}
	/* a function that is called once, when the kernel starts */
	put32(INITTEXT + 64, 0x94000000 | ((FUNC - (INITTEXT + 64)) / 4 & 0x3ffffff));
	assert_found(INITTEXT + 64, true, true);
}

static void addresses_that_are_formed(void **state)
{
	const uint32_t at = STEXT + 0x2000;

	(void)state;
	/* ADRP X3; ADD X0, X3, #0; six pages on */
	put32(at, 0x90000003 | (6u & 3) << 29 | (6u >> 2) << 5);
	assert_int_equal(look(), 0);
	assert_int_equal(refs, 0);
	put32(at + 24, 0x91000000 | 3 << 5);
	assert_found(at + 24, false, false);
	/* another register's */
	put32(at + 24, 0x91000000 | 4 << 5);
	assert_int_equal(look(), 0);
	assert_int_equal(refs, 0);
	put32(at + 24, 0);
	/* ADR, backwards: 0x600c bytes */
	put32(FUNC + 0x600c,
	      0x10000007 | ((-0x600cu & 3) << 29) | ((-0x600cu >> 2 & 0x7ffff) << 5));
	assert_found(FUNC + 0x600c, false, false);
}

static void addresses_in_data(void **state)
{
	uint32_t distance = FUNC - (RODATA + 0x104);

	(void)state;
	put_relocation(RODATA + 0x40, FUNC);
	assert_found(RODATA + 0x40, false, false);
	nr_relocations--;
	memset(bytes + RELA + nr_relocations * 24, 0, 24);
	put32(RODATA + 0x104, distance); /* as exports have it */
	assert_found(RODATA + 0x104, false, false);
}

static void an_image_without_relocations(void **state)
{
	(void)state;
	memset(bytes + RELA, 0, SIZE - RELA);
	assert_int_equal(look(), -1);
}

/* ---- modules ---- */

static void relocations_of_modules(void **state)
{
	const uint64_t base = 0xffffffffa0000000, to = base + 0x5678;
	struct area a = {.data = bytes, .size = 64, .address = base, .code = true};
	const struct {
		unsigned type;
		uint32_t insn, want;
	} kinds[] = {
		{R_AARCH64_CALL26, 0x94000000, 0x94000000 | 0x5678 / 4},
		{R_AARCH64_JUMP26, 0x14000000, 0x14000000 | 0x5678 / 4},
		{R_AARCH64_ADR_PREL_PG_HI21, 0x90000003, 0xb0000003 | 1 << 5},
		{R_AARCH64_ADD_ABS_LO12_NC, 0x91000063, 0x91000063 | 0x678 << 10},
		{R_AARCH64_PREL32, 0, 0x5678},
		{R_AARCH64_ABS64, 0, (uint32_t)to},
		{R_AARCH64_NONE, 0x11, 0x11},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		GElf_Rela r = {.r_info = GELF_R_INFO(0, kinds[i].type)};
		uint32_t got;

		put32(0, kinds[i].insn);
		refs_arm64_relocate(&a, &r, to);
		memcpy(&got, bytes, sizeof(got));
		assert_int_equal(got, kinds[i].want);
		put32(64, 0x11111111);
		r.r_offset = 61;
		refs_arm64_relocate(&a, &r, to);
		memcpy(&got, bytes + 64, sizeof(got));
		assert_int_equal(got, 0x11111111);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_list_of_sites_is_no_caller, setup),
		cmocka_unit_test_setup(branches_of_all_kinds, setup),
		cmocka_unit_test_setup(addresses_that_are_formed, setup),
		cmocka_unit_test_setup(addresses_in_data, setup),
		cmocka_unit_test_setup(an_image_without_relocations, setup),
		cmocka_unit_test_setup(relocations_of_modules, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
