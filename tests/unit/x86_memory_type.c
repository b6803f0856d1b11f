/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory types by MTRRs, and the format of EPT, which takes them into its leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "../../arch/x86/memory_type.h"
#include "../../arch/x86/vmx/vmx.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* As firmware sets it: all is write-back but for the hole for devices, and below 1 MiB the VGA's
 * memory; 5 GiB to 6 GiB is write-through too. */
static struct mtrr_state usual(void)
{
	struct mtrr_state s = {.on = true, .fixed_on = true, .default_type = TYPE_WB};

	memset(s.fixed, TYPE_WB, sizeof(s.fixed));
	for (u32 i = 16; i < 24; i++)
		s.fixed[i] = TYPE_UC; /* 640 KiB to 768 KiB, in ranges of 16 KiB from 512 KiB on */
	s.count = 2;
	s.range[0].base = 2 * GIB;
	s.range[0].mask = ~(2 * GIB - 1);
	s.range[0].size = 2 * GIB;
	s.range[0].type = TYPE_UC;
	s.range[1].base = 5 * GIB;
	s.range[1].mask = ~(GIB - 1);
	s.range[1].size = GIB;
	s.range[1].type = TYPE_WT;
	return s;
}

static void types(void **state)
{
	static const struct {
		u64 at, end;
		enum memory_type type;
	} list[] = {
		{0, 64 * KIB, TYPE_WB},
		{511 * KIB, 512 * KIB, TYPE_WB},
		{640 * KIB, 656 * KIB, TYPE_UC},
		{767 * KIB, 768 * KIB, TYPE_UC},
		{768 * KIB, 772 * KIB, TYPE_WB},
		{1023 * KIB, MIB, TYPE_WB},
		{MIB, 2 * GIB, TYPE_WB},
		{2 * GIB, 4 * GIB, TYPE_UC},
		{3 * GIB, 4 * GIB, TYPE_UC},
		{4 * GIB, 5 * GIB, TYPE_WB},
		{5 * GIB + MIB, 6 * GIB, TYPE_WT},
		{6 * GIB, UINT64_MAX, TYPE_WB},
	};
	struct mtrr_state s = usual();
	u64 end;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(list); i++) {
		assert_int_equal(mtrr_type(&s, list[i].at, &end), list[i].type);
		assert_int_equal(end, list[i].end);
	}
	/* ranges that overlap: write-through wins over write-back, and uncacheable over all */
	s.range[0].type = TYPE_WB;
	s.range[1].base = 2 * GIB;
	assert_int_equal(mtrr_type(&s, 2 * GIB, &end), TYPE_WT);
	assert_int_equal(end, 3 * GIB);
	s.range[0].type = TYPE_UC;
	assert_int_equal(mtrr_type(&s, 2 * GIB, &end), TYPE_UC);
	s.range[0].type = TYPE_WC;
	assert_int_equal(mtrr_type(&s, 2 * GIB, &end), TYPE_UC);
	/* off, all is uncacheable */
	s = (struct mtrr_state){.default_type = TYPE_UC};
	assert_int_equal(mtrr_type(&s, 0, &end), TYPE_UC);
	assert_int_equal(end, MIB);
	assert_int_equal(mtrr_type(&s, MIB, &end), TYPE_UC);
	assert_int_equal(end, UINT64_MAX);
}

static struct {
	u32 msr;
	u64 value;
} registers[40];

static u64 read_register(u32 msr)
{
	for (u32 i = 0; i < ARRAY_SIZE(registers); i++)
		if (registers[i].msr == msr)
			return registers[i].value;
	return 0;
}

static void set_register(u32 msr, u64 value)
{
	u32 i = 0;

	while (registers[i].msr && registers[i].msr != msr)
		i++;
	registers[i].msr = msr;
	registers[i].value = value;
}

/* SDM vol. 3, "IA32_MTRR_DEF_TYPE MSR", "Fixed Range MTRRs", "Variable Range MTRRs" */
static void registers_are_read(void **state)
{
	struct mtrr_state s;
	u64 end;

	(void)state;
	set_register(0xfe, 1 << 8 | 8);
	set_register(0x2ff, TYPE_WB);
	mtrr_decode(&s, read_register);
	assert_false(s.on); /* then nothing is cached */
	assert_int_equal(mtrr_type(&s, 0, &end), TYPE_UC);
	assert_int_equal(mtrr_type(&s, GIB, &end), TYPE_UC);
	set_register(0x2ff, TYPE_WB | 1 << 10 | 1 << 11);
	set_register(0x250, 0x0606060606060604);
	set_register(0x268, 0x0506060606060606);
	set_register(0x202, 2 * GIB | TYPE_WC);
	set_register(0x203, (0xfffffffffull & ~(GIB - 1)) | 1 << 11);
	set_register(0x204, 3 * GIB); /* its mask says that it is off */
	set_register(0x205, 0xfffffffffull & ~(GIB - 1));
	mtrr_decode(&s, read_register);
	assert_true(s.on && s.fixed_on);
	assert_int_equal(mtrr_type(&s, 0, &end), TYPE_WT);
	assert_int_equal(end, 64 * KIB);
	assert_int_equal(mtrr_type(&s, 64 * KIB, &end), TYPE_WB);
	assert_int_equal(mtrr_type(&s, 0xc7000, &end), TYPE_WP);
	assert_int_equal(mtrr_type(&s, 2 * GIB, &end), TYPE_WC);
	assert_int_equal(end, 3 * GIB);
	assert_int_equal(mtrr_type(&s, 3 * GIB, &end), TYPE_WB);
	set_register(0xfe, 1); /* only one pair, and no fixed ones */
	mtrr_decode(&s, read_register);
	assert_false(s.fixed_on);
	assert_int_equal(mtrr_type(&s, 2 * GIB, &end), TYPE_WB);
}

