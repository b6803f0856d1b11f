/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page-table formats of x86-64. Nested tables against the manual's bits; the walker over guest
 * tables against Unicorn's MMU, which sets the accessed bit in each entry that it walks: so the two
 * must fault alike and have read the same entries. (Unicorn 2.0 walks but does not relocate, and
 * its CPU has no NX: addresses and NX are compared with the manual only.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <cpuid.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unicorn/unicorn.h>
#include "leaf.h"
#include "arch/pagetable.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/pgtable.h"
#include "../../arch/x86/svm/svm.h"

static const struct hv_ops ops = {.stage2_format = npt_format};
const struct hv_ops *hv = &ops;

#define P   (1ull << 0)
#define RW  (1ull << 1)
#define US  (1ull << 2)
#define A   (1ull << 5)
#define PS  (1ull << 7)
#define NX  (1ull << 63)
#define RWX (PT_READ | PT_WRITE | PT_EXEC)
#define GB  (1ull << 30)

/* On the host, x86's physical addresses are pointers: the heap serves as the pool. */
void *pool_alloc(size_t pages)
{
	void *p = aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);

	return p ? memset(p, 0, pages * PAGE_SIZE) : NULL;
}

void pool_keep(void *p, size_t pages)
{
	(void)p, (void)pages;
}

void pool_free(void *p, size_t pages)
{
	(void)pages;
	free(p);
}

/* ---- nested tables ---- */

static void nested_entries_have_the_manual_s_bits(void **state)
{
	const struct pt_format *f = arch_stage2_format();
	static const struct {
		u32 attrs;
		u64 bits;
	} leaves[] = {
		{RWX, P | RW | US},
		{PT_READ | PT_EXEC, P | US},
		{PT_READ | PT_WRITE, P | RW | US | NX},
		{PT_READ, P | US | NX},
	};

	(void)state;
	assert_int_equal(f->top_level, 3);
	for (u32 level = 0; level <= 2; level++) {
		u64 pa = 0xabcull << 40 | 5 * pt_level_size(f, level);

		for (u32 i = 0; i < ARRAY_SIZE(leaves); i++) {
			u64 e = f->make_leaf(pa, level, leaves[i].attrs);

			assert_int_equal(e, pa | leaves[i].bits | (level ? PS : 0));
			assert_true(f->present(e, level) && f->leaf(e, level));
			assert_int_equal(f->addr(e, level), pa);
			assert_int_equal(f->attrs(e, level), leaves[i].attrs);
		}
		assert_int_equal(f->make_leaf(pa, level, 0), 0);
		assert_false(f->present(0, level));
	}
	for (u32 level = 1; level <= 3; level++) {
		u64 e = f->make_table(0x123456000, level);

		assert_int_equal(e, 0x123456000 | P | RW | US);
		assert_true(f->present(e, level) && !f->leaf(e, level));
		assert_int_equal(f->addr(e, level), 0x123456000);
	}
	assert_true(f->in_range((1ull << 48) - 1));
	assert_false(f->in_range(1ull << 48));
}

/* The properties of the nested format that the generic code uses. */
static void nested_tables_ask_for_no_more_than_a_store(void **state)
{
	static const u64 types[][2] = {
		/* where a leaf begins, and where the type may be another */
		{0, 0x1000},
		{0x1ff000, 0x200000},
		{0x200000, 0x400000},
		{0xffe12000, 0x100000000},
		{0x100000000, UINT64_MAX},
	};
	const struct pt_format *f = arch_stage2_format();
	u64 end;

	(void)state;
	assert_null(f->invalidate);
	assert_int_equal(f->split, PT_SPLIT_LIVE); /* but for CPUs of family 10h */
	assert_false(f->exec_only);
	assert_int_equal(f->page_shift, 12);
	assert_int_equal(pt_entries(f, 3), 512);
	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		assert_int_equal(f->memory_type(types[i][0], &end), 0);
		assert_int_equal(end, types[i][1]);
	}
	/* The type is not in the leaf. */
	assert_int_equal(f->make_leaf(0x5000, 0, RWX | PT_DEVICE), f->make_leaf(0x5000, 0, RWX));
}

static void large_leaves_are_those_of_the_cpu(void **state)
{
	u32 eax, ebx, ecx, edx = 0;

	(void)state;
	npt_init(0);
	__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx);
	assert_int_equal(arch_stage2_format()->max_leaf_level, edx >> 26 & 1 ? 2 : 1);
}

