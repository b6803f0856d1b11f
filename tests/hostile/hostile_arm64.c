// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a hostile kernel does on arm64 (hostile_main.c has the rest). ESR: what the processor says
 *of the exception that the instruction raised at EL1, 0 if none.
 *
 *	m REG			read a register (registers[]); reads ESR and the value
 *	n REG VALUE		write it; reads ESR
 *	x INSN			an instruction (instructions[]); reads ESR
 *	a INSN PHYSICAL		an access (accesses[]) to this address; reads ESR
 *	p PHYSICAL		a load through page tables of user space from there; reads ESR
 *	s NUMBER A B C		an SMC; reads its answer
 *	t PHYSICAL		the kernel's page tables from there, interrupts off: does not return
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/barrier.h>
#include <asm/pgtable-hwdef.h>
#include <asm/memory.h>
#include <asm/sysreg.h>

#include "hostile.h"

/* ---- with vectors of our own ---- */

struct guard {
	u64 vbar, daif;
};

static void guard_enter(struct guard *g)
{
	extern char hostile_vectors[];

	g->daif = read_sysreg(daif);
	asm volatile("msr daifset, #15" ::: "memory");
	g->vbar = read_sysreg(vbar_el1);
	write_sysreg((unsigned long)hostile_vectors, vbar_el1);
	isb();
}

static void guard_leave(const struct guard *g)
{
	write_sysreg(g->vbar, vbar_el1);
	isb();
	write_sysreg(g->daif, daif);
}

#define GUARDED(code) "adr x16, 9f\n\tmov x17, xzr\n\t" code "\n9:\tisb\n\t"

/* ---- registers ---- */

#define REGISTERS(R)                                                                               \
	R(hcr_el2, "s3_4_c1_c1_0")                                                                 \
	R(sctlr_el2, "s3_4_c1_c0_0")                                                               \
	R(mdcr_el2, "s3_4_c1_c1_1")                                                                \
	R(cptr_el2, "s3_4_c1_c1_2")                                                                \
	R(vttbr_el2, "s3_4_c2_c1_0")                                                               \
	R(vtcr_el2, "s3_4_c2_c1_2")                                                                \
	R(ttbr0_el2, "s3_4_c2_c0_0")                                                               \
	R(vbar_el2, "s3_4_c12_c0_0")                                                               \
	R(tpidr_el2, "s3_4_c13_c0_2")                                                              \
	R(elr_el2, "s3_4_c4_c0_1")                                                                 \
	R(spsr_el2, "s3_4_c4_c0_0")                                                                \
	R(sp_el1, "s3_4_c4_c1_0")                                                                  \
	R(vmpidr_el2, "s3_4_c0_c0_5")                                                              \
	R(cnthctl_el2, "s3_4_c14_c1_0")                                                            \
	R(cntvoff_el2, "s3_4_c14_c0_3")                                                            \
	R(cnthp_ctl_el2, "s3_4_c14_c2_1")                                                          \
	R(icc_sre_el2, "s3_4_c12_c9_5")                                                            \
	R(ich_hcr_el2, "s3_4_c12_c11_0")                                                           \
	R(ich_lr0_el2, "s3_4_c12_c12_0")                                                           \
	R(scr_el3, "s3_6_c1_c1_0")                                                                 \
	R(icc_sre_el1, "s3_0_c12_c12_5")                                                           \
	R(icc_ctlr_el1, "s3_0_c12_c12_4")                                                          \
	R(icc_pmr_el1, "s3_0_c4_c6_0")                                                             \
	R(icc_igrpen1_el1, "s3_0_c12_c12_7")                                                       \
	R(icc_sgi0r_el1, "s3_0_c12_c11_7")                                                         \
	R(icc_sgi1r_el1, "s3_0_c12_c11_5")                                                         \
	R(icc_asgi1r_el1, "s3_0_c12_c11_6")                                                        \
	R(icc_dir_el1, "s3_0_c12_c11_1")                                                           \
	R(icc_eoir1_el1, "s3_0_c12_c12_1")                                                         \
	R(oslar_el1, "s2_0_c1_c0_4")                                                               \
	R(osdlr_el1, "s2_0_c1_c3_4")                                                               \
	R(mdscr_el1, "s2_0_c0_c2_2")                                                               \
	R(dbgbcr0_el1, "s2_0_c0_c0_5")                                                             \
	R(dbgbvr0_el1, "s2_0_c0_c0_4")                                                             \
	R(dbgwcr0_el1, "s2_0_c0_c0_7")                                                             \
	R(dbgwvr0_el1, "s2_0_c0_c0_6")                                                             \
	R(cntkctl_el1, "s3_0_c14_c1_0")                                                            \
	R(pmcr_el0, "s3_3_c9_c12_0")

