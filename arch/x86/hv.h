/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest CPUs on x86. What is common to AMD SVM and Intel VMX works on struct vcpu and calls the
 * vendor through `hv`; it never asks which one it is. svm/ and vmx/ fill struct hv_ops.
 */
#ifndef X86_HV_H
#define X86_HV_H

#include "boot/boot.h"
#include "core/cpu.h"
#include "core/progress.h"
#include "host.h"

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NR_GPRS };

/*
 * The guest's registers that common code works with. hv->run() fills it at each exit, and loads
 * gpr, rip and rflags from it at the next entry; the rest is read only.
 */
struct vcpu {
	u64 gpr[NR_GPRS];
	u64 rip, rflags;
	u64 exit_rip; /* where the last exit was */
	u64 cr0, cr3, cr4, efer;
	u64 gs_base, kernel_gs_base;
	u32 cpl;
	bool long_code; /* CS.L: 64-bit code */
	bool wide_code; /* CS.D: 32-bit code when not 64-bit */
	u64 cs_base;
	bool shadow; /* interrupt shadow: the last instruction blocks interrupts for one more (STI,
			MOV SS) */
	/*
	 * The event to be delivered at the next entry, or 0. After an exit it is the event whose
	 * delivery the exit interrupted, unless its instruction runs again and raises it again.
	 * SVM's EVENTINJ (APM vol. 2, 15.20): the error code is in the upper half, the lower one is
	 * VMX's VM-entry interruption information as well.
	 */
	u64 event;
};

#define EVENT_VECTOR(e) ((e)&0xff)
#define EVENT_TYPE(e)	((e) & (7u << 8))
#define EVENT_NMI	(2u << 8)
#define EVENT_EXCEPTION (3u << 8)
#define EVENT_SOFTWARE	(4u << 8)
#define EVENT_HAS_ERROR (1u << 11)
#define EVENT_VALID	(1u << 31)

struct segment {
	u16 selector;
	u16 attributes; /* bits 0-7: type, S, DPL, P; 8-11: AVL, L, D, G */
	u32 limit;
	u64 base;
};

/* MSRs of system calls, in the order of the VMCB (APM vol. 2, table B-2). */
enum syscall_msr {
	SYSCALL_STAR,
	SYSCALL_LSTAR,
	SYSCALL_CSTAR,
	SYSCALL_SFMASK,
	SYSCALL_KERNEL_GS_BASE,
	SYSENTER_CS,
	SYSENTER_ESP,
	SYSENTER_EIP,
	NR_SYSCALL_MSRS
};
extern const u32 syscall_msrs[NR_SYSCALL_MSRS];

/* The state in which a CPU enters the guest first (state.c makes it). */
struct guest_state {
	u64 gpr[NR_GPRS];
	u64 rip, rflags;
	u64 cr0, cr2, cr3, cr4, efer, dr6, dr7, pat;
	struct segment es, cs, ss, ds, fs, gs, ldtr, tr;
	struct segment gdtr, idtr; /* limit and base */
	u64 syscall[NR_SYSCALL_MSRS];
};

/* The work that is due after a single step. */
enum step_reason {
	STEP_NONE,
	STEP_SHADOWED, /* end the access to a shadowed page */
	STEP_VENDOR,   /* for the vendor's part: SVM steps over the IRET of an NMI handler */
};

struct arch_cpu {
	struct cpu *self; /* first: cpu_this() reads it at GS:0 */
	struct vcpu vcpu;
	struct host_cpu host;
	void *hv; /* the vendor's part */

	/* nmi.c. Written by any CPU: */
	u32 kick;	 /* an NMI of the monitor has been sent and not arrived */
	u32 kicks_again; /* NMIs sent while an earlier one had not arrived */
	u32 guest_nmi;	 /* the guest sent this CPU an NMI */
	u64 kick_us;
	/* by this CPU: */
	bool nmi_pending; /* to be injected */

