// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a hostile kernel does on x86 (hostile_main.c has the rest):
 *
 *	i SIZE PORT		read a port
 *	o SIZE PORT VALUE	write a port
 *	m MSR			read an MSR; 1 for #GP
 *	n MSR VALUE		write it; reads 0, or 1 for #GP
 *	x INSN			an instruction (instructions[]); reads 0, or 1 for a fault
 *	v REG VALUE		XSETBV; reads 0, or 1 for a fault
 *	t PHYSICAL		page tables from there, interrupts off: does not return
 */
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/asm.h>
#include <asm/processor.h>

#include "hostile.h"

static int port(char op, const u64 *n)
{
	if (op == 'i')
		return hostile_put(n[0] == 1 ? inb(n[1]) : n[0] == 2 ? inw(n[1]) : inl(n[1]));
	if (n[0] == 1)
		outb(n[2], n[1]);
	else if (n[0] == 2)
		outw(n[2], n[1]);
	else
		outl(n[2], n[1]);
	return 0;
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
TRY(vmxon, ".byte 0xf3, 0x0f, 0xc7, 0x30")
TRY(vmclear, ".byte 0x66, 0x0f, 0xc7, 0x30")
TRY(vmptrld, ".byte 0x0f, 0xc7, 0x30")
TRY(vmptrst, ".byte 0x0f, 0xc7, 0x38")
TRY(vmlaunch, ".byte 0x0f, 0x01, 0xc2")
TRY(vmresume, ".byte 0x0f, 0x01, 0xc3")
TRY(vmxoff, ".byte 0x0f, 0x01, 0xc4")
TRY(vmread, ".byte 0x0f, 0x78, 0xc3")
TRY(vmwrite, ".byte 0x0f, 0x79, 0xc3")
TRY(vmfunc, ".byte 0x0f, 0x01, 0xd4")
TRY(invept, ".byte 0x66, 0x0f, 0x38, 0x80, 0x10")
TRY(invvpid, ".byte 0x66, 0x0f, 0x38, 0x81, 0x10")
TRY(getsec, ".byte 0x0f, 0x37")
TRY(vmcall, ".byte 0x0f, 0x01, 0xc1")

/* A write of CR4 that turns VMX on. */
static int try_cr4_vmxe(void)
{
	unsigned long cr4;
	int failed = 1;

	asm volatile("mov %%cr4, %1\n\torq $0x2000, %1\n1: mov %1, %%cr4\n\tmovl $0, "
		     "%0\n2:\n" _ASM_EXTABLE(1b, 2b)
		     : "+r"(failed), "=&r"(cr4)
		     :
		     : "memory");
	return failed;
}

static const struct {
	const char *name;
	int (*run)(void);
} instructions[] = {
	{"vmrun", try_vmrun},	  {"vmload", try_vmload},     {"vmsave", try_vmsave},
	{"stgi", try_stgi},	  {"clgi", try_clgi},	      {"skinit", try_skinit},
	{"invlpga", try_invlpga}, {"vmmcall", try_vmmcall},   {"invd", try_invd},
	{"vmxon", try_vmxon},	  {"vmclear", try_vmclear},   {"vmptrld", try_vmptrld},
	{"vmptrst", try_vmptrst}, {"vmlaunch", try_vmlaunch}, {"vmresume", try_vmresume},
	{"vmxoff", try_vmxoff},	  {"vmread", try_vmread},     {"vmwrite", try_vmwrite},
	{"vmfunc", try_vmfunc},	  {"invept", try_invept},     {"invvpid", try_invvpid},
	{"getsec", try_getsec},	  {"vmcall", try_vmcall},     {"cr4_vmxe", try_cr4_vmxe},
};

static int instruction(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(instructions); i++)
		if (!strcmp(instructions[i].name, name))
			return hostile_put(instructions[i].run());
	return -EINVAL;
}

static int set_xcr(const u64 *n)
{
	int failed = 1;

	asm volatile("1: xsetbv\n\tmovl $0, %0\n2:\n" _ASM_EXTABLE(1b, 2b)
		     : "+r"(failed)
		     : "c"((u32)n[0]), "a"((u32)n[1]), "d"((u32)(n[1] >> 32)));
	return hostile_put(failed);
}

/* The kernel's own functions have other names since 6.16. */
static int read_msr(const u64 *n)
{
	u32 low = 0, high = 0;
	int failed = 1;

	asm volatile("1: rdmsr\n\tmovl $0, %0\n2:\n" _ASM_EXTABLE(1b, 2b)
		     : "+r"(failed), "+a"(low), "+d"(high)
		     : "c"((u32)n[0]));
	return hostile_put(failed ? 1 : (u64)high << 32 | low);
}

static int write_msr(const u64 *n)
{
	int failed = 1;

	asm volatile("1: wrmsr\n\tmovl $0, %0\n2:\n" _ASM_EXTABLE(1b, 2b)
		     : "+r"(failed)
		     : "c"((u32)n[0]), "a"((u32)n[1]), "d"((u32)(n[1] >> 32))
		     : "memory");
	return hostile_put(failed);
}

/* ---- what does not return ---- */

static void other_tables(u64 address)
{
	local_irq_disable();
	asm volatile("mov %0, %%cr3" ::"r"((unsigned long)address) : "memory");
}

void hostile_halt(void)
{
	for (;;)
		asm volatile("hlt");
}

#define CALL(bytes, result, n)                                                                     \
	asm volatile(".byte " bytes                                                                \
		     : "=a"(result)                                                                \
		     : "a"((n)[0]), "b"((n)[1]), "c"((n)[2]), "d"((n)[3]), "S"(0ul)                \
		     : "memory")

u64 hostile_call(const u64 *n)
{
	u64 result;

	if (boot_cpu_data.x86_vendor == X86_VENDOR_INTEL)
		CALL("0x0f, 0x01, 0xc1", result, n); /* vmcall */
	else
		CALL("0x0f, 0x01, 0xd9", result, n); /* vmmcall */
	return result;
}

int hostile_arch_operation(char op, char *text, const u64 *n)
{
	switch (op) {
	case 'i':
	case 'o':
		return port(op, n);
	case 'm':
		return read_msr(n);
	case 'n':
		return write_msr(n);
	case 'x':
		return instruction(text);
	case 'v':
		return set_xcr(n);
	case 't':
		other_tables(n[0]);
		return 0;
	}
	return -EINVAL;
}