#define REGISTER_FUNCTIONS(name, code)                                                             \
	static u64 read_##name(u64 *value)                                                         \
	{                                                                                          \
		u64 esr;                                                                           \
                                                                                                   \
		asm volatile(GUARDED("mrs %1, " code) "mov %0, x17"                                \
			     : "=&r"(esr), "=&r"(*value)                                           \
			     :                                                                     \
			     : "x15", "x16", "x17", "memory");                                     \
		return esr;                                                                        \
	}                                                                                          \
                                                                                                   \
	static u64 write_##name(u64 value)                                                         \
	{                                                                                          \
		u64 esr;                                                                           \
                                                                                                   \
		asm volatile(GUARDED("msr " code ", %1") "mov %0, x17"                             \
			     : "=&r"(esr)                                                          \
			     : "r"(value)                                                          \
			     : "x15", "x16", "x17", "memory");                                     \
		return esr;                                                                        \
	}

REGISTERS(REGISTER_FUNCTIONS)

#define REGISTER_LINE(name, code) {#name, read_##name, write_##name},

static const struct {
	const char *name;
	u64 (*read)(u64 *value);
	u64 (*write)(u64 value);
} registers[] = {REGISTERS(REGISTER_LINE)};

static int a_register(char op, const char *name, u64 value)
{
	struct guard g;
	unsigned int i;
	u64 esr, was = 0;
	int err;

	for (i = 0; i < ARRAY_SIZE(registers) && strcmp(registers[i].name, name); i++)
		;
	if (i == ARRAY_SIZE(registers))
		return -EINVAL;
	guard_enter(&g);
	esr = op == 'm' ? registers[i].read(&was) : registers[i].write(value);
	guard_leave(&g);
	err = hostile_put(esr);
	return err || op == 'n' ? err : hostile_put(was);
}

/* ---- instructions, and accesses to x0 ---- */

#define INSTRUCTIONS(I)                                                                            \
	I(tlbi_alle1, "tlbi alle1")                                                                \
	I(tlbi_alle2, "tlbi alle2")                                                                \
	I(tlbi_vmalls12, "tlbi vmalls12e1")                                                        \
	I(tlbi_ipas2, "tlbi ipas2e1is, xzr")                                                       \
	I(at_el2, "at s1e2r, xzr")                                                                 \
	I(at_s12, "at s12e1r, xzr")                                                                \
	I(eret_to_el2, "msr elr_el1, x16\n\tmov x15, #0x3c9\n\tmsr spsr_el1, x15\n\teret")         \
	I(eret_to_a32, "msr elr_el1, x16\n\tmov x15, #0x1d3\n\tmsr spsr_el1, x15\n\teret")         \
	I(hvc_1, "hvc #1")                                                                         \
	I(smc_1, "smc #1")                                                                         \
	I(hlt, "hlt #0xf000")                                                                      \
	I(brk, "brk #0x77")                                                                        \
	I(udf, ".inst 0")                                                                          \
	I(wfe, "wfe")

#define ACCESSES(A)                                                                                \
	A(load, "ldr x1, [x0]")                                                                    \
	A(load_pair, "ldp x1, x2, [x0]")                                                           \
	A(load_exclusive, "ldxr x1, [x0]")                                                         \
	A(store, "str xzr, [x0]")                                                                  \
	A(store_pair, "stp xzr, xzr, [x0]")                                                        \
	A(store_post, "str xzr, [x0], #8")                                                         \
	A(store_vector, "stp q0, q1, [x0]")                                                        \
	A(store_release, "stlr xzr, [x0]")                                                         \
	A(store_exclusive, "ldxr x1, [x0]\n\tstxr w2, x1, [x0]")                                   \
	A(store_pair_exclusive, "ldxp x1, x2, [x0]\n\tstxp w3, x1, x2, [x0]")                      \
	A(store_across, "add x0, x0, #4092\n\tstr xzr, [x0]")                                      \
	A(load_across, "add x0, x0, #4092\n\tldr x1, [x0]")                                        \
	A(zero_line, "dc zva, x0")                                                                 \
	A(clean_line, "dc civac, x0")                                                              \
	A(discard_line, "dc ivac, x0")                                                             \
	A(discard_code, "ic ivau, x0")                                                             \
	A(translate_read, "at s1e1r, x0")                                                          \
	A(translate_write, "at s1e1w, x0")                                                         \
	A(prefetch, "prfm pstl1keep, [x0]")                                                        \
	A(execute, "br x0")

