// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes of all kinds to two pages of code, by way of another mapping as the kernel's own writes
 * to its code are. Reading /proc/stores carries them out, leaves the pages as they were, and says
 * which went wrong; user programs may map the pages, too.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>
#include <asm/neon.h>
#include <asm/simd.h>

#include "proc_file.h"
#include "stores_kinds.h"

#define COUNTED	   2048 /* where it is counted, in the first page */
#define PER_CPU	   100
#define OSLSR_OSLK BIT(1)

int stores_first(void);
int stores_second(void);

static unsigned char *alias, *buffer;

/* ---- with debug exceptions off, as a CPU has them that was just started ---- */

static unsigned long store_os_lock(unsigned char *at, const unsigned long *v)
{
	u64 locked = read_sysreg(oslsr_el1) & OSLSR_OSLK, still;

	write_sysreg(1, oslar_el1);
	isb();
	store_x(at, v);
	still = read_sysreg(oslsr_el1) & OSLSR_OSLK;
	write_sysreg(locked ? 1 : 0, oslar_el1);
	isb();
	return still;
}

static const struct stores_kind locked_kind = {"str x, OS lock", 8, store_os_lock, 1, 0};

/* ---- all of them ---- */

static int try_masked(const struct stores_kind *k, unsigned int offset)
{
	unsigned long flags;
	int right;

	local_irq_save(flags);
	right = stores_try(k, alias, buffer, offset);
	local_irq_restore(flags);
	return right;
}

/* From 6.19 on the kernel wants a place for the task's registers. */
static int try_with_simd(const struct stores_kind *k, unsigned int offset)
{
	int right;

#ifdef scoped_ksimd
	scoped_ksimd ()
		right = try_masked(k, offset);
#else
	kernel_neon_begin();
	right = try_masked(k, offset);
	kernel_neon_end();
#endif
	return right;
}

static int try_kind(struct seq_file *m, const struct stores_kind *k, unsigned int *wrong)
{
	unsigned int n = 0, offset;

	while ((offset = stores_place(k, n)) < STORES_AREA) {
		int right = try_with_simd(k, offset);

		if (!right)
			seq_printf(m, "%s at %u is wrong\n", k->name, offset);
		*wrong += !right;
		n++;
	}
	return n;
}

static void try_all(struct seq_file *m)
{
	unsigned int i, n = 0, wrong = 0;

	for (i = 0; i < STORES_KINDS; i++)
		if (!stores_kinds[i].lse || read_sysreg(id_aa64isar0_el1) >> 20 & 15)
			n += try_kind(m, &stores_kinds[i], &wrong);
	n += try_kind(m, &locked_kind, &wrong);
	seq_printf(m, "%u stores, %u wrong\n", n, wrong);
}

/* ---- by CPUs at the same time ---- */

static void count(void *unused)
{
	unsigned long value, failed, tries = PER_CPU * STORES_TRIES;
	int i;

	for (i = 0; i < PER_CPU && tries; i++)
		asm volatile("1:	ldxr	%0, [%3]\n"
			     "	add	%0, %0, #1\n"
			     "	sub	%2, %2, #1\n"
			     "	cbz	%2, 2f\n"
			     "	stxr	%w1, %0, [%3]\n"
			     "	cbnz	%w1, 1b\n"
			     "2:"
			     : "=&r"(value), "=&r"(failed), "+r"(tries)
			     : "r"(alias + COUNTED)
			     : "memory");
}

static void count_together(struct seq_file *m)
{
	u64 before, after;

	memcpy(&before, alias + COUNTED, sizeof(before));
	on_each_cpu(count, NULL, 1);
	memcpy(&after, alias + COUNTED, sizeof(after));
	memcpy(alias + COUNTED, &before, sizeof(before));
	seq_printf(m, "counted %llu of %u\n", after - before, num_online_cpus() * PER_CPU);
}

static int stores_show(struct seq_file *m, void *v)
{
	try_all(m);
	count_together(m);
	seq_printf(m, "results %d %d\n", stores_first(), stores_second());
	return 0;
}

static int stores_command(const char *word)
{
	return -EINVAL;
}

/* ---- for user programs ---- */

static int stores_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long at;
	int err = vma->vm_end - vma->vm_start == STORES_AREA ? 0 : -EINVAL;

	for (at = 0; !err && at < STORES_AREA; at += PAGE_SIZE)
		err = remap_pfn_range(vma, vma->vm_start + at,
				      vmalloc_to_pfn((u8 *)stores_first + at), PAGE_SIZE,
				      vma->vm_page_prot);
	return err;
}

DEFINE_PROC_FILE(stores);

static int map_area(void)
{
	struct page *pages[STORES_AREA / PAGE_SIZE];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = vmalloc_to_page((u8 *)stores_first + i * PAGE_SIZE);
	alias = vmap(pages, ARRAY_SIZE(pages), VM_MAP, PAGE_KERNEL);
	buffer = vmalloc(STORES_AREA);
	return alias && buffer ? 0 : -ENOMEM;
}

static void unmap_area(void)
{
	vunmap(alias);
	vfree(buffer);
}

static struct proc_ops ops;

static int __init stores_init(void)
{
	int err = map_area();

	ops = stores_ops;
	ops.proc_mmap = stores_mmap;
	if (!err && !proc_create("stores", 0600, NULL, &ops))
		err = -ENOMEM;
	if (err)
		unmap_area();
	return err;
}

static void __exit stores_exit(void)
{
	remove_proc_entry("stores", NULL);
	unmap_area();
}

module_init(stores_init);
module_exit(stores_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Writes of all kinds to code");