static u64 check_user_bits(const struct pt_format *f, const u64 *table, u32 level)
{
	u64 n = 0;

	for (u32 i = 0; i < pt_entries(f, level); i++) {
		if (!f->present(table[i], level))
			continue;
		n++;
		assert_true(table[i] & US);
		if (!f->leaf(table[i], level))
			n += check_user_bits(f, (u64 *)(uintptr_t)f->addr(table[i], level),
					     level - 1);
	}
	return n;
}

static void all_entries_of_a_set_allow_user_accesses(void **state)
{
	struct pgtable s;
	struct pt_walk w;

	(void)state;
	assert_int_equal(pgtable_init(&s, arch_stage2_format()), 0);
	assert_int_equal(pgtable_map(&s, IPA(PAGE_SIZE), PA(PAGE_SIZE), 4 * GB, RWX), 0);
	assert_int_equal(pgtable_split(&s, IPA(GB + 12345678), NULL), 0);
	assert_int_equal(set_leaf(&s, IPA(GB + 12345678), PA(0x7000), PT_READ | PT_EXEC), 0);
	assert_true(check_user_bits(s.format, (u64 *)(uintptr_t)s.root.v, 3) > 3 * 512);
	assert_int_equal(pgtable_lookup(&s, IPA(GB + 12345678), &w), 0);
	assert_int_equal(w.entry & ~A, 0x7000 | P | US);
	pgtable_destroy(&s);
	assert_int_equal(s.tables, 0);
}

/* ---- the guest's ---- */

static void guest_entries_are_read_by_the_manual(void **state)
{
	const struct pt_format *f = arch_guest_format(5);

	(void)state;
	/* Global, dirty, accessed, software and protection-key bits do not disturb. */
	assert_int_equal(f->addr(0x7ff0123456789f63 & ~PS, 0), 0x123456789000 & ~0xfffull);
	assert_int_equal(f->addr(0x00001234563ff000 | PS | P, 1), 0x123456200000);
	assert_int_equal(f->addr(0x000012345ffff000 | PS | P, 2), 0x123440000000);
	assert_int_equal(f->attrs(P | NX, 0), PT_READ);
	assert_int_equal(f->attrs(P, 0), PT_READ | PT_EXEC);
	assert_int_equal(f->attrs(P | RW | NX, 1), PT_READ | PT_WRITE);
	/* A large leaf above 1 GiB is reserved. */
	assert_false(f->present(P | PS, 3));
	assert_false(f->present(P | PS, 4));
	assert_true(f->present(P | PS, 2));
	assert_false(f->present(~P, 0));
	assert_null(arch_guest_format(3));
}

/* Low enough for Unicorn's CPU model, which has 40 bits of physical addresses. */
#define RAM_BASE  0x20000000ull
#define RAM_PAGES 1024u
#define PROBES	  4000u

static struct {
	u64 next; /* free page of the RAM */
	u64 seed;
	uc_engine *uc;
	uc_context *clean; /* the CPU before any fault: two in a row are a double fault */
} mmu;

static u64 rnd(u64 below)
{
	mmu.seed ^= mmu.seed << 13, mmu.seed ^= mmu.seed >> 7, mmu.seed ^= mmu.seed << 17;
	return mmu.seed % below;
}

static u64 take_page(void)
{
	u64 page = mmu.next;

	assert_true(page < RAM_BASE + RAM_PAGES * PAGE_SIZE);
	mmu.next += PAGE_SIZE;
	return page;
}

static int read_host(void *ctx, u64 table_pa, u32 index, u64 *entry)
{
	(void)ctx;
	assert_true(table_pa - RAM_BASE < RAM_PAGES * PAGE_SIZE);
	*entry = ((u64 *)(uintptr_t)table_pa)[index];
	return 0;
}

/* Built by the manual, not with the walker's own sums. */
#define LEVEL_SHIFT(level) (12 + 9 * (level))

static u32 index_of(u64 va, u32 level)
{
	return va >> LEVEL_SHIFT(level) & 511;
}

static u64 canonical(u64 va, u32 bits)
{
	return (u64)((s64)(va << (64 - bits)) >> (64 - bits));
}