#define INSTRUCTION_FUNCTION(name, code)                                                           \
	static u64 do_##name(u64 where)                                                            \
	{                                                                                          \
		register u64 x0 asm("x0") = where;                                                 \
		u64 esr;                                                                           \
                                                                                                   \
		asm volatile(".arch_extension simd\n\t" GUARDED(code) "mov %0, x17"                \
			     : "=&r"(esr), "+r"(x0)                                                \
			     :                                                                     \
			     : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", \
			       "x12", "x13", "x14", "x15", "x16", "x17", "cc", "memory");          \
		return esr;                                                                        \
	}

INSTRUCTIONS(INSTRUCTION_FUNCTION)
ACCESSES(INSTRUCTION_FUNCTION)

#define INSTRUCTION_LINE(name, code) {#name, do_##name},

struct insn {
	const char *name;
	u64 (*run)(u64 where);
};

static const struct insn instructions[] = {INSTRUCTIONS(INSTRUCTION_LINE){}};
static const struct insn accesses[] = {ACCESSES(INSTRUCTION_LINE){}};

static const struct insn *find_insn(const struct insn *i, const char *name)
{
	for (; i->name; i++)
		if (!strcmp(i->name, name))
			return i;
	return NULL;
}

static int instruction(const char *name)
{
	const struct insn *i = find_insn(instructions, name);
	struct guard g;
	u64 esr;

	if (!i)
		return -EINVAL;
	guard_enter(&g);
	esr = i->run(0);
	guard_leave(&g);
	return hostile_put(esr);
}

/* ---- page tables of our own, in the place of user space's ---- */

#define LEVELS	    4
#define PAGE	    (PTE_TYPE_PAGE | PTE_AF | PTE_SHARED | PTE_ATTRINDX(MT_NORMAL))
#define VALID_TABLE 3ull

static void flush_tlb_here(void)
{
	asm volatile("tlbi vmalle1\n\tdsb nsh\n\tisb" ::: "memory");
}

static u64 run_with_tables(u64 root, const struct insn *i, u64 where)
{
	struct guard g;
	u64 esr, was;

	guard_enter(&g);
	was = read_sysreg(ttbr0_el1);
	write_sysreg(root, ttbr0_el1);
	isb();
	flush_tlb_here();
	esr = i->run(where);
	write_sysreg(was, ttbr0_el1);
	isb();
	flush_tlb_here();
	guard_leave(&g);
	return esr;
}

/* Two pages at the bottom: so that an access may cross them. */
static int access(const char *name, u64 physical)
{
	const struct insn *i = find_insn(accesses, name);
	u64 *tables = (u64 *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, 2);
	unsigned int level, entries = PAGE_SIZE / sizeof(u64);
	int err = -ENOMEM;
	u64 root;

	if (!tables)
		return err;
	root = virt_to_phys(tables);
	for (level = 1; level < LEVELS; level++)
		tables[(level - 1) * entries] = (root + level * PAGE_SIZE) | VALID_TABLE;
	for (level = 0; level < 2; level++)
		tables[(LEVELS - 1) * entries + level] =
			((physical & PAGE_MASK) + level * PAGE_SIZE) | PAGE;
	dsb(ishst);
	err = i ? hostile_put(run_with_tables(root, i, physical & ~PAGE_MASK)) : -EINVAL;
	free_pages((unsigned long)tables, 2);
	return err;
}

static void other_tables(u64 root)
{
	asm volatile("msr daifset, #15\n\t"
		     "msr ttbr1_el1, %0\n\tisb\n\ttlbi vmalle1\n\tdsb nsh\n\tisb" ::"r"(root)
		     : "memory");
}

/* ---- calls ---- */

#define CALL(insn)                                                                                 \
	({                                                                                         \
		register u64 x0 asm("x0") = n[0];                                                  \
		register u64 x1 asm("x1") = n[1];                                                  \
		register u64 x2 asm("x2") = n[2];                                                  \
		register u64 x3 asm("x3") = n[3];                                                  \
                                                                                                   \
		asm volatile(insn " #0"                                                            \
			     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)                              \
			     :                                                                     \
			     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",     \
			       "x14", "x15", "x16", "x17", "memory");                              \
		x0;                                                                                \
	})

u64 hostile_call(const u64 *n)
{
	return CALL("hvc");
}

void hostile_halt(void)
{
	for (;;)
		asm volatile("wfi");
}

int hostile_arch_operation(char op, char *text, const u64 *n)
{
	char name[32];
	u64 value = 0;

	switch (op) {
	case 'p':
		return hostile_put(run_with_tables(n[0], find_insn(accesses, "load"), 0));
	case 's':
		return hostile_put(CALL("smc"));
	case 't':
		other_tables(n[0]);
		return 0;
	}
	if (sscanf(text, "%31s %llx", name, &value) < 1)
		return -EINVAL;
	switch (op) {
	case 'm':
	case 'n':
		return a_register(op, name, value);
	case 'x':
		return instruction(name);
	case 'a':
		return access(name, value);
	}
	return -EINVAL;
}
