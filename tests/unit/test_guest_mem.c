/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest RAM, and translation through the guest's own tables. */
#include "synthetic.h"
#include "guest/mem.h"

static bool is_ram(u64 base, u64 len)
{
	return guest_is_ram(IPA(base), len);
}

/* ---- RAM ---- */

static void ram_ranges_merge_in_any_order(void **state)
{
	const struct guest_ram map[] = {
		{0x100000, 0x3000}, {0x0, 0x9f000}, {0x103000, 0x1000}, {0x800000, 0x1000}};

	(void)state;
	assert_int_equal(guest_mem_init(map, 4, 0, 0), 0);
	assert_true(is_ram(0, 0x9f000));
	assert_false(is_ram(0, 0x9f001));
	assert_false(is_ram(0x9f000, 1));
	assert_true(is_ram(0x102ff8, 16)); /* across two ranges that touch */
	assert_true(is_ram(0x100000, 0x4000));
	assert_false(is_ram(0x103fff, 2));
	assert_true(is_ram(0x800fff, 1));
	assert_false(is_ram(0x801000, 1));
	assert_false(is_ram(~0ull, 2));
	assert_false(is_ram(0x800000, ~0ull));
}

static void parts_of_pages_are_not_ram(void **state)
{
	const struct guest_ram map[] = {{0x1800, 0x1000}, {0x5800, 0x2000}};

	(void)state;
	assert_int_equal(guest_mem_init(map, 2, 0, 0), 0);
	assert_false(is_ram(0x1800, 1));
	assert_false(is_ram(0x2000, 1));
	assert_true(is_ram(0x6000, 0x1000));
	assert_false(is_ram(0x7000, 1));
}

static void hidden_memory_is_not_ram(void **state)
{
	const struct guest_ram map[] = {{0x0, 0x100000}, {0x200000, 0x100000}};

	(void)state;
	/* in the middle */
	assert_int_equal(guest_mem_init(map, 2, 0x40000, 0x10000), 0);
	assert_true(is_ram(0, 0x40000));
	assert_false(is_ram(0x3ffff, 2));
	assert_false(is_ram(0x40000, 1));
	assert_false(is_ram(0x4ffff, 1));
	assert_true(is_ram(0x50000, 0xb0000));
	assert_true(is_ram(0x200000, 0x100000));
	/* over the end of one and the start of the next */
	assert_int_equal(guest_mem_init(map, 2, 0xf0000, 0x120000), 0);
	assert_true(is_ram(0, 0xf0000));
	assert_false(is_ram(0xf0000, 1));
	assert_false(is_ram(0x20ffff, 1));
	assert_true(is_ram(0x210000, 0xf0000));
	/* a whole range */
	assert_int_equal(guest_mem_init(map, 2, 0x200000, 0x100000), 0);
	assert_false(is_ram(0x280000, 1));
	assert_true(is_ram(0xfffff, 1));
	/* pages of the monitor's elsewhere */
	guest_ram_hide(0, 0x1000);
	guest_ram_hide(0xf000, 0x10000);
	assert_false(is_ram(0xfff, 1));
	assert_true(is_ram(0x1000, 0xe000));
	assert_false(is_ram(0xefff, 2));
	assert_true(is_ram(0x10000, 0x1000));
}

static void bad_maps_are_refused(void **state)
{
	const struct guest_ram overflow = {~0ull - 0x1000, 0x10000};
	struct guest_ram many[GUEST_MAX_RAM + 1];

	(void)state;
	assert_int_equal(guest_mem_init(&overflow, 1, 0, 0), -EINVAL);
	for (u32 i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct guest_ram){i * 0x2000, 0x1000};
	assert_int_equal(guest_mem_init(many, GUEST_MAX_RAM, 0, 0), 0);
	assert_int_equal(guest_mem_init(many, GUEST_MAX_RAM + 1, 0, 0), -ENOSPC);
}