	/* smp.c. Written by any CPU: */
	u32 init_requests;  /* number of CPUs that ask this one to leave the guest, so that they can
			       send it a real INIT */
	u32 stopped;	    /* leave it until the guest sends INIT (guest/kexec.c) */
	u32 waits_for_sipi; /* the guest's INIT has been carried out */
	u32 sipi_vector;    /* where the guest wants this CPU to start */
	/* by this CPU: */
	u32 alive; /* came out of the trampoline */
	u32 quiet; /* out of the guest, and no kick is in flight */

	/* icr.c: logical destination, as the guest set it in this CPU's local APIC */
	u32 ldr, dfr;

	/* msr.c: guest's time stamp counter minus the machine's, which the monitor uses */
	u64 tsc_offset;

	struct progress progress;
	enum step_reason step;
	bool flush; /* drop stage-2 translations at the next entry */
};

/* The caller of arch_take_over(), as entry.S saves it. */
struct native_frame {
	u64 r15, r14, r13, r12, rbp, rbx, rflags, rip;
	/* the caller's stack goes on behind it */
};

struct pt_format;

/*
 * One vendor's virtualization. Where SVM and VMX differ, the comment describes both. SVM: APM vol.
 * 2, chapter 15. VMX: SDM vol. 3, part "Virtual Machine Extensions"; its sections are cited by
 * title, since their numbers change with the editions.
 */
struct hv_ops {
	const char *name;
	u32 hypercall_insn; /* enum suture_hypercall_insn */

	/*
	 * Does this machine support it? 0, or negative errno with `why`; -ENODEV, without: the
	 * processor does not have it. Reports all that would make enable() fail (VMX:
	 * FEATURE_CONTROL, the capability MSRs). Boot CPU, native.
	 */
	int (*probe)(char *why, size_t why_size);
	/* The format of stage 2: NPT or EPT, with the leaves that this machine can have. Any CPU,
	 * after probe(). */
	const struct pt_format *(*stage2_format)(void);
	/*
	 * Allocate the structures that all CPUs share, and (setup_cpu) those of one CPU. -ENOMEM.
	 * Boot CPU, in core_init.
	 */
	int (*setup)(void);
	int (*setup_cpu)(struct cpu *c);
	/* Guest access to these ports exits. Boot CPU, in core_init, after setup(). */
	void (*intercept_ports)(u16 first, u16 count);
	/*
	 * Guest reads, writes or both of this MSR exit; an MSR that the bitmap does not cover exits
	 * anyway. After setup(); also on a guest CPU, in its exit: takes effect at its next entry,
	 * on other CPUs some time later.
	 */
	void (*intercept_msr)(u32 msr, bool read, bool write);

	/*
	 * Turn virtualization on, and off, which leaves the guest state as it is. On that CPU, on
	 * the monitor's tables, interrupts off, no locks held. While it is on, INIT is held back
	 * from a CPU in the monitor, and so are NMIs without force_exit(); disable() lets them take
	 * effect (SVM: STGI, 15.17; VMX: VMXOFF, "Restrictions on VMX Operation"). After INIT the
	 * CPU waits for SIPI and does not return. VMX's enable() dies if VMXON fails.
	 */
	void (*enable)(struct cpu *c);
	void (*disable)(struct cpu *c);
	/* Make this the guest state, with nothing pending. On that CPU, enabled. */
	void (*set_state)(struct cpu *c, const struct guest_state *s);
	/* Enter the guest, leave it, handle the exit. On that CPU. */
	enum exit_class (*run)(struct cpu *c);
	/*
	 * The monitor's handler has taken an NMI, which may have been a kick: make the next entry
	 * exit at once to nmi_exit(), after the event that it injects. On that CPU, in that
	 * handler. (VMX: the preemption timer at 0, "VMX-Preemption Timer"; exits by it call
	 * nmi_exit().) NULL: NMIs stay pending until the next entry, and cause an exit then (SVM:
	 * GIF is clear, 15.17).
	 */
	void (*force_exit)(struct cpu *c);