/* Tables with an entry for va down to a random level: a leaf, or one that is not present. */
static void random_mapping(u64 root, u32 top, u64 va)
{
	u64 table = root;

	for (u32 level = top;; level--) {
		u64 *entry = (u64 *)(uintptr_t)table + index_of(va, level);
		u64 pa = RAM_BASE & ~((1ull << LEVEL_SHIFT(level)) - 1);

		if (*entry)
			return;
		if (!rnd(12)) {
			*entry = rnd(2) ? 0 : RAM_BASE | RW; /* with rests of an address */
			return;
		}
		if (level == 0 || (level < 3 && !rnd(3))) {
			*entry = pa | P | (rnd(2) ? RW : 0) | (level ? PS : 0);
			return;
		}
		if (level >= 3 && !rnd(16)) {
			*entry = RAM_BASE | P | RW | PS; /* reserved */
			return;
		}
		table = take_page();
		*entry = table | P | RW;
	}
}

static void clear_accessed(void)
{
	for (u64 *e = (u64 *)(uintptr_t)RAM_BASE; e < (u64 *)(uintptr_t)mmu.next; e++)
		*e &= ~A;
}

static u32 count_accessed(void)
{
	u32 n = 0;

	for (u64 *e = (u64 *)(uintptr_t)RAM_BASE; e < (u64 *)(uintptr_t)mmu.next; e++)
		n += (*e & (P | A)) == (P | A);
	return n;
}

static void stop_at_fault(uc_engine *uc, u32 vector, void *arg)
{
	*(u32 *)arg = vector;
	uc_emu_stop(uc);
}

/* One access at va by the MMU: true if it went through. */
static bool mmu_access(u64 root, u64 code, u64 va, bool write)
{
	u32 vector = 0;
	uc_hook hook;

	/* Unicorn wants the virtual address in its own map, too. */
	assert_int_equal(uc_mem_map(mmu.uc, va & PAGE_MASK, PAGE_SIZE, UC_PROT_ALL), UC_ERR_OK);
	assert_int_equal(
		uc_hook_add(mmu.uc, &hook, UC_HOOK_INTR, (void *)stop_at_fault, &vector, 1, 0),
		UC_ERR_OK);
	assert_int_equal(uc_context_restore(mmu.uc, mmu.clean), UC_ERR_OK);
	assert_int_equal(uc_reg_write(mmu.uc, UC_X86_REG_CR3, &root), UC_ERR_OK); /* flushes */
	assert_int_equal(uc_reg_write(mmu.uc, UC_X86_REG_RBX, &va), UC_ERR_OK);
	code += write ? 16 : 0;
	assert_int_equal(uc_emu_start(mmu.uc, code, code + 3, 0, 1), UC_ERR_OK);
	assert_true(vector == 0 || vector == 14);
	assert_int_equal(uc_hook_del(mmu.uc, hook), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(mmu.uc, va & PAGE_MASK, PAGE_SIZE), UC_ERR_OK);
	return vector == 0;
}

static void mmu_start(u32 levels, u64 root)
{
	u64 cr4 = 1u << 5 | (levels == 5 ? 1u << 12 : 0); /* PAE, LA57 */
	u64 cr0 = 0x80010033;				  /* PG, WP, NE, ET, MP, PE */
	uc_x86_msr efer = {0xc0000080, 0x500};		  /* LMA, LME */

	assert_int_equal(uc_open(UC_ARCH_X86, UC_MODE_64, &mmu.uc), UC_ERR_OK);
	assert_int_equal(uc_mem_map_ptr(mmu.uc, RAM_BASE, RAM_PAGES * PAGE_SIZE, UC_PROT_ALL,
					(void *)(uintptr_t)RAM_BASE),
			 UC_ERR_OK);
	assert_int_equal(uc_reg_write(mmu.uc, UC_X86_REG_CR4, &cr4), UC_ERR_OK);
	assert_int_equal(uc_reg_write(mmu.uc, UC_X86_REG_CR3, &root), UC_ERR_OK);
	assert_int_equal(uc_reg_write(mmu.uc, UC_X86_REG_MSR, &efer), UC_ERR_OK);
	assert_int_equal(uc_reg_write(mmu.uc, UC_X86_REG_CR0, &cr0), UC_ERR_OK);
	assert_int_equal(uc_context_alloc(mmu.uc, &mmu.clean), UC_ERR_OK);
	assert_int_equal(uc_context_save(mmu.uc, mmu.clean), UC_ERR_OK);
}

