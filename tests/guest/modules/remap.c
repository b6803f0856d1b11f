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
#include <asm/tlbflush.h>

#include "proc_file.h"
#include "symbol.h"

static struct page *copy;
static u64 *entry; /* of the text page */
static u64 own;	   /* what stood in it */

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
	u64 flags = *large & ~(PMD_MASK & PTE_PFN_MASK) & ~(u64)_PAGE_PSE;
	int i;

	if (!table)
		return NULL;
	for (i = 0; i < PTRS_PER_PTE; i++)
		table[i] = ((*large & PMD_MASK & PTE_PFN_MASK) + i * PAGE_SIZE) | flags;
	WRITE_ONCE(*large, __pa(table) | _KERNPG_TABLE);
	on_each_cpu(flush, NULL, 1);
	return table;
}

static int find_entry(unsigned long address)
{
	pte_t *(*lookup)(unsigned long address, unsigned int *level) = symbol("lookup_address");
	unsigned int level;
	u64 *at = lookup ? (u64 *)lookup(address, &level) : NULL;

	if (!at || (level != PG_LEVEL_4K && level != PG_LEVEL_2M))
		return -ENOENT;
	if (level == PG_LEVEL_2M) {
		at = split(at);
		if (!at)
			return -ENOMEM;
		at += address >> PAGE_SHIFT & (PTRS_PER_PTE - 1);
	}
	entry = at;
	own = *at;
	return 0;
}

static int take(const char *name)
{
	void *page = PTR_ALIGN_DOWN(symbol(name), PAGE_SIZE);

	if (entry || !page)
		return entry ? -EBUSY : -ENOENT;
	copy = alloc_page(GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	memcpy(page_address(copy), page, PAGE_SIZE);
	return find_entry((unsigned long)page);
}

static void map_to(u64 value)
{
	WRITE_ONCE(*entry, value);
	on_each_cpu(flush, NULL, 1);
}

static int remap_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%llx\n", entry ? *entry & PTE_PFN_MASK : 0);
	return 0;
}

static int remap_command(const char *line)
{
	if (!strncmp(line, "take ", 5))
		return take(line + 5);
	if (!entry)
		return -EINVAL;
	if (!strcmp(line, "away"))
		map_to((own & ~(u64)PTE_PFN_MASK) | page_to_phys(copy));
	else if (!strcmp(line, "back"))
		map_to(own);
	else
		return -EINVAL;
	return 0;
}

DEFINE_PROC_FILE(remap);

static int __init remap_init(void)
{
	return proc_create("remap", 0600, NULL, &remap_ops) ? 0 : -ENOMEM;
}

static void __exit remap_exit(void)
{
	remove_proc_entry("remap", NULL);
	if (entry)
		map_to(own);
	if (copy)
		__free_page(copy);
}

module_init(remap_init);
module_exit(remap_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Maps a page of the kernel's text elsewhere");