static void copies_stay_in_ram(void **state)
{
	u64 end = FAKE_RAM_BASE + FAKE_GUEST_RAM_SIZE;
	u8 in[16], out[16];

	(void)state;
	syn_new(1);
	memset(out, 0x5a, sizeof(out));
	assert_int_equal(guest_write_ipa(IPA(end - 16), out, 16), 0);
	assert_int_equal(guest_read_ipa(IPA(end - 16), in, 16), 0);
	assert_memory_equal(in, out, 16);
	assert_int_equal(guest_write_ipa(IPA(end - 8), out, 16), -EFAULT);
	assert_int_equal(guest_read_ipa(IPA(end - 8), in, 16), -EFAULT);
	assert_int_equal(guest_read_ipa(IPA(FAKE_POOL_BASE), in, 1), -EFAULT);
	assert_int_equal(guest_read_ipa(IPA(0), in, 1), -EFAULT);
	assert_int_equal(guest_read_ipa(IPA(~0ull - 4), in, 16), -EFAULT);
}

/* ---- translation ---- */

static void walks_tables_of(u32 levels)
{
	char why[128];
	u64 va, word;
	ipa_t ipa;

	syn_new_unregistered(1, levels);
	va = syn_vmap(2 * PAGE_SIZE);
	assert_int_equal(guest_translate(GVA(va), &ipa), -EFAULT); /* nothing is registered */
	assert_int_equal(guest_kernel_register(&syn.hello, why, sizeof(why)), 0);

	syn_set(va + 0xff8, 0x1122334455667788);
	syn_set(va + 0x1000, 0x99aabbccddeeff00);
	assert_int_equal(guest_translate(GVA(va + 0xff9), &ipa), 0);
	assert_ptr_equal(arch_ptr(PA(ipa.v)), (u8 *)syn_at(va + 0xff8) + 1);
	assert_int_equal(guest_read_u64(GVA(va + 0xffc), &word), 0); /* across two pages */
	assert_int_equal(word, 0xddeeff0011223344);
	assert_int_equal(guest_read_u64(GVA(va + 0x1ffc), &word), -EFAULT); /* into the guard */
	assert_int_equal(guest_read_u64(GVA(va - 4), &word), -EFAULT);
}

static void tables_of_four_levels(void **state)
{
	(void)state;
	walks_tables_of(4);
}

static void tables_of_five_levels(void **state)
{
	(void)state;
	walks_tables_of(5);
}

static void large_leaves(void **state)
{
	ipa_t ipa;
	size_t left;

	(void)state;
	syn_new(1);
	assert_int_equal(guest_translate(GVA(SYN_DIRECT + FAKE_RAM_BASE + 0x212345), &ipa), 0);
	assert_int_equal(ipa.v, FAKE_RAM_BASE + 0x212345);
	assert_non_null(guest_at(GVA(SYN_DIRECT + FAKE_RAM_BASE + 0x212345), &left));
	assert_int_equal(left, 0x200000 - 0x12345);
	assert_non_null(guest_at(GVA(SYN_TEXT + 0x123), &left));
	assert_int_equal(left, 0x1000 - 0x123);
}

static void addresses_of_user_mode_are_refused(void **state)
{
	ipa_t ipa;

	(void)state;
	syn_new(1);
	fake_map(syn.root, 4, 0x400000, IPA(FAKE_RAM_BASE), PAGE_SIZE, PT_READ, 0);
	assert_int_equal(guest_translate(GVA(0x400000), &ipa), -EFAULT);
	assert_int_equal(guest_translate(GVA(0x0000888000000000), &ipa), -EFAULT);
	assert_int_equal(guest_translate(GVA(0x8000888000000000), &ipa), -EFAULT);
}

static void what_is_not_ram_is_refused(void **state)
{
	u64 va = SYN_VMAP + (1ull << 36);
	const struct guest_ram ram = {FAKE_RAM_BASE, FAKE_GUEST_RAM_SIZE};
	size_t left;
	u64 word;

	(void)state;
	syn_new(1);
	/* a page of the monitor, and one that is no RAM */
	fake_map(syn.root, 4, va, IPA(FAKE_POOL_BASE), PAGE_SIZE, PT_READ, 0);
	fake_map(syn.root, 4, va + PAGE_SIZE, IPA(0x1000), PAGE_SIZE, PT_READ, 0);
	assert_int_equal(guest_read_u64(GVA(va), &word), -EFAULT);
	assert_int_equal(guest_read_u64(GVA(va + PAGE_SIZE), &word), -EFAULT);
	assert_null(guest_at(GVA(va), &left));
	/* a large page that is RAM only in part is used by its small pages */
	assert_int_equal(guest_mem_init(&ram, 1, FAKE_RAM_BASE + 0x2a00000, 0x100000), 0);
	va = SYN_DIRECT + FAKE_RAM_BASE + 0x2900000;
	assert_non_null(guest_at(GVA(va), &left));
	assert_int_equal(left, 0x100000);
	va += 0x100000;
	for (int cached = 0; cached < 2; cached++) {
		if (cached)
			guest_cache_begin();
		assert_non_null(guest_at(GVA(va + 0x100000), &left));
		assert_int_equal(left, PAGE_SIZE);
		assert_null(guest_at(GVA(va), &left));
	}
	guest_cache_end();
}

