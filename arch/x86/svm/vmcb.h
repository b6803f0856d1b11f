/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual machine control block (AMD APM vol. 2, appendix B) and exit codes (appendix C). */
#ifndef SVM_VMCB_H
#define SVM_VMCB_H

#include "../hv.h" /* struct segment has the VMCB's form */

struct vmcb {
	/* control area */
	u32 intercept_cr, intercept_dr, intercept_exceptions;
	u32 intercept1, intercept2, intercept3;
	u8 reserved0[0x40 - 0x18];
	u64 iopm, msrpm;
	u64 tsc_offset;
	u32 asid;
	u8 tlb_control, reserved1[3];
	u64 v_intr;
	u64 interrupt_shadow;
	u64 exit_code, exit_info1, exit_info2, exit_int_info;
	u64 nested_control;
	u8 reserved2[0xa8 - 0x98];
	u64 event_injection;
	u64 nested_cr3;
	u64 virtual_ext;
	u32 clean, reserved3;
	u64 next_rip;
	u8 fetched, fetched_bytes[15];
	u8 reserved4[0x400 - 0xe0];
	/* state-save area */
	struct segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved5[0x4cb - 0x4a0];
	u8 cpl;
	u32 reserved6;
	u64 efer;
	u8 reserved7[0x548 - 0x4d8];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u8 reserved8[0x5d8 - 0x580];
	u64 rsp;
	u8 reserved9[0x5f8 - 0x5e0];
	u64 rax;
	u64 syscall[NR_SYSCALL_MSRS];
	u64 cr2;
	u8 reserved10[0x668 - 0x648];
	u64 g_pat;
	u8 reserved11[0x1000 - 0x670];
} __attribute__((packed));

#define VMCB_AT(field, offset)                                                                     \
	_Static_assert(offsetof(struct vmcb, field) == (offset), "VMCB layout: " #field)
VMCB_AT(iopm, 0x40);
VMCB_AT(asid, 0x58);
VMCB_AT(exit_code, 0x70);
VMCB_AT(event_injection, 0xa8);
VMCB_AT(next_rip, 0xc8);
VMCB_AT(es, 0x400);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(syscall, 0x600);
VMCB_AT(cr2, 0x640);
VMCB_AT(g_pat, 0x668);
_Static_assert(sizeof(struct vmcb) == 0x1000, "VMCB size");

/* intercept1 */
#define INTERCEPT_NMI	   (1u << 1)
#define INTERCEPT_LIDT	   (1u << 10) /* write of IDTR */
#define INTERCEPT_LGDT	   (1u << 11)
#define INTERCEPT_CPUID	   (1u << 18)
#define INTERCEPT_IRET	   (1u << 20)
#define INTERCEPT_INVD	   (1u << 22)
#define INTERCEPT_INVLPGA  (1u << 26)
#define INTERCEPT_IOIO	   (1u << 27)
#define INTERCEPT_MSR	   (1u << 28)
#define INTERCEPT_SHUTDOWN (1u << 31)
/* intercept2 */
#define INTERCEPT_VMRUN	  (1u << 0)
#define INTERCEPT_VMMCALL (1u << 1)
#define INTERCEPT_VMLOAD  (1u << 2)
#define INTERCEPT_VMSAVE  (1u << 3)
#define INTERCEPT_STGI	  (1u << 4)
#define INTERCEPT_CLGI	  (1u << 5)
#define INTERCEPT_SKINIT  (1u << 6)

#define V_INTR_MASKING (1ull << 24)

#define TLB_FLUSH_NONE	0
#define TLB_FLUSH_ALL	1
#define TLB_FLUSH_GUEST 3

#define NESTED_PAGING (1ull << 0)

enum vmexit {
	VMEXIT_EXCEPTION = 0x40, /* to 0x5f */
	VMEXIT_NMI = 0x61,
	VMEXIT_LIDT = 0x6a,
	VMEXIT_LGDT = 0x6b,
	VMEXIT_CPUID = 0x72,
	VMEXIT_IRET = 0x74,
	VMEXIT_INVD = 0x76,
	VMEXIT_INVLPGA = 0x7a,
	VMEXIT_IOIO = 0x7b,
	VMEXIT_MSR = 0x7c,
	VMEXIT_SHUTDOWN = 0x7f,
	VMEXIT_VMRUN = 0x80,
	VMEXIT_VMMCALL = 0x81,
	VMEXIT_VMLOAD = 0x82,
	VMEXIT_VMSAVE = 0x83,
	VMEXIT_STGI = 0x84,
	VMEXIT_CLGI = 0x85,
	VMEXIT_SKINIT = 0x86,
	VMEXIT_NPF = 0x400,
};

/* exit_info1 of VMEXIT_NPF (15.25.6) */
#define NPF_WRITE      (1ull << 1)
#define NPF_FETCH      (1ull << 4)
#define NPF_TABLE_WALK (1ull << 33)

/* exit_info1 of VMEXIT_IOIO (15.10.2) */
#define IOIO_IN	     (1u << 0)
#define IOIO_STRING  (1u << 2)
#define IOIO_SIZE(i) ((i) >> 4 & 7)
#define IOIO_PORT(i) ((u16)((i) >> 16))

#endif
