/* SPDX-License-Identifier: BSD-2-Clause */
/* The walker, over the fake's formats, which abort when an entry is read at the wrong level. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fake.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/pt.h"

struct reads {
	u32 count;
	u32 fail_at; /* the read that gives -EFAULT; 0: none */
};

static int read_fake(void *ctx, u64 table_pa, u32 index, u64 *entry)
{
	struct reads *r = ctx;

	if (++r->count == r->fail_at)
		return -EFAULT;
	*entry = ((u64 *)arch_ptr(PA(table_pa)))[index];
	return 0;
}

static int setup(void **state)
{
	(void)state;
	fake_reset(0);
	return 0;
}

static void walks_every_leaf_size(void **state)
{
	static const u64 vas[] = {0, 0x7ff000000000, 0xffffff0000000000, 0xffff888000000000};

	(void)state;
	for (u32 levels = 4; levels <= 5; levels++) {
		const struct pt_format *f = arch_guest_format(levels);
		ipa_t root = fake_tables_new(levels);

		for (u32 leaf = 0; leaf <= 2; leaf++) {
			for (u32 i = 0; i < ARRAY_SIZE(vas); i++) {
				u64 size = pt_level_size(f, leaf), va = vas[i] + ((u64)leaf << 32);
				struct reads reads = {0};
				struct pt_walk w;

				va &= ~(size - 1);
				fake_map(root, levels, va, IPA(3 * size), size, PT_READ | PT_WRITE,
					 leaf);
				for (u64 at = 0; at < size; at += size / 4 + 1) {
					reads.count = 0;
					assert_int_equal(
						pt_walk(f, root.v, va + at, read_fake, &reads, &w),
						0);
					assert_int_equal(w.pa, 3 * size + at);
					assert_int_equal(w.level, leaf);
					assert_int_equal(w.attrs, PT_READ | PT_WRITE);
					assert_int_equal(reads.count, levels - leaf);
					assert_int_equal(((u64 *)arch_ptr(PA(w.table_pa)))[w.index],
							 w.entry);
				}
				assert_int_equal(
					pt_walk(f, root.v, va + size, read_fake, &reads, &w),
					-ENOENT);
			}
		}
	}
}

static void says_where_a_walk_ended(void **state)
{
	const struct pt_format *f = arch_guest_format(4);
	ipa_t root = fake_tables_new(4);
	struct reads reads = {0};
	struct pt_walk w;

	(void)state;
	assert_int_equal(pt_walk(f, root.v, 5ull << 39, read_fake, &reads, &w), -ENOENT);
	assert_int_equal(w.level, 3);
	assert_int_equal(w.index, 5);
	assert_int_equal(w.table_pa, root.v);
	assert_int_equal(w.entry, 0);

	fake_map(root, 4, 5ull << 39, IPA(PAGE_SIZE), PAGE_SIZE, PT_READ, 0);
	assert_int_equal(pt_walk(f, root.v, (5ull << 39) + 7 * PAGE_SIZE, read_fake, &reads, &w),
			 -ENOENT);
	assert_int_equal(w.level, 0);
	assert_int_equal(w.index, 7);
}

static void refuses_what_is_out_of_range(void **state)
{
	static const struct {
		u32 levels;
		u64 va;
	} bad[] = {
		{4, 1ull << 47}, {4, 0xffff7fffffffffff}, {4, 0xff00000000000000},
		{5, 1ull << 56}, {5, 0xfeffffffffffffff},
	};
	struct reads reads = {0};
	struct pt_walk w;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(pt_walk(arch_guest_format(bad[i].levels),
					 fake_tables_new(bad[i].levels).v, bad[i].va, read_fake,
					 &reads, &w),
				 -ERANGE);
	assert_int_equal(reads.count, 0);
	assert_null(arch_guest_format(2));
	assert_null(arch_guest_format(6));
}

static void passes_read_errors_on(void **state)
{
	ipa_t root = fake_tables_new(4);
	struct pt_walk w;

	(void)state;
	fake_map(root, 4, 0, IPA(0), PAGE_SIZE, PT_READ, 0);
	for (u32 fail_at = 1; fail_at <= 4; fail_at++) {
		struct reads reads = {.fail_at = fail_at};

		assert_int_equal(pt_walk(arch_guest_format(4), root.v, 0, read_fake, &reads, &w),
				 -EFAULT);
		assert_int_equal(reads.count, fail_at);
	}
}

static bool any_address(u64 addr)
{
	(void)addr;
	return true;
}

/* As arm64's kernel has them with pages of 64 KiB: 48 bits of address, a root of 64 entries. */
static void a_root_may_be_smaller_than_a_table(void **state)
{
	struct pt_format f = *arch_guest_format(4);
	u64 root = fake_guest_alloc(PAGE_SIZE).v, middle = fake_guest_alloc(3 * 0x10000).v;
	u64 va = 0xffff800012345678, *entry;
	struct reads reads = {0};
	struct pt_walk w;

	(void)state;
	f.page_shift = 16;
	f.input_bits = 48;
	f.top_level = 2;
	f.in_range = any_address;
	middle = ALIGN_UP(middle, 0x10000);
	assert_int_equal(pt_entries(&f, 2), 64);
	assert_int_equal(pt_entries(&f, 1), 8192);
	entry = arch_ptr(PA(root + (va >> 42 & 63) * 8));
	*entry = f.make_table(middle, 2);
	entry = arch_ptr(PA(middle + (va >> 29 & 8191) * 8));
	*entry = f.make_table(middle + 0x10000, 1);
	entry = arch_ptr(PA(middle + 0x10000 + (va >> 16 & 8191) * 8));
	*entry = f.make_leaf(7 * 0x10000, 0, PT_READ);
	assert_int_equal(pt_walk(&f, root, va, read_fake, &reads, &w), 0);
	assert_int_equal(w.pa, 7 * 0x10000 + (va & 0xffff));
	assert_int_equal(reads.count, 3);
	assert_int_equal(pt_walk(&f, root, va + 0x10000, read_fake, &reads, &w), -ENOENT);
	assert_int_equal(w.level, 0);
}

/* The fake aborts on these errors; the tests above rely on that. */
static bool walk_dies(const struct pt_format *f, u64 root, u64 va)
{
	pid_t child = fork();
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		struct reads reads = {0};
		struct pt_walk w;

		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		_exit(pt_walk(f, root, va, read_fake, &reads, &w) ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void mixed_formats_and_levels_abort(void **state)
{
	ipa_t root = fake_tables_new(4);

	(void)state;
	fake_map(root, 4, 0, IPA(0), PAGE_SIZE, PT_READ, 0);
	assert_false(walk_dies(arch_guest_format(4), root.v, 0));
	assert_true(walk_dies(arch_guest_format(5), root.v, 0));
	assert_true(walk_dies(arch_stage2_format(), root.v, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(walks_every_leaf_size, setup),
		cmocka_unit_test_setup(says_where_a_walk_ended, setup),
		cmocka_unit_test_setup(refuses_what_is_out_of_range, setup),
		cmocka_unit_test_setup(passes_read_errors_on, setup),
		cmocka_unit_test_setup(a_root_may_be_smaller_than_a_table, setup),
		cmocka_unit_test_setup(mixed_formats_and_levels_abort, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