/* What the walker asks: whether it is plain memory, and how far. */
static void types_of_leaves(void **state)
{
	const struct pt_format *f = ept_format();
	const struct mtrr_state now = usual();
	u64 end;

	(void)state;
	memory_types_set(&now);
	ept_init(0, false, PT_SPLIT_LIVE);
	assert_int_equal(f->memory_type(0, &end), 0);
	assert_int_equal(end, 640 * KIB);
	assert_int_equal(f->memory_type(700 * KIB, &end), PT_DEVICE);
	assert_int_equal(end, 768 * KIB);
	assert_int_equal(f->memory_type(MIB, &end), 0);
	assert_int_equal(end, 2 * GIB);
	assert_int_equal(f->memory_type(5 * GIB, &end), PT_DEVICE);
	assert_int_equal(f->memory_type(7 * GIB, &end), 0);
	assert_int_equal(end, UINT64_MAX);
}

static void leaves(void **state)
{
	const struct pt_format *f = ept_format();
	const u32 all = PT_READ | PT_WRITE | PT_EXEC;

	(void)state;
	ept_init(EPT_CAP_1G, false, PT_SPLIT_LIVE);
	assert_int_equal(f->max_leaf_level, 1);
	assert_false(f->exec_only);
	ept_init(EPT_CAP_1G | EPT_CAP_EXEC_ONLY, true, PT_SPLIT_PAUSED);
	assert_int_equal(f->split, PT_SPLIT_PAUSED);
	assert_int_equal(f->max_leaf_level, 2);
	assert_true(f->exec_only);
	/* SDM vol. 3, tables of the entries: rights in bits 0 to 2, type in 3 to 5, large in 7 */
	assert_int_equal(f->make_leaf(0x5000, 0, all), 0x5037);
	assert_int_equal(f->make_leaf(0x200000, 1, all), 0x2000b7);
	assert_int_equal(f->make_leaf(0x5000, 0, PT_READ | PT_WRITE | PT_DEVICE), 0x5003);
	assert_int_equal(f->make_leaf(0x5000, 0, PT_EXEC), 0x5034);
	assert_int_equal(f->make_leaf(0x5000, 0, 0), 0);
	assert_int_equal(f->make_leaf(0x5000, 0, PT_DEVICE), 0);
	assert_int_equal(f->make_table(0x5000, 1), 0x5007);
	for (u32 attrs = 1; attrs < 16; attrs++) {
		u64 leaf = f->make_leaf(0x40000000, 2, attrs);
		/* written and not read would be a misconfiguration */
		u32 has = attrs & PT_WRITE ? attrs | PT_READ : attrs;

		if (!(attrs & all))
			continue;
		assert_true(f->present(leaf, 2) && f->leaf(leaf, 2));
		assert_int_equal(f->attrs(leaf, 2), has);
		assert_int_equal(f->addr(leaf, 2), 0x40000000);
	}
	assert_false(f->present(0x5030, 0));
	assert_false(f->leaf(f->make_table(0x5000, 1), 1));
}

/* ---- changes ---- */

static u32 changes;
static u64 changed[2]; /* begin and end of the last one */
static int change_result;

int stage2_retype(u64 begin, u64 end)
{
	changes++;
	changed[0] = begin;
	changed[1] = end;
	return change_result;
}

/* Stage 2 follows when the MTRRs are on, and what differs is told until it has. */
static void changes_of_the_guest(void **state)
{
	struct mtrr_state now = usual();
	const struct pt_format *f = ept_format();
	u64 end;

	(void)state;
	memory_types_set(&now);
	changes = 0;
	assert_false(memory_types_follow(&now));
	assert_int_equal(changes, 0);
	/* as a change begins: all is uncacheable for as long as it takes */
	now = (struct mtrr_state){.default_type = TYPE_UC};
	assert_false(memory_types_follow(&now));
	assert_int_equal(changes, 0);
	assert_int_equal(f->memory_type(MIB, &end), 0);
	/* the same types by other registers are no change */
	now = usual();
	now.range[now.count] = now.range[0];
	now.range[now.count++].type = TYPE_UC;
	assert_false(memory_types_follow(&now));
	assert_int_equal(changes, 0);
	/* memory becomes uncacheable; a CPU does not stop; then more does; then all stop */
	now = usual();
	now.range[now.count].base = GIB;
	now.range[now.count].mask = ~(GIB - 1);
	now.range[now.count].size = GIB;
	now.range[now.count++].type = TYPE_UC;
	change_result = -EAGAIN;
	assert_true(memory_types_follow(&now));
	assert_int_equal(changed[0], GIB);
	assert_int_equal(changed[1], 2 * GIB);
	assert_int_equal(f->memory_type(GIB, &end), PT_DEVICE);
	now.fixed[0] = TYPE_UC;
	assert_true(memory_types_follow(&now));
	assert_int_equal(changed[0], 0);
	assert_int_equal(changed[1], 2 * GIB);
	change_result = 0;
	assert_false(memory_types_follow(&now));
	assert_int_equal(changes, 3);
	assert_false(memory_types_follow(&now));
	assert_int_equal(changes, 3);
	/* what cannot be done is said once, and not tried for ever */
	now = usual();
	change_result = -ENOSPC;
	assert_false(memory_types_follow(&now));
	assert_int_equal(changed[1], 2 * GIB);
	assert_false(memory_types_follow(&now));
	assert_int_equal(changes, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types),
		cmocka_unit_test(registers_are_read),
		cmocka_unit_test(types_of_leaves),
		cmocka_unit_test(leaves),
		cmocka_unit_test(changes_of_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
