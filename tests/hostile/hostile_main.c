// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a hostile kernel does to the machine below it. /sys/module/hostile/parameters/run takes
 * operations, separated by commas and carried out in this order on the writer's CPU; numbers are
 * hexadecimal. Reading it gives what they read, a number for each that reads. SIZE: 1, 2 or 4.
 *
 *	r SIZE PHYSICAL		read memory
 *	w SIZE PHYSICAL VALUE	write memory
 *	c SIZE BDF REG		read PCI configuration space, as the kernel does
 *	d SIZE BDF REG VALUE	write it
 *	k NUMBER A B C		a hypercall; reads its answer
 *	u MICROSECONDS		wait
 *	h			interrupts off, halt: does not return
 *
 * hostile_x86.c and hostile_arm64.c have more.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "hostile.h"

#define MAX_RESULTS 256

static u64 results[MAX_RESULTS];
static unsigned int nr_results;

int hostile_put(u64 value)
{
	if (nr_results == MAX_RESULTS)
		return -ENOSPC;
	results[nr_results++] = value;
	return 0;
}

/* ---- memory, configuration space ---- */

static int memory(char op, const u64 *n)
{
	void __iomem *page = ioremap(n[1] & PAGE_MASK, PAGE_SIZE), *p = page + (n[1] & ~PAGE_MASK);
	u64 value = 0;

	if (!page)
		return -ENOMEM;
	if (op == 'w' && n[0] == 1)
		writeb(n[2], p);
	else if (op == 'w' && n[0] == 2)
		writew(n[2], p);
	else if (op == 'w')
		writel(n[2], p);
	else
		value = n[0] == 1 ? readb(p) : n[0] == 2 ? readw(p) : readl(p);
	iounmap(page);
	return op == 'r' ? hostile_put(value) : 0;
}

static int config(char op, const u64 *n)
{
	struct pci_bus *bus = pci_find_bus(0, n[1] >> 8);
	u32 value = ~0u, devfn = n[1] & 0xff;
	u16 word = ~0;
	u8 byte = ~0;

	if (!bus)
		return -ENODEV;
	if (op == 'd')
		return n[0] == 1   ? pci_bus_write_config_byte(bus, devfn, n[2], n[3])
		       : n[0] == 2 ? pci_bus_write_config_word(bus, devfn, n[2], n[3])
				   : pci_bus_write_config_dword(bus, devfn, n[2], n[3]);
	if (n[0] == 4)
		pci_bus_read_config_dword(bus, devfn, n[2], &value);
	else if (n[0] == 2)
		pci_bus_read_config_word(bus, devfn, n[2], &word);
	else
		pci_bus_read_config_byte(bus, devfn, n[2], &byte);
	return hostile_put(n[0] == 4 ? value : n[0] == 2 ? word : byte);
}

/* ---- the parameter ---- */

static int operation(char *text)
{
	u64 n[HOSTILE_NUMBERS] = {};
	char op = text[0];

	sscanf(text + 1, "%llx %llx %llx %llx", &n[0], &n[1], &n[2], &n[3]);
	switch (op) {
	case 'r':
	case 'w':
		return memory(op, n);
	case 'c':
	case 'd':
		return config(op, n);
	case 'k':
		return hostile_put(hostile_call(n));
	case 'u':
		udelay(n[0]);
		return 0;
	case 'h':
		local_irq_disable();
		hostile_halt();
		return 0;
	}
	return hostile_arch_operation(op, strim(text + 1), n);
}

static int set_run(const char *text, const struct kernel_param *kp)
{
	char *copy = kstrdup(text, GFP_KERNEL), *rest = copy, *one;
	int err = copy ? 0 : -ENOMEM;

	nr_results = 0;
	while (!err && (one = strsep(&rest, ",")))
		err = operation(strim(one));
	kfree(copy);
	return err;
}

static int get_run(char *text, const struct kernel_param *kp)
{
	unsigned int i;
	int len = 0;

	for (i = 0; i < nr_results; i++)
		len += scnprintf(text + len, PAGE_SIZE - len, "%llx ", results[i]);
	return len + scnprintf(text + len, PAGE_SIZE - len, "\n");
}

static const struct kernel_param_ops run_ops = {.set = set_run, .get = get_run};
module_param_cb(run, &run_ops, NULL, 0600);

static int __init hostile_init(void)
{
	return 0;
}

static void __exit hostile_exit(void)
{
}

module_init(hostile_init);
module_exit(hostile_exit);
MODULE_LICENSE("GPL");
