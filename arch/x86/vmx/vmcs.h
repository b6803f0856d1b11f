/* SPDX-License-Identifier: BSD-2-Clause */
/* The fields of the VMCS (Intel SDM vol. 3, "Field Encoding in VMCS") and the bits in them. */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#define VMCS_VPID 0x0000

/* segments, in the order ES, CS, SS, DS, FS, GS, LDTR, TR: two apart */
#define VMCS_GUEST_SELECTOR    0x0800
#define VMCS_GUEST_LIMIT       0x4800
#define VMCS_GUEST_ATTRIBUTES  0x4814
#define VMCS_GUEST_BASE	       0x6806
#define VMCS_SEGMENT(field, n) ((field) + 2u * (n))

#define VMCS_HOST_ES 0x0c00
#define VMCS_HOST_CS 0x0c02
#define VMCS_HOST_SS 0x0c04
#define VMCS_HOST_DS 0x0c06
#define VMCS_HOST_FS 0x0c08
#define VMCS_HOST_GS 0x0c0a
#define VMCS_HOST_TR 0x0c0c

#define VMCS_IO_BITMAP_A    0x2000
#define VMCS_IO_BITMAP_B    0x2002
#define VMCS_MSR_BITMAP	    0x2004
#define VMCS_EXIT_STORE	    0x2006
#define VMCS_EXIT_LOAD	    0x2008
#define VMCS_ENTRY_LOAD	    0x200a
#define VMCS_TSC_OFFSET	    0x2010
#define VMCS_EPTP	    0x201a
#define VMCS_XSS_EXITING    0x202c
#define VMCS_GUEST_PHYSICAL 0x2400

#define VMCS_LINK	    0x2800
#define VMCS_GUEST_DEBUGCTL 0x2802
#define VMCS_GUEST_PAT	    0x2804
#define VMCS_GUEST_EFER	    0x2806
#define VMCS_HOST_PAT	    0x2c00
#define VMCS_HOST_EFER	    0x2c02

#define VMCS_PIN_CONTROLS     0x4000
#define VMCS_CPU_CONTROLS     0x4002
#define VMCS_EXCEPTIONS	      0x4004
#define VMCS_PF_MASK	      0x4006
#define VMCS_PF_MATCH	      0x4008
#define VMCS_CR3_TARGETS      0x400a
#define VMCS_EXIT_CONTROLS    0x400c
#define VMCS_EXIT_STORE_COUNT 0x400e
#define VMCS_EXIT_LOAD_COUNT  0x4010
#define VMCS_ENTRY_CONTROLS   0x4012
#define VMCS_ENTRY_LOAD_COUNT 0x4014
#define VMCS_ENTRY_EVENT      0x4016
#define VMCS_ENTRY_ERROR      0x4018
#define VMCS_ENTRY_LENGTH     0x401a
#define VMCS_CPU_CONTROLS_2   0x401e

#define VMCS_INSTRUCTION_ERROR 0x4400
#define VMCS_EXIT_REASON       0x4402
#define VMCS_EXIT_EVENT	       0x4404
#define VMCS_EXIT_ERROR	       0x4406
#define VMCS_VECTORING_EVENT   0x4408
#define VMCS_VECTORING_ERROR   0x440a
#define VMCS_EXIT_LENGTH       0x440c
#define VMCS_EXIT_INSTRUCTION  0x440e

#define VMCS_GUEST_GDTR_LIMIT	    0x4810
#define VMCS_GUEST_IDTR_LIMIT	    0x4812
#define VMCS_GUEST_INTERRUPTIBILITY 0x4824
#define VMCS_GUEST_ACTIVITY	    0x4826
#define VMCS_GUEST_SYSENTER_CS	    0x482a
#define VMCS_PREEMPTION_TIMER	    0x482e
#define VMCS_HOST_SYSENTER_CS	    0x4c00

#define VMCS_CR0_MASK	   0x6000
#define VMCS_CR4_MASK	   0x6002
#define VMCS_CR0_SHADOW	   0x6004
#define VMCS_CR4_SHADOW	   0x6006
#define VMCS_QUALIFICATION 0x6400

