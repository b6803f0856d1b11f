/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest CPUs on x86. What is common to AMD SVM and Intel VMX works on struct vcpu and calls the
 * vendor through `hv`; it never asks which one it is. svm/ fills struct hv_ops; vmx/ will.
 */
#ifndef X86_HV_H
#define X86_HV_H

#include "boot/boot.h"
#include "core/cpu.h"
#include "host.h"

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NR_GPRS };

/*
 * The guest's registers that common code works with. hv->run() fills it at each exit, and takes
 * back gpr, rip and rflags; the rest is read only.
 */
struct vcpu {
	u64 gpr[NR_GPRS];
	u64 rip, rflags;
	u64 cr0, cr3, cr4, efer;
	u64 gs_base, kernel_gs_base;
	u32 cpl;
	bool long_code; /* CS.L: 64-bit code */
	bool wide_code; /* CS.D: 32-bit code when not 64-bit */
	u64 cs_base;
	bool shadow; /* the last instruction holds interrupts back for one more (STI, MOV SS) */
};

/* What an NMI step or a write to a shadowed page leaves to do when the single step is done. */
enum step_reason { STEP_NONE, STEP_IRET, STEP_WRITE };

struct arch_cpu {
	struct cpu *self; /* first: cpu_this() finds it at GS:0 */
	struct vcpu vcpu;
	struct host_cpu host;
	void *hv; /* the vendor's part */

	/* nmi.c. Written by any CPU: */
	u32 kick;	 /* an NMI of ours is on its way */
	u32 kicks_again; /* sent although one was on its way */
	u32 guest_nmi;	 /* the guest sent this CPU an NMI */
	u64 kick_us;
	/* by this CPU: */
	bool nmi_pending; /* to be injected */
	bool nmi_blocked; /* the guest is in its NMI handler */

	/* smp.c. Written by any CPU: */
	u32 init_requests;  /* by so many CPUs: leave the guest, a real INIT comes */
	u32 stopped;	    /* leave it until the guest sends INIT (guest/kexec.c) */
	u32 waits_for_sipi; /* the guest's INIT has been carried out */
	u32 sipi_vector;    /* where the guest wants this CPU to start */
	/* by this CPU: */
	u32 alive; /* came out of the trampoline */
	u32 quiet; /* out of the guest, and no kick is on its way */

	/* icr.c: logical destination, as the guest set it in this CPU's local APIC */
	u32 ldr, dfr;

	/* msr.c: what the guest's time stamp counter is ahead of the machine's, that of the monitor
	 */
	u64 tsc_offset;

	enum step_reason step;
	bool flush; /* drop stage-2 translations at the next entry */
};

/* The caller of arch_take_over(), as entry.S saves it. */
struct native_frame {
	u64 r15, r14, r13, r12, rbp, rbx, rflags, rip;
	/* the caller's stack goes on behind it */
};

struct hv_ops {
	const char *name;
	u32 hypercall_insn; /* enum suture_hypercall_insn */

	/* Can this machine do it? 0, or negative errno with `why`. Boot CPU, native. */
	int (*probe)(char *why, size_t why_size);
	/* Allocate what all CPUs share, and then what one needs. -ENOMEM. Boot CPU, in core_init.
	 */
	int (*setup)(void);
	int (*setup_cpu)(struct cpu *c);
	/* Guest access to these ports exits. Boot CPU, in core_init, after setup(). */
	void (*intercept_ports)(u16 first, u16 count);

	/* Make c->arch's guest state that of this CPU now, as the caller of arch_take_over() is to
	 * find it. Boot CPU, on the firmware's tables. */
	void (*capture)(struct cpu *c, const struct native_frame *frame);
	/* Make it that of a CPU that got a SIPI (APM vol. 2, 14.1.3 and 16.5). On that CPU. */
	void (*reset)(struct cpu *c, u8 vector);
	/* Turn virtualization on. On that CPU, on the monitor's tables. */
	void (*enable)(struct cpu *c);
	/* Enter the guest, leave it, handle the exit. On that CPU. */
	enum exit_class (*run)(struct cpu *c);
	/* Let a pending INIT or NMI take effect now. On that CPU, no locks held. */
	void (*open_window)(void);
	/* Sleep until an INIT comes, never to return; NMIs are taken and change nothing. On that
	 * CPU, no locks held.
	 */
	void (*halt)(void);

	/* Advance over the instruction that caused the exit, of len bytes. */
	void (*skip)(struct cpu *c, u32 len);
	/* Have the exception taken at the next entry. */
	void (*inject_fault)(struct cpu *c, u8 vector, bool has_error, u32 error);
	/* The vector of the exception that the exit kept from being delivered, or -1. */
	int (*undelivered)(const struct cpu *c);
	/* Have an NMI taken at the next entry; false if another event is in its way. The next IRET
	 * exits (nmi_iret_exit()). */
	bool (*inject_nmi)(struct cpu *c);
	/* Run one instruction with interrupts held back; then vcpu_step_done() is called. */
	void (*step_begin)(struct cpu *c);
	/* Undo that; loaded_flags: the instruction has loaded RFLAGS anew. */
	void (*step_end)(struct cpu *c, bool loaded_flags);
	/* EFER as the guest is to see it; written values are checked by the caller. */
	void (*set_efer)(struct cpu *c, u64 efer);
	/* LSTAR, where SYSCALL goes in 64-bit mode; a canonical address. */
	void (*set_lstar)(struct cpu *c, u64 lstar);
};

extern const struct hv_ops svm_ops;
extern const struct hv_ops *hv;

/* start.c: what the boot told us; in the monitor's memory. */
extern struct boot_info *machine;

/* ---- vcpu.c: exits that the vendors share. On the CPU, in its exit. ---- */

/* Enter the guest and never come back. State CPU_GUEST; nothing of the caller is needed again. */
_Noreturn void vcpu_loop(struct cpu *c);

void vcpu_cpuid(struct cpu *c, u32 len);
void vcpu_hypercall(struct cpu *c, u32 len);
/* msr.c: RDMSR and WRMSR of what the bitmap intercepts. */
enum exit_class vcpu_rdmsr(struct cpu *c, u32 len);
enum exit_class vcpu_wrmsr(struct cpu *c, u32 len);
/* A triple fault: log and reset the machine, as chipsets do. */
_Noreturn void vcpu_shutdown(struct cpu *c);
/*
 * Its state cannot be run: mark the CPU dead, log all there is, and halt. The other CPUs go on, and
 * the operator sees which one does not; `cause` as for cpu_mark_dead(), `what` in words.
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

/* ioport.c: value is that of RAX for OUT. Ports of the intercepted ranges only. */
void vcpu_io(struct cpu *c, u16 port, u32 size, bool in);

/* ---- decode.c ---- */

struct guest_insn {
	u32 len;
	bool store; /* a plain MOV to memory */
	u32 size;   /* of the operand, bytes */
	u64 value;  /* that it stores */
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
/* Mark that the guest wants c to have an NMI; any CPU. */
void nmi_send_guest(struct cpu *self, struct cpu *c);
/* Before entry: inject what is due. */
void nmi_deliver(struct cpu *c);
/* The guest is about to execute IRET, and has. */
void nmi_iret_exit(struct cpu *c);
void nmi_iret_done(struct cpu *c);

#endif