/* The code of the accesses lies at its own address, which the tables map one to one. */
static u64 map_code(u64 root, u32 top)
{
	static const u8 load[] = {0x48, 0x8b, 0x03}, store[] = {0x88, 0x03, 0x90};
	u64 code = take_page(), table = root;

	for (u32 level = top; level > 1; level--) {
		u64 *entry = (u64 *)(uintptr_t)table + index_of(code, level);

		if (!*entry)
			*entry = take_page() | P | RW;
		table = *entry & PAGE_MASK;
	}
	((u64 *)(uintptr_t)table)[index_of(code, 1)] = (code & ~((2ull << 20) - 1)) | P | PS;
	memcpy((void *)(uintptr_t)code, load, sizeof(load));
	memcpy((u8 *)(uintptr_t)code + 16, store, sizeof(store));
	return code;
}

static void compare_with_the_mmu(u32 levels)
{
	const struct pt_format *f = arch_guest_format(levels);
	u32 mapped = 0, missing = 0, read_only = 0, by_level[3] = {0};
	u64 root, code, vas[64];
	void *ram = mmap((void *)(uintptr_t)RAM_BASE, RAM_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	assert_ptr_equal(ram, (void *)(uintptr_t)RAM_BASE);
	mmu.next = RAM_BASE;
	mmu.seed = 88172645463325252ull + levels;
	root = take_page();
	code = map_code(root, f->top_level);
	for (u32 i = 0; i < ARRAY_SIZE(vas); i++) {
		vas[i] = canonical(mmu.seed ^ rnd(UINT64_MAX), f->top_level == 4 ? 57 : 48);
		random_mapping(root, f->top_level, vas[i]);
	}
	mmu_start(levels, root);

	for (u32 i = 0; i < PROBES; i++) {
		/* Near a mapping, so that the walk ends at each level. */
		u64 va = vas[rnd(ARRAY_SIZE(vas))] ^
			 rnd(8) << LEVEL_SHIFT(rnd(f->top_level)) * rnd(2);
		bool write = rnd(2), allowed, passed;
		struct pt_walk w, code_walk;
		u32 walked;
		int err;

		va = canonical(va, f->top_level == 4 ? 57 : 48) & ~7ull;
		if (va >> 21 == code >> 21 || va - RAM_BASE < RAM_PAGES * PAGE_SIZE)
			continue;
		assert_int_equal(pt_walk(f, root, code, read_host, NULL, &code_walk), 0);
		clear_accessed();
		err = pt_walk(f, root, va, read_host, NULL, &w);
		assert_true(err == 0 || err == -ENOENT);
		allowed = !err && (!write || (w.attrs & PT_WRITE));
		passed = mmu_access(root, code, va, write);
		assert_int_equal(passed, allowed);
		if (passed) {
			assert_true(((u64 *)(uintptr_t)w.table_pa)[w.index] & A);
			by_level[w.level]++;
			mapped++;
		} else if (err) {
			missing++;
			assert_false((((u64 *)(uintptr_t)w.table_pa)[w.index] & (P | PS | A)) ==
				     (P | A));
		} else {
			read_only++;
		}
		/* No table was walked but those on the two ways. */
		walked = count_accessed();
		assert_true(walked <=
			    f->top_level + 1 - w.level + f->top_level + 1 - code_walk.level);
	}
	print_message(
		"%u levels: %u accesses as the MMU has them (leaves of 4 KiB %u, 2 MiB %u, 1 GiB "
		"%u), %u faults for want of an entry, %u for want of the right to write\n",
		levels, mapped, by_level[0], by_level[1], by_level[2], missing, read_only);
	assert_true(by_level[0] > 50 && by_level[1] > 50 && by_level[2] > 50);
	assert_true(missing > 50 && read_only > 50);
	assert_int_equal(uc_context_free(mmu.clean), UC_ERR_OK);
	assert_int_equal(uc_close(mmu.uc), UC_ERR_OK);
	munmap(ram, RAM_PAGES * PAGE_SIZE);
}

static void walks_4_levels_as_an_mmu_does(void **state)
{
	(void)state;
	compare_with_the_mmu(4);
}

static void walks_5_levels_as_an_mmu_does(void **state)
{
	(void)state;
	compare_with_the_mmu(5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nested_entries_have_the_manual_s_bits),
		cmocka_unit_test(nested_tables_ask_for_no_more_than_a_store),
		cmocka_unit_test(large_leaves_are_those_of_the_cpu),
		cmocka_unit_test(all_entries_of_a_set_allow_user_accesses),
		cmocka_unit_test(guest_entries_are_read_by_the_manual),
		cmocka_unit_test(walks_4_levels_as_an_mmu_does),
		cmocka_unit_test(walks_5_levels_as_an_mmu_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
