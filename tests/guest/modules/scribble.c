// SPDX-License-Identifier: GPL-2.0-only
/*
 * insmod scribble.ko at=ADDRESS value=BYTE: write a byte into code of a module, as a hostile kernel
 * does: by a mapping of its own. The module does not stay.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>
#include <asm/cacheflush.h>

static unsigned long at;
static unsigned char value;
module_param(at, ulong, 0);
module_param(value, byte, 0);

static int __init scribble_init(void)
{
	struct page *page = vmalloc_to_page((void *)at);
	unsigned char *alias = page ? vmap(&page, 1, VM_MAP, PAGE_KERNEL) : NULL;

	if (!alias)
		return -EFAULT;
	pr_info("scribble: %lx was %02x\n", at, alias[offset_in_page(at)]);
	alias[offset_in_page(at)] = value;
	vunmap(alias);
	flush_icache_range(at, at + 1);
	return -ENODATA;
}

module_init(scribble_init);
MODULE_LICENSE("GPL");