	/* Advance over the instruction that caused the exit, of len bytes. */
	void (*skip)(struct cpu *c, u32 len);
	/*
	 * True: the guest can take an NMI at the next entry, and the caller injects one or leaves
	 * it. False: the guest exits, by any exit, as soon as it can take one. (SVM: its handler's
	 * IRET, stepped over, 15.9; or a kick to itself if an event must be delivered first. VMX:
	 * NMI-window exiting, for blocking by NMI, STI and MOV SS alike.)
	 */
	bool (*nmi_window)(struct cpu *c);
	/* Run one instruction with interrupts held back; then vcpu_step_done() is called. (SVM: TF;
	 * VMX: "Monitor Trap Flag".) */
	void (*step_begin)(struct cpu *c);
	/*
	 * End the single step. completed: the instruction has completed, and the flags that it has
	 * loaded stay.
	 */
	void (*step_end)(struct cpu *c, bool completed);
	/* Set EFER as the guest sees it; the caller has checked the value. */
	void (*set_efer)(struct cpu *c, u64 efer);
	/* Set LSTAR, the entry point of SYSCALL in 64-bit mode; a canonical address. */
	void (*set_lstar)(struct cpu *c, u64 lstar);
	/*
	 * User space runs on this CPU: CPUID need not exit from now on, until the CPU writes GDTR
	 * or IDTR, or gets another state by set_state(). On that CPU, in its exit. NULL: CPUID
	 * always exits (VMX: "Instructions That Cause VM Exits Unconditionally").
	 */
	void (*release_cpuid)(struct cpu *c);
	/*
	 * The next LGDT or LIDT exits, once: vcpu_tables_change() is called before it is executed.
	 * On that CPU, in its exit. (VMX: "descriptor-table exiting".)
	 */
	void (*catch_tables)(struct cpu *c);
};

/* ---- pt_format.c: entries as struct pt_format has them, in the form of the guest's tables, which
 * the monitor's own and nested ones have too. Any CPU. ---- */

bool x86_present(u64 entry, u32 level);
bool x86_leaf(u64 entry, u32 level);
u64 x86_addr(u64 entry, u32 level);
u32 x86_attrs(u64 entry, u32 level);
u64 x86_make_leaf(u64 pa, u32 level, u32 attrs);
u64 x86_make_table(u64 pa, u32 level);
/*
 * Where the guest's physical addresses end: of so many bits, one of which may be that of
 * encryption.
 */
u64 physical_limit(u32 address_bits, bool encrypts, u32 encryption_bit);

/* vendor.c chooses the one that this machine has. */
extern const struct hv_ops svm_ops, vmx_ops;
extern const struct hv_ops *hv;
/*
 * Choose it. 0, or negative errno with the reason of the vendor whose processor this is. Boot CPU.
 */
int vendor_find(char *why, size_t why_size);

/* start.c: the boot part's description of the machine; in the monitor's memory. */
extern struct boot_info *machine;

/* ---- event.c: what the vendors report alike. Any CPU. ---- */

/*
 * The event that is to be delivered after an exit that interrupted the delivery of `event`: the
 * same, unless it is of an instruction (INT n, INT3, INTO, INT1), or 0. RIP is still at such an
 * instruction, which runs again, and an event that is injected would return there. (APM vol. 2,
 * 15.7.2 and 15.20; SDM vol. 3, "Information for VM Exits During Event Delivery".)
 */
u64 event_again(u64 event);
/* Advance over an instruction of len bytes: RIP, RFLAGS.RF and the interrupt shadow. */
void vcpu_advance(struct vcpu *v, u32 len);

/* ---- vcpu.c: exits that the vendors share. On the CPU, in its exit. ---- */

/* Enter the guest and never come back. State CPU_GUEST; nothing of the caller is needed again. */
_Noreturn void vcpu_loop(struct cpu *c);

/*
 * Inject the exception at the next entry. If it occurs during the delivery of another one it may
 * become a double fault, and then a shutdown, as on hardware. An event that is not an exception
 * gives way.
 */