/* Tables are as untrusted as anything: each page of them must be RAM. */
static void tables_outside_ram_are_refused(void **state)
{
	const struct pt_format *f = arch_guest_format(4);
	const u64 outside[] = {FAKE_POOL_BASE, 0, FAKE_RAM_BASE + FAKE_RAM_SIZE};
	u64 word;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
		for (u32 level = 3; level; level--) {
			u64 table, va = SYN_VMAP;

			syn_new(1);
			table = syn.root.v;
			for (u32 l = 3; l > level; l--)
				table = f->addr(((u64 *)arch_ptr(PA(table)))[pt_index(f, va, l)],
						l);
			((u64 *)arch_ptr(PA(table)))[pt_index(f, va, level)] =
				f->make_table(outside[i], level);
			assert_int_equal(guest_read_u64(GVA(va), &word), -EFAULT);
		}
	}
}

/* A translation that is kept must not outlive the check. */
static void the_cache_forgets(void **state)
{
	ipa_t before, after;
	u64 va;

	(void)state;
	syn_new(1);
	va = syn_vmap(PAGE_SIZE);
	guest_cache_begin();
	assert_int_equal(guest_translate(GVA(va), &before), 0);
	syn_unmap(va);
	assert_int_equal(guest_translate(GVA(va), &after), 0); /* kept: this is what it is for */
	assert_int_equal(after.v, before.v);
	fake_become(&cpus[1]);
	assert_int_equal(guest_translate(GVA(va), &after), -EFAULT); /* not for others */
	fake_become(&cpus[0]);
	guest_cache_end();
	assert_int_equal(guest_translate(GVA(va), &after), -EFAULT);
	guest_cache_begin();
	assert_int_equal(guest_translate(GVA(va), &after), -EFAULT);
	guest_cache_end();
}

static void the_cache_tells_addresses_apart(void **state)
{
	const u64 pages = 400; /* several to a slot */
	u64 va, word;

	(void)state;
	syn_new(1);
	va = syn_vmap(pages * PAGE_SIZE);
	for (u64 i = 0; i < pages; i++)
		syn_set(va + i * PAGE_SIZE, i);
	guest_cache_begin();
	for (u64 n = 0; n < 3 * pages; n++) {
		u64 i = n * 61 % pages;
		ipa_t ipa;

		assert_int_equal(guest_read_u64(GVA(va + i * PAGE_SIZE), &word), 0);
		assert_int_equal(word, i);
		/* the same memory by its other address */
		assert_int_equal(guest_translate(GVA(va + i * PAGE_SIZE), &ipa), 0);
		assert_int_equal(guest_read_u64(GVA(SYN_DIRECT + ipa.v), &word), 0);
		assert_int_equal(word, i);
	}
	guest_cache_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_ranges_merge_in_any_order),
		cmocka_unit_test(parts_of_pages_are_not_ram),
		cmocka_unit_test(hidden_memory_is_not_ram),
		cmocka_unit_test(bad_maps_are_refused),
		cmocka_unit_test(copies_stay_in_ram),
		cmocka_unit_test(tables_of_four_levels),
		cmocka_unit_test(tables_of_five_levels),
		cmocka_unit_test(large_leaves),
		cmocka_unit_test(addresses_of_user_mode_are_refused),
		cmocka_unit_test(what_is_not_ram_is_refused),
		cmocka_unit_test(tables_outside_ram_are_refused),
		cmocka_unit_test(the_cache_forgets),
		cmocka_unit_test(the_cache_tells_addresses_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
