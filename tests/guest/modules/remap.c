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
static unsigned long text; /* the page that it is of */
static u64 own;		   /* physical address of that */

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
	own = *entry & PTE_PFN_MASK;
	memcpy(page_address(copy), (void *)text, PAGE_SIZE);
	return 0;
}

static int map_to(u64 page)
{
	u64 *entry = find_entry();

	if (!entry)
		return -ENOMEM;
	WRITE_ONCE(*entry, (*entry & ~(u64)PTE_PFN_MASK) | page);
	on_each_cpu(flush, NULL, 1);
	return 0;
}

static int remap_show(struct seq_file *m, void *v)
{
	u64 *entry = text ? find_entry() : NULL;

	seq_printf(m, "%llx\n", entry ? *entry & PTE_PFN_MASK : 0);
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