void vcpu_inject_fault(struct cpu *c, u8 vector, bool has_error, u32 error);

void vcpu_cpuid(struct cpu *c, u32 len);
/* XSETBV (it exits on VMX alone) and INVD. */
void vcpu_xsetbv(struct cpu *c, u32 len);
void vcpu_invd(struct cpu *c, u32 len);
void vcpu_hypercall(struct cpu *c, u32 len);
/*
 * The guest is about to write GDTR or IDTR: a kernel ends or begins. Linux executes LIDT with a
 * limit of 0 before it jumps into another kernel: from then on an NMI would be a triple fault.
 */
void vcpu_tables_change(struct cpu *c);
/* msr.c: intercept the MSRs that the table lists. Boot CPU, in core_init, after hv->setup(). */
void msr_init(void);
/* RDMSR and WRMSR of MSRs that the bitmap intercepts or does not cover. */
enum exit_class vcpu_rdmsr(struct cpu *c, u32 len);
enum exit_class vcpu_wrmsr(struct cpu *c, u32 len);
/* A triple fault: log and reset the machine, as chipsets do. */
_Noreturn void vcpu_shutdown(struct cpu *c);
/*
 * The guest state of c cannot be entered again: mark the CPU dead, log its registers, and halt. The
 * other CPUs go on, and the operator sees which one is dead; `cause` as for cpu_mark_dead(), `what`
 * describes it.
 */
_Noreturn void vcpu_die(struct cpu *c, const char *cause, const char *what, u64 code, u64 info1,
			u64 info2);

/* fault.c: stage 2 refused an access. */
struct stage2_fault {
	ipa_t ipa;
	bool write, fetch;
	bool table_walk; /* the access was the CPU's own, to the guest's page tables */
};
enum exit_class vcpu_stage2_fault(struct cpu *c, const struct stage2_fault *f);
/* The single step is over: the instruction completed, or it caused an exception (which the vendor
 * injects then). */
void vcpu_step_done(struct cpu *c, bool completed);

/*
 * ioport.c: value is that of RAX for OUT. Ports of the intercepted ranges only. string: INS or
 * OUTS, which is ignored.
 */
void vcpu_io(struct cpu *c, u16 port, u32 size, bool in, bool string);

/* ---- decode.c ---- */

struct guest_insn {
	u32 len;
	bool store; /* a plain MOV to memory */
	u32 size;   /* of the operand, bytes */
	u64 value;  /* the value that it stores */
};

/*
 * Fetch and decode the instruction at the CPU's RIP. 0; -EFAULT: not readable; -EINVAL: not an
 * instruction.
 */
int vcpu_decode(struct cpu *c, struct guest_insn *insn);
/* Copy up to `len` bytes at the CPU's RIP + offset; returns how many could be read. */
size_t vcpu_fetch(struct cpu *c, s64 offset, u8 *buf, size_t len);

/* ---- nmi.c ---- */

/* An NMI has come while the monitor runs on this CPU. In its handler. */
void nmi_in_monitor(struct cpu *c);
/* An NMI exit; its NMI has been drained. */
enum exit_class nmi_exit(struct cpu *c);
/* Send the guest's NMI to c. Any CPU. */
void nmi_send_guest(struct cpu *self, struct cpu *c);
/* Inject a pending NMI. Before each entry. */
void nmi_deliver(struct cpu *c);

/* ---- state.c ---- */

/*
 * The present state of this CPU, in which the caller of arch_take_over() continues as the guest.
 * Boot CPU, on the firmware's tables.
 */
void state_capture(struct guest_state *s, const struct native_frame *frame);
/*
 * The state of a CPU that got a SIPI after INIT; cr0: its value before (APM vol. 2, 14.1.3 and
 * 16.5; SDM vol. 3, "Processor State After Reset"). On that CPU.
 */
void state_reset(struct guest_state *s, u8 vector, u64 cr0);

/* misc.c: map the debug port, if it is in memory. Boot CPU. As idmap_add(). */
struct idmap;
int misc_map(struct idmap *m);

#endif
