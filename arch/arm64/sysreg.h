/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System registers (Arm ARM DDI 0487, D19), and instructions without a result. Those that
 * assemblers know only with an extension are named by their encoding, S<op0>_<op1>_C<n>_C<m>_<op2>.
 * In unit tests (ARM64_UNIT) a test stands in for the processor.
 */
#ifndef ARM64_SYSREG_H
#define ARM64_SYSREG_H

#include "lib/types.h"

#define SYSREG_STRING(name)   #name
#define SYSREG_EXPANDED(name) SYSREG_STRING(name)
#ifdef ARM64_UNIT
u64 unit_read(const char *name);
void unit_write(const char *name, u64 value);
void unit_instruction(const char *text);
void unit_instruction_with(const char *text, u64 value);
#define read_sysreg(name)	      unit_read(SYSREG_EXPANDED(name))
#define write_sysreg(name, value)     unit_write(SYSREG_EXPANDED(name), (u64)(value))
#define instruction(text)	      unit_instruction(text)
#define instruction_with(text, value) unit_instruction_with(text, value)
#else
#define read_sysreg(name)                                                                          \
	({                                                                                         \
		u64 value_;                                                                        \
		__asm__ volatile("mrs %0, " SYSREG_EXPANDED(name) : "=r"(value_)::"memory");       \
		value_;                                                                            \
	})
#define write_sysreg(name, value)                                                                  \
	__asm__ volatile("msr " SYSREG_EXPANDED(name) ", %0" ::"r"((u64)(value)) : "memory")
#define instruction(text)	      __asm__ volatile(text ::: "memory")
#define instruction_with(text, value) __asm__ volatile(text ", %0" ::"r"((u64)(value)) : "memory")
#endif
#define isb()	  instruction("isb")
#define dsb_ish() instruction("dsb ish")

/* A field of four bits of an ID register. */
#define id_field(name, shift) ((u32)(read_sysreg(name) >> (shift)) & 15)

#define ID_AA64ISAR2_EL1 S3_0_C0_C6_2
#define ID_AA64MMFR3_EL1 S3_0_C0_C7_3
#define ID_AA64SMFR0_EL1 S3_0_C0_C4_5
#define ID_AA64PFR2_EL1	 S3_0_C0_C4_2

#define PMSIDR_EL1 S3_0_C9_C9_7

/* EL1's */
#define TCR2_EL1    S3_0_C2_C0_3
#define GCSCR_EL1   S3_0_C2_C5_0
#define GCSCRE0_EL1 S3_0_C2_C5_2
#define LORC_EL1    S3_0_C10_C4_3

/* EL2's */
#define HCRX_EL2     S3_4_C1_C2_2
#define ZCR_EL2	     S3_4_C1_C2_0
#define SMCR_EL2     S3_4_C1_C2_6
#define HFGRTR_EL2   S3_4_C1_C1_4
#define HFGWTR_EL2   S3_4_C1_C1_5
#define HFGITR_EL2   S3_4_C1_C1_6
#define HDFGRTR_EL2  S3_4_C3_C1_4
#define HDFGWTR_EL2  S3_4_C3_C1_5
#define HAFGRTR_EL2  S3_4_C3_C1_6
#define HFGRTR2_EL2  S3_4_C3_C1_2
#define HFGWTR2_EL2  S3_4_C3_C1_3
#define HFGITR2_EL2  S3_4_C3_C1_7
#define HDFGRTR2_EL2 S3_4_C3_C1_0
#define HDFGWTR2_EL2 S3_4_C3_C1_1
#define BRBCR_EL2    S2_4_C9_C0_0
#define GCSCR_EL2    S3_4_C2_C5_0
#define MPAM2_EL2    S3_4_C10_C5_0
#define MPAMHCR_EL2  S3_4_C10_C4_0
#define MPAMIDR_EL1  S3_0_C10_C4_4
#define ICC_SRE_EL2  S3_4_C12_C9_5
#define ICH_HCR_EL2  S3_4_C12_C11_0
#define PMSCR_EL2    S3_4_C9_C9_0
#define PMBIDR_EL1   S3_0_C9_C10_7

/* HCR_EL2 (D19.2.48) */
#define HCR_VM	   (1ull << 0)
#define HCR_SWIO   (1ull << 1) /* DC ISW cleans as well: what it hits may be the monitor's */
#define HCR_FMO	   (1ull << 3)
#define HCR_IMO	   (1ull << 4)
#define HCR_AMO	   (1ull << 5)
#define HCR_TWI	   (1ull << 13)
#define HCR_TSC	   (1ull << 19)
#define HCR_RW	   (1ull << 31)
#define HCR_E2H	   (1ull << 34)
#define HCR_APK	   (1ull << 40)
#define HCR_API	   (1ull << 41)
#define HCR_FIEN   (1ull << 47)
#define HCR_ENSCXT (1ull << 53)
#define HCR_ATA	   (1ull << 56)

/* SCTLR_ELx (D19.2.119, .120) */
#define SCTLR_M	       (1ull << 0)
#define SCTLR_A	       (1ull << 1)
#define SCTLR_C	       (1ull << 2)
#define SCTLR_SA       (1ull << 3)
#define SCTLR_I	       (1ull << 12)
#define SCTLR_WXN      (1ull << 19)
#define SCTLR_SPAN     (1ull << 23)
#define SCTLR_EL1_RES1 0x30d00800ull
#define SCTLR_EL2_RES1 0x30c50830ull

/* PSTATE as SPSR_EL2 has it (C5.2.20) */
#define PSTATE_MODE  0x1full
#define PSTATE_EL1H  0x5ull
#define PSTATE_A32   (1ull << 4)
#define PSTATE_DAIF  (15ull << 6)
#define PSTATE_D     (1ull << 9)
#define PSTATE_SS    (1ull << 21)
#define PSTATE_PAN   (1ull << 22)
#define PSTATE_EL(p) ((p) >> 2 & 3)

#define VECTORS_SIZE 0x800 /* those of one exception level (D1.3.1.3) */

/* ESR_ELx.EC (D19.2.37) */
#define ESR_EC(esr)   ((u32)((esr) >> 26) & 0x3f)
#define EC_WFX	      0x01
#define EC_HVC64      0x16
#define EC_SMC64      0x17
#define EC_SYSREG     0x18
#define EC_IABT_LOWER 0x20
#define EC_IABT	      0x21
#define EC_DABT_LOWER 0x24
#define EC_DABT	      0x25
#define EC_STEP_LOWER 0x32
#define ESR_IL	      (1ull << 25)

#endif