#define VMCS_GUEST_CR0		 0x6800
#define VMCS_GUEST_CR3		 0x6802
#define VMCS_GUEST_CR4		 0x6804
#define VMCS_GUEST_GDTR_BASE	 0x6816
#define VMCS_GUEST_IDTR_BASE	 0x6818
#define VMCS_GUEST_DR7		 0x681a
#define VMCS_GUEST_RSP		 0x681c
#define VMCS_GUEST_RIP		 0x681e
#define VMCS_GUEST_RFLAGS	 0x6820
#define VMCS_GUEST_PENDING_DEBUG 0x6822
#define VMCS_GUEST_SYSENTER_ESP	 0x6824
#define VMCS_GUEST_SYSENTER_EIP	 0x6826

#define VMCS_HOST_CR0	       0x6c00
#define VMCS_HOST_CR3	       0x6c02
#define VMCS_HOST_CR4	       0x6c04
#define VMCS_HOST_FS_BASE      0x6c06
#define VMCS_HOST_GS_BASE      0x6c08
#define VMCS_HOST_TR_BASE      0x6c0a
#define VMCS_HOST_GDTR_BASE    0x6c0c
#define VMCS_HOST_IDTR_BASE    0x6c0e
#define VMCS_HOST_SYSENTER_ESP 0x6c10
#define VMCS_HOST_SYSENTER_EIP 0x6c12
#define VMCS_HOST_RSP	       0x6c14
#define VMCS_HOST_RIP	       0x6c16

#ifndef __ASSEMBLY__

enum vmcs_segment { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, NR_SEGS };

/* "Pin-Based VM-Execution Controls" */
#define PIN_NMI_EXITING	     (1u << 3)
#define PIN_VIRTUAL_NMIS     (1u << 5)
#define PIN_PREEMPTION_TIMER (1u << 6)

/* "Processor-Based VM-Execution Controls": primary */
#define CPU_TSC_OFFSETTING     (1u << 3)
#define CPU_CR3_LOAD_EXITING   (1u << 15)
#define CPU_CR3_STORE_EXITING  (1u << 16)
#define CPU_NMI_WINDOW_EXITING (1u << 22)
#define CPU_IO_BITMAPS	       (1u << 25)
#define CPU_MONITOR_TRAP_FLAG  (1u << 27)
#define CPU_MSR_BITMAPS	       (1u << 28)
#define CPU_SECONDARY	       (1u << 31)

/* and secondary */
#define CPU2_EPT	   (1u << 1)
#define CPU2_TABLE_EXITING (1u << 2) /* "descriptor-table exiting" */
#define CPU2_RDTSCP	   (1u << 3)
#define CPU2_VPID	   (1u << 5)
#define CPU2_UNRESTRICTED  (1u << 7)
#define CPU2_INVPCID	   (1u << 12)
#define CPU2_XSAVES	   (1u << 20)
#define CPU2_USER_WAIT	   (1u << 26) /* TPAUSE, UMONITOR, UMWAIT */

/* "VM-Exit Controls" */
#define EXITC_SAVE_DEBUG (1u << 2)
#define EXITC_HOST_64	 (1u << 9)
#define EXITC_SAVE_PAT	 (1u << 18)
#define EXITC_LOAD_PAT	 (1u << 19)
#define EXITC_SAVE_EFER	 (1u << 20)
#define EXITC_LOAD_EFER	 (1u << 21)

/* "VM-Entry Controls" */
#define ENTRYC_LOAD_DEBUG (1u << 2)
#define ENTRYC_IA32E	  (1u << 9) /* the guest is in long mode */
#define ENTRYC_LOAD_PAT	  (1u << 14)
#define ENTRYC_LOAD_EFER  (1u << 15)

/* "Guest Non-Register State": interruptibility */
#define BLOCKED_BY_STI	  (1u << 0)
#define BLOCKED_BY_MOV_SS (1u << 1)
#define BLOCKED_BY_NMI	  (1u << 3)

#define ACTIVITY_ACTIVE 0

/* "Guest Register State": access rights; bits 12 to 15 are AVL, L, D, G */
#define ATTRIBUTES_UNUSABLE (1u << 16)

/* pending debug exceptions, and the exit qualification of #DB */
#define PENDING_DEBUG_BS (1ull << 14)

