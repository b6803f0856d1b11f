/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that C cannot express, with the bits and numbers that they use. */
#ifndef X86_INSN_H
#define X86_INSN_H

#include "lib/types.h"

#define CR0_PE (1ull << 0)
#define CR0_MP (1ull << 1)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_NW (1ull << 29)
#define CR0_CD (1ull << 30)
#define CR0_PG (1ull << 31)

#define CR4_PSE	    (1ull << 4)
#define CR4_PAE	    (1ull << 5)
#define CR4_MCE	    (1ull << 6)
#define CR4_PGE	    (1ull << 7)
#define CR4_LA57    (1ull << 12)
#define CR4_PCIDE   (1ull << 17)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_SMEP    (1ull << 20)
#define CR4_SMAP    (1ull << 21)
#define CR4_PKE	    (1ull << 22)
#define CR4_CET	    (1ull << 23)

/* The states of XCR0 that the monitor knows; APX (19) is not one of them. */
#define XCR0_X87       (1u << 0)
#define XCR0_SSE       (1u << 1)
#define XCR0_AVX       (1u << 2)
#define XCR0_BNDREGS   (1u << 3)
#define XCR0_BNDCSR    (1u << 4)
#define XCR0_OPMASK    (1u << 5)
#define XCR0_ZMM_HIGH  (1u << 6)
#define XCR0_ZMM_UPPER (1u << 7)
#define XCR0_PKRU      (1u << 9)
#define XCR0_TILECFG   (1u << 17)
#define XCR0_TILEDATA  (1u << 18)
#define XCR0_KNOWN     (0xffu | XCR0_PKRU | XCR0_TILECFG | XCR0_TILEDATA)

#define EFER_SCE     (1ull << 0)
#define EFER_LME     (1ull << 8)
#define EFER_LMA     (1ull << 10)
#define EFER_NXE     (1ull << 11)
#define EFER_SVME    (1ull << 12)
#define EFER_FFXSR   (1ull << 14)
#define EFER_TCE     (1ull << 15)
#define EFER_MCOMMIT (1ull << 17)
#define EFER_INTWB   (1ull << 18)
#define EFER_UAIE    (1ull << 20)
#define EFER_AIBRSE  (1ull << 21)

#define RFLAGS_FIXED (1ull << 1)
#define RFLAGS_CF    (1ull << 0)
#define RFLAGS_TF    (1ull << 8)
#define RFLAGS_IF    (1ull << 9)
#define RFLAGS_RF    (1ull << 16)

#define DR6_RESET    0xffff0ff0ull
#define DR6_CAUSES   0xfull
#define DR6_BD	     (1ull << 13)
#define DR6_BS	     (1ull << 14)
#define DR7_GD	     (1ull << 13)
#define DEBUGCTL_LBR (1ull << 0)
#define DEBUGCTL_BTF (1ull << 1)
#define DR7_RESET    0x400ull

