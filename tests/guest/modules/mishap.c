// SPDX-License-Identifier: GPL-2.0-only
/*
 * Actions of a hostile kernel, when numbers are written to /sys/module/mishap/parameters/: `lines`
 * has the monitor write that many lines to its log, `tables` puts the CPU on page tables at that
 * physical address.
 */
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/module.h>

static int set_lines(const char *text, const struct kernel_param *kp)
{
	static const u32 word;
	unsigned long n;
	int err = kstrtoul(text, 0, &n);

	/* PCI's data port is the monitor's, and it carries out no string instructions */
	while (!err && n--) {
		const u32 *from = &word;

		asm volatile("outsl" : "+S"(from) : "d"((u16)0xcfc) : "memory");
	}
	return err;
}

static int set_tables(const char *text, const struct kernel_param *kp)
{
	unsigned long address;
	int err = kstrtoul(text, 0, &address);

	if (err)
		return err;
	local_irq_disable();
	asm volatile("mov %0, %%cr3" ::"r"(address) : "memory");
	return 0;
}

static const struct kernel_param_ops lines_ops = {.set = set_lines};
static const struct kernel_param_ops tables_ops = {.set = set_tables};
module_param_cb(lines, &lines_ops, NULL, 0200);
module_param_cb(tables, &tables_ops, NULL, 0200);

static int __init mishap_init(void)
{
	return 0;
}

static void __exit mishap_exit(void)
{
}

module_init(mishap_init);
module_exit(mishap_exit);
MODULE_LICENSE("GPL");
