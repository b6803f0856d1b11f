// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a hostile kernel does to the machine below it. /sys/module/hostile/parameters/run takes
 * operations, separated by commas and carried out in this order on the writer's CPU; numbers are
 * hexadecimal. Reading it gives what they read, a number for each that reads. SIZE: 1, 2 or 4.
 *
 *	r SIZE PHYSICAL		read memory
 *	w SIZE PHYSICAL VALUE	write memory
 *	i SIZE PORT		read a port
 *	o SIZE PORT VALUE	write a port
 *	c SIZE BDF REG		read PCI configuration space, as the kernel does
 *	d SIZE BDF REG VALUE	write it
 *	m MSR			read an MSR; 1 for #GP
 *	n MSR VALUE		write it; reads 0, or 1 for #GP
 *	x INSN			an instruction (instructions[]); reads 0, or 1 for a fault
 *	v REG VALUE		XSETBV; reads 0, or 1 for a fault
 *	u MICROSECONDS		wait
 *	t PHYSICAL		page tables from there, interrupts off: does not return
 *	h			interrupts off, halt: does not return
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <asm/asm.h>

#define MAX_NUMBERS 4
#define MAX_RESULTS 256

static u64 results[MAX_RESULTS];
static unsigned int nr_results;

static int put(u64 value)
{
	if (nr_results == MAX_RESULTS)
		return -ENOSPC;
	results[nr_results++] = value;
	return 0;
}

/* ---- memory, ports, configuration space ---- */

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
	return op == 'r' ? put(value) : 0;
}

static int port(char op, const u64 *n)
{
	if (op == 'i')
		return put(n[0] == 1 ? inb(n[1]) : n[0] == 2 ? inw(n[1]) : inl(n[1]));
	if (n[0] == 1)
		outb(n[2], n[1]);
	else if (n[0] == 2)
		outw(n[2], n[1]);
	else
		outl(n[2], n[1]);
	return 0;
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
	return put(n[0] == 4 ? value : n[0] == 2 ? word : byte);
}

/* ---- instructions ---- */

#define TRY(name, code)                                                                            \
	static int try_##name(void)                                                                \
	{                                                                                          \
		int failed = 1;                                                                    \
                                                                                                   \
		asm volatile("1: " code "\n\tmovl $0, %0\n2:\n" _ASM_EXTABLE(1b, 2b)               \
			     : "+r"(failed)                                                        \
			     : "a"(0x1000UL), "c"(0), "d"(0)                                       \
			     : "rbx", "memory");                                                   \
		return failed;                                                                     \
	}

/* by their bytes: assemblers differ in the operands */
TRY(vmrun, ".byte 0x0f, 0x01, 0xd8")
TRY(vmload, ".byte 0x0f, 0x01, 0xda")
TRY(vmsave, ".byte 0x0f, 0x01, 0xdb")
TRY(stgi, ".byte 0x0f, 0x01, 0xdc")
TRY(clgi, ".byte 0x0f, 0x01, 0xdd")
TRY(skinit, ".byte 0x0f, 0x01, 0xde")
TRY(invlpga, ".byte 0x0f, 0x01, 0xdf")
TRY(vmmcall, ".byte 0x0f, 0x01, 0xd9")
TRY(invd, ".byte 0x0f, 0x08")

static const struct {
	const char *name;
	int (*run)(void);
} instructions[] = {
	{"vmrun", try_vmrun},	  {"vmload", try_vmload},   {"vmsave", try_vmsave},
	{"stgi", try_stgi},	  {"clgi", try_clgi},	    {"skinit", try_skinit},
	{"invlpga", try_invlpga}, {"vmmcall", try_vmmcall}, {"invd", try_invd},
};

static int instruction(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(instructions); i++)
		if (!strcmp(instructions[i].name, name))
			return put(instructions[i].run());
	return -EINVAL;
}

static int set_xcr(const u64 *n)
{
	int failed = 1;

	asm volatile("1: xsetbv\n\tmovl $0, %0\n2:\n" _ASM_EXTABLE(1b, 2b)
		     : "+r"(failed)
		     : "c"((u32)n[0]), "a"((u32)n[1]), "d"((u32)(n[1] >> 32)));
	return put(failed);
}

/* The kernel's own functions have other names since 6.16. */
static int read_msr(const u64 *n)
{
	u32 low = 0, high = 0;
	int failed = 1;

	asm volatile("1: rdmsr\n\tmovl $0, %0\n2:\n" _ASM_EXTABLE(1b, 2b)
		     : "+r"(failed), "+a"(low), "+d"(high)
		     : "c"((u32)n[0]));
	return put(failed ? 1 : (u64)high << 32 | low);
}

static int write_msr(const u64 *n)
{
	int failed = 1;

	asm volatile("1: wrmsr\n\tmovl $0, %0\n2:\n" _ASM_EXTABLE(1b, 2b)
		     : "+r"(failed)
		     : "c"((u32)n[0]), "a"((u32)n[1]), "d"((u32)(n[1] >> 32))
		     : "memory");
	return put(failed);
}

/* ---- what does not return ---- */

static void other_tables(u64 address)
{
	local_irq_disable();
	asm volatile("mov %0, %%cr3" ::"r"((unsigned long)address) : "memory");
}

static void halt_for_ever(void)
{
	local_irq_disable();
	for (;;)
		asm volatile("hlt");
}

/* ---- the parameter ---- */

static int operation(char *text)
{
	u64 n[MAX_NUMBERS] = {};
	char op = text[0];

	sscanf(text + 1, "%llx %llx %llx %llx", &n[0], &n[1], &n[2], &n[3]);
	switch (op) {
	case 'r':
	case 'w':
		return memory(op, n);
	case 'i':
	case 'o':
		return port(op, n);
	case 'c':
	case 'd':
		return config(op, n);
	case 'm':
		return read_msr(n);
	case 'n':
		return write_msr(n);
	case 'x':
		return instruction(strim(text + 1));
	case 'v':
		return set_xcr(n);
	case 'u':
		udelay(n[0]);
		return 0;
	case 't':
		other_tables(n[0]);
		return 0;
	case 'h':
		halt_for_ever();
		return 0;
	}
	return -EINVAL;
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