#define MSR_TSC		    0x10
#define MSR_APIC_BASE	    0x1b
#define MSR_FEATURE_CONTROL 0x3a /* Intel's, as all without another note */
#define MSR_TSC_ADJUST	    0x3b
#define MSR_BIOS_UPDT_TRIG  0x79
#define MSR_SMM_MONITOR_CTL 0x9b
#define MSR_MTRR_CAP	    0xfe
#define MSR_SYSENTER_CS	    0x174
#define MSR_SYSENTER_ESP    0x175
#define MSR_SYSENTER_EIP    0x176
#define MSR_MCG_STATUS	    0x17a
#define MSR_FRED	    0x1cc /* to 0x1d4 */
#define MSR_SMRR	    0x1f2 /* with PRMRR, to 0x1f5 */
#define MSR_MTRR_VARIABLE   0x200 /* to 0x21f */
#define MSR_MTRR_FIXED	    0x250 /* to 0x26f, with gaps */
#define MSR_DEBUGCTL	    0x1d9
#define MSR_PAT		    0x277
#define MSR_MTRR_DEFAULT    0x2ff
#define MSR_PEBS	    0x3f1 /* precise events into the debug store, to 0x3f2 */
#define MSR_VMX		    0x480 /* capabilities, to 0x493 */
#define MSR_RTIT	    0x560 /* processor trace, to 0x587 */
#define MSR_DS_AREA	    0x600 /* debug store */
#define MSR_TSC_DEADLINE    0x6e0
#define MSR_X2APIC	    0x800 /* + register offset / 16 */
#define MSR_TME		    0x981 /* memory encryption, to 0x984 */
#define MSR_UINTR	    0x985 /* to 0x98a */
#define MSR_EFER	    0xc0000080
#define MSR_STAR	    0xc0000081
#define MSR_LSTAR	    0xc0000082
#define MSR_CSTAR	    0xc0000083
#define MSR_SFMASK	    0xc0000084
#define MSR_FS_BASE	    0xc0000100
#define MSR_GS_BASE	    0xc0000101
#define MSR_KERNEL_GS_BASE  0xc0000102
#define MSR_TSC_RATIO	    0xc0000104 /* AMD's, and all below */
#define MSR_SYSCFG	    0xc0010010
#define MSR_HWCR	    0xc0010015
#define MSR_IORR	    0xc0010016 /* to 0xc0010019 */
#define MSR_TOP_MEM	    0xc001001a
#define MSR_TOP_MEM2	    0xc001001d
#define MSR_PATCH_LOADER    0xc0010020
#define MSR_SMI_IO	    0xc0010050 /* what causes an SMI: to 0xc0010056 */
#define MSR_MMIO_CFG_BASE   0xc0010058
#define MSR_SMM_BASE	    0xc0010111 /* with SMM_ADDR and SMM_MASK, to 0xc0010113 */
#define MSR_SMM_CTL	    0xc0010116
#define MSR_SMM_KEY	    0xc0010119
#define MSR_RMP_CFG	    0xc0010136
#define MSR_VM_CR	    0xc0010114
#define MSR_VM_HSAVE_PA	    0xc0010117
#define MSR_SVM_KEY	    0xc0010118
#define MSR_AVIC_DOORBELL   0xc001011b
#define MSR_VMPAGE_FLUSH    0xc001011e
#define MSR_SEV		    0xc0010130 /* GHCB, status, RMP: to 0xc0010133 */

#define MCG_STATUS_MCIP (1ull << 2) /* a machine check is being handled */

#define SYSCFG_TOP_MEM2 (1ull << 21) /* there is one */

#define APIC_BASE_BSP	 (1ull << 8)
#define APIC_BASE_X2APIC (1ull << 10)
#define APIC_BASE_ENABLE (1ull << 11)
#define APIC_BASE_ADDR	 0x000ffffffffff000ull

#define PAT_RESET 0x0007040600070406ull /* entry 0 WB, entry 3 (PCD and PWT) UC */

enum vector {
	VEC_DE = 0,
	VEC_DB = 1,
	VEC_NMI = 2,
	VEC_BP = 3,
	VEC_OF = 4,
	VEC_UD = 6,
	VEC_DF = 8,
	VEC_TS = 10, /* to VEC_GP: faults of segments */
	VEC_GP = 13,
	VEC_PF = 14,
	VEC_MC = 18
};

static inline u64 rdmsr(u32 msr)
{
	u32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" ::"a"((u32)value), "d"((u32)(value >> 32)), "c"(msr) : "memory");
}

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/* CPUID Fn0000_0001 EAX (APM vol. 3): the extended family counts from family 15 on. */
static inline u32 cpu_family(void)
{
	u32 eax = cpuid(1, 0).eax, family = eax >> 8 & 0xf;

	return family + (family == 0xf ? eax >> 20 & 0xff : 0);
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (u64)high << 32 | low;
}

#define DEFINE_CR(n)                                                                               \
	static inline u64 read_cr##n(void)                                                         \
	{                                                                                          \
		u64 v;                                                                             \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v)::"memory");                        \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_cr##n(u64 v)                                                      \
	{                                                                                          \
		__asm__ volatile("mov %0, %%cr" #n ::"r"(v) : "memory");                           \
	}
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)

#define DEFINE_DR(n)                                                                               \
	static inline u64 read_dr##n(void)                                                         \
	{                                                                                          \
		u64 v;                                                                             \
		__asm__ volatile("mov %%dr" #n ", %0" : "=r"(v));                                  \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_dr##n(u64 v)                                                      \
	{                                                                                          \
		__asm__ volatile("mov %0, %%dr" #n ::"r"(v));                                      \
	}
DEFINE_DR(6)
DEFINE_DR(7)

static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static inline u8 inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u16 inw(u16 port)
{
	u16 v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u32 inl(u16 port)
{
	u32 v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void wbinvd(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

static inline void hlt(void)
{
	__asm__ volatile("hlt" ::: "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline void irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

/* The limit and base that LGDT, LIDT, SGDT and SIDT use. */
struct descriptor_table {
	u16 limit;
	u64 base;
} __attribute__((packed));

#endif