/* "Exit reasons" */
#define EXIT_ENTRY_FAILED (1u << 31)
enum vmx_exit_reason {
	VMX_EXCEPTION_OR_NMI = 0,
	VMX_TRIPLE_FAULT = 2,
	VMX_INIT = 3,
	VMX_SIPI = 4,
	VMX_NMI_WINDOW = 8,
	VMX_TASK_SWITCH = 9,
	VMX_CPUID = 10,
	VMX_GETSEC = 11,
	VMX_INVD = 13,
	VMX_VMCALL = 18,
	VMX_VMCLEAR = 19,
	VMX_VMLAUNCH = 20,
	VMX_VMPTRLD = 21,
	VMX_VMPTRST = 22,
	VMX_VMREAD = 23,
	VMX_VMRESUME = 24,
	VMX_VMWRITE = 25,
	VMX_VMXOFF = 26,
	VMX_VMXON = 27,
	VMX_CR_ACCESS = 28,
	VMX_IO = 30,
	VMX_RDMSR = 31,
	VMX_WRMSR = 32,
	VMX_INVALID_STATE = 33,
	VMX_MSR_LOADING = 34,
	VMX_MONITOR_TRAP = 37,
	VMX_GDTR_IDTR = 46,
	VMX_LDTR_TR = 47,
	VMX_EPT_VIOLATION = 48,
	VMX_EPT_MISCONFIGURATION = 49,
	VMX_INVEPT = 50,
	VMX_PREEMPTION_TIMER = 52,
	VMX_INVVPID = 53,
	VMX_XSETBV = 55,
	VMX_VMFUNC = 59,
};

/* exit qualification of an EPT violation ("Exit Qualification for EPT Violations") */
#define EPTV_WRITE	  (1ull << 1)
#define EPTV_FETCH	  (1ull << 2)
#define EPTV_LINEAR_VALID (1ull << 7)
#define EPTV_TRANSLATED	  (1ull << 8)  /* clear: the access was to the guest's page tables */
#define NMI_UNBLOCKED	  (1ull << 12) /* by an IRET; in the interruption information too */

/* of an I/O instruction */
#define IOQ_SIZE(q) ((u32)((q)&7) + 1)
#define IOQ_IN	    (1ull << 3)
#define IOQ_STRING  (1ull << 4)
#define IOQ_PORT(q) ((u16)((q) >> 16))

/* of an access to a control register */
#define CRQ_CR(q)	((u32)((q)&0xf))
#define CRQ_KIND(q)	((u32)((q) >> 4 & 3))
#define CRQ_MOV_TO	0
#define CRQ_REGISTER(q) ((u32)((q) >> 8 & 0xf))

/* "VM-Exit Instruction-Information Field", of accesses to GDTR and IDTR */
#define TABLE_INSN_LOADS(i) ((i) >> 29 & 1)

/* "VMX Capability Reporting Facility" */
#define MSR_VMX_BASIC	       0x480
#define MSR_VMX_MISC	       0x485
#define MSR_VMX_CR0_FIXED0     0x486
#define MSR_VMX_CR0_FIXED1     0x487
#define MSR_VMX_CR4_FIXED0     0x488
#define MSR_VMX_CR4_FIXED1     0x489
#define MSR_VMX_CPU_CONTROLS_2 0x48b
#define MSR_VMX_EPT_VPID       0x48c
#define MSR_VMX_TRUE_PIN       0x48d
#define MSR_VMX_TRUE_CPU       0x48e
#define MSR_VMX_TRUE_EXIT      0x48f
#define MSR_VMX_TRUE_ENTRY     0x490
#define BASIC_REVISION(v)      ((u32)(v)&0x7fffffff)
#define BASIC_TRUE_CONTROLS    (1ull << 55)
#define EPT_CAP_EXEC_ONLY      (1ull << 0)
#define EPT_CAP_4_LEVELS       (1ull << 6)
#define EPT_CAP_WB	       (1ull << 14)
#define EPT_CAP_2M	       (1ull << 16)
#define EPT_CAP_1G	       (1ull << 17)
#define EPT_CAP_INVEPT	       (1ull << 20)
#define EPT_CAP_INVEPT_SINGLE  (1ull << 25)
#define EPT_CAP_INVEPT_ALL     (1ull << 26)
#define EPT_CAP_INVVPID	       (1ull << 32)
#define EPT_CAP_INVVPID_SINGLE (1ull << 41)
#define EPT_CAP_INVVPID_ALL    (1ull << 42)

/* "Extended-Page-Table Pointer (EPTP)": write-back tables of four levels */
#define EPTP_WB_4_LEVELS (6u | 3u << 3)

#endif
#endif
