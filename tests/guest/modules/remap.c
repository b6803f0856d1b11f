// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps a page of the kernel's text elsewhere. Written to /proc/remap:
 *
 *	take NAME	copy the page that this function of vmlinux begins on, as it is now
 *	away		map the copy in its place, for all CPUs
 *	back		map the page itself again
 *
 * Reading /proc/remap shows where the page is mapped.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/smp.h>
#include <asm/cacheflush.h>
#include <asm/tlbflush.h>

#include "proc_file.h"
#include "symbol.h"

static struct page *copy;
static unsigned long text; /* the page that it is of */
static u64 own;		   /* physical address of that */

#ifdef CONFIG_X86_64
#define FRAME_MASK PTE_PFN_MASK

/* Global pages too: they are flushed when CR4.PGE changes. */
static void flush(void *unused)
{
	unsigned long cr4;

	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	asm volatile("mov %0, %%cr4" : : "r"(cr4 ^ X86_CR4_PGE) : "memory");
	asm volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

/* Make 512 entries of a large page's. They stay for ever. */
static u64 *split(u64 *large)
{
	u64 *table = (u64 *)get_zeroed_page(GFP_KERNEL);
	u64 flags = *large & ~(PMD_MASK & FRAME_MASK) & ~(u64)_PAGE_PSE;
	int i;

	if (!table)
		return NULL;
	for (i = 0; i < PTRS_PER_PTE; i++)
		table[i] = ((*large & PMD_MASK & FRAME_MASK) + i * PAGE_SIZE) | flags;
	WRITE_ONCE(*large, __pa(table) | _KERNPG_TABLE);
	on_each_cpu(flush, NULL, 1);
	return table;
}

/* The page's entry in the kernel's tables: anew each time, as the kernel may join small pages
 * again. */
static u64 *find_entry(void)
{
	pte_t *(*lookup)(unsigned long address, unsigned int *level) = symbol("lookup_address");
	unsigned int level;
	u64 *at = lookup ? (u64 *)lookup(text, &level) : NULL;

	if (at && level == PG_LEVEL_2M) {
		at = split(at);
		return at ? at + (text >> PAGE_SHIFT & (PTRS_PER_PTE - 1)) : NULL;
	}
	return at && level == PG_LEVEL_4K ? at : NULL;
}

#else
#define FRAME_MASK GENMASK_ULL(47, PAGE_SHIFT)
#define VALID	   BIT_ULL(0)
#define TABLE	   BIT_ULL(1) /* and not a block; at the last level, a page */
#define CONTIGUOUS BIT_ULL(52)
#define ENTRY_BITS (PAGE_SHIFT - 3)
#define ENTRIES	   (1 << ENTRY_BITS)

static void flush(void *unused)
{
	flush_tlb_all();
}

/*
 * Make a table of a block's entry. It stays for ever. The code that runs here may be in the block:
 * so there is no moment without a translation, as processors without FEAT_BBM want it.
 */
static u64 *split(u64 *block, int shift)
{
	u64 *table = (u64 *)get_zeroed_page(GFP_KERNEL);
	u64 last = shift - ENTRY_BITS == PAGE_SHIFT ? TABLE : 0;
	int i;

	if (!table)
		return NULL;
	for (i = 0; i < ENTRIES; i++)
		table[i] = (*block + ((u64)i << (shift - ENTRY_BITS))) | last;
	WRITE_ONCE(*block, __pa(table) | VALID | TABLE);
	flush(NULL);
	return table;
}

/* Its neighbours may be in the TLB as one entry with it. */
static void separate(u64 *entry)
{
	u64 *first = PTR_ALIGN_DOWN(entry, CONT_PTES * sizeof(*entry));
	int i;

	if (!(*entry & CONTIGUOUS))
		return;
	for (i = 0; i < CONT_PTES; i++)
		WRITE_ONCE(first[i], first[i] & ~CONTIGUOUS);
	flush(NULL);
}

/* The page's entry in the kernel's tables. */
static u64 *find_entry(void)
{
	u64 *table = __va(read_sysreg(ttbr1_el1) & FRAME_MASK), *entry;
	/* the CPU may have fewer than the kernel was built for (TCR_EL1.T1SZ) */
	int bits = 64 - (int)(read_sysreg(tcr_el1) >> 16 & 63), shift = PAGE_SHIFT;

	while (shift + ENTRY_BITS < bits)
		shift += ENTRY_BITS;
	for (; table; shift -= ENTRY_BITS) {
		entry = &table[text >> shift & (ENTRIES - 1)];
		if (!(*entry & VALID))
			return NULL;
		separate(entry);
		if (shift == PAGE_SHIFT)
			return entry;
		table = *entry & TABLE ? __va(*entry & FRAME_MASK) : split(entry, shift);
	}
	return NULL;
}
#endif

static int take(const char *name)
{
	u64 *entry;

	if (text)
		return -EBUSY;
	text = (unsigned long)symbol(name) & PAGE_MASK;
	entry = text ? find_entry() : NULL;
	copy = entry ? alloc_page(GFP_KERNEL) : NULL;
	if (!copy) {
		text = 0;
		return -ENOENT;
	}
	own = *entry & FRAME_MASK;
	memcpy(page_address(copy), (void *)text, PAGE_SIZE);
	flush_icache_range((unsigned long)page_address(copy),
			   (unsigned long)page_address(copy) + PAGE_SIZE);
	return 0;
}

static int map_to(u64 page)
{
	u64 *entry = find_entry();

	if (!entry)
		return -ENOMEM;
	WRITE_ONCE(*entry, (*entry & ~(u64)FRAME_MASK) | page);
	on_each_cpu(flush, NULL, 1);
	return 0;
}

static int remap_show(struct seq_file *m, void *v)
{
	u64 *entry = text ? find_entry() : NULL;

	seq_printf(m, "%llx\n", entry ? *entry & FRAME_MASK : 0);
	return 0;
}

static int remap_command(const char *line)
{
	if (!strncmp(line, "take ", 5))
		return take(line + 5);
	if (!text)
		return -EINVAL;
	if (!strcmp(line, "away"))
		return map_to(page_to_phys(copy));
	if (!strcmp(line, "back"))
		return map_to(own);
	return -EINVAL;
}

DEFINE_PROC_FILE(remap);

static int __init remap_init(void)
{
	return proc_create("remap", 0600, NULL, &remap_ops) ? 0 : -ENOMEM;
}

static void __exit remap_exit(void)
{
	remove_proc_entry("remap", NULL);
	if (!text)
		return;
	map_to(own);
	__free_page(copy);
}

module_init(remap_init);
module_exit(remap_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Maps a page of the kernel's text elsewhere");
