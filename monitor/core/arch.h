/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between the generic monitor and arch/<a>/: every function that crosses the line.
 * Inline pieces are in arch/<a>/include/arch/: barrier.h (arch_relax, arch_mb, arch_wmb, arch_rmb)
 * and memory.h (arch_ptr).
 */
#ifndef CORE_ARCH_H
#define CORE_ARCH_H

#include "core/cpu.h"
#include "stage2/pt.h"
#include <suture/abi.h>

struct boot_info;
struct redirect;

/* ---- time ---- */

/* Microseconds since the monitor's start, monotonic, the same on all CPUs. Any CPU. */
u64 arch_time_us(void);

/* ---- CPUs ---- */

/*
 * Bring guest CPU c into the monitor soon (x86: NMI IPI, arm64: stage 2 away and SGI). It will pass
 * pause_point(). Harmless when it comes too often. Any CPU inside the monitor.
 */
void arch_kick(struct cpu *c);

/* What held CPU c was doing. Only while c is in CPU_HELD, or for the calling guest CPU itself. */
void arch_vcpu_context(const struct cpu *c, struct vcpu_context *ctx);

enum vcpu_halt {
	VCPU_RUNS,
	VCPU_IDLE,    /* at a halt instruction (x86: HLT), until an interrupt comes */
	VCPU_STOPPED, /* at one with interrupts off: for ever, but for an NMI */
};

/* Is CPU c halted? Only while it is in CPU_HELD. */
enum vcpu_halt arch_vcpu_halt(struct cpu *c);

/* Wake the service CPU from arch_service_idle(). Any CPU inside the monitor. */
void arch_service_wake(void);

/*
 * Halt the service CPU until an interrupt, a wake, or until_us (arch_time_us() scale). A wake
 * that came since the last return is not lost: then it returns at once. Service CPU only.
 */
void arch_service_idle(u64 until_us);

/* ---- stage 2 ---- */

/* Description of this machine's stage-2 tables (NPT, EPT, VMSAv8-64 stage 2). */
const struct pt_format *arch_stage2_format(void);

/*
 * Drop this CPU's cached stage-2 translations and, where the architecture needs it, its instruction
 * cache's view of changed pages. Called on each guest CPU before it goes back after a pause.
 */
void arch_stage2_flush_local(void);

/* ---- the guest's own tables ---- */

/* Description of the guest kernel's page tables with `levels` levels; NULL if that cannot be. */
const struct pt_format *arch_guest_format(u32 levels);

/* ---- redirects ---- */

#define REDIRECT_MAX 32 /* longest jump sequence with its padding, bytes */

/* What a redirect is to be made of. */
struct redirect_request {
	u64 func, size; /* the original: where it begins, its bytes */
	u32 site;	/* offset of its ftrace site, or SUTURE_NONE */
	u64 to;
	const struct suture_decl_site *sites; /* what the guest writes to itself */
	u32 nr_sites;
	/* Read the guest's own code, whatever stands there now: 0 or negative errno. */
	int (*read)(u64 at, u8 *buf, size_t len);
	/* True if no other redirect has a piece in [start, end). arg is its own. */
	bool (*is_free)(u64 start, u64 end, void *arg);
	void *arg;
};

/* What is in the way. */
struct redirect_obstacle {
	u64 at;
	u32 kind; /* enum suture_site_kind, or 0: bytes of the guest's code */
};

#define REDIRECT_PIECES 24u /* the most of one redirect */

/*
 * Lay out the redirect of a function, so that whoever calls it comes to `to` with everything that
 * the calling convention lets a callee rely on as it was at the call, and nothing that the guest
 * writes to itself is touched. It begins behind the landing pad and the ftrace site. Only for a
 * function that nobody is in: the instructions before a static key do nothing any more.
 *
 * Every piece ends where an instruction of the original does, padded with NOPs: so whoever decodes
 * the function as the guest reads it (kprobes do) finds instructions begin where they did.
 *
 * Returns the number of pieces (REDIRECT_PIECES at most), in which from, len, lead, bytes and old
 * are filled in. Otherwise, with *o:
 * -EILSEQ	the bytes are not what a function can begin with, or not those of the ftrace site or
 *		of the sites that the request names
 * -ENOSPC	the function, or its part behind a key, is too short
 * -EBUSY	a breakpoint or probe of the guest's is where a piece would be
 * -EOPNOTSUPP	a static call, or a key whose target is of no use, is where a piece would be
 * -E2BIG	more pieces are needed than REDIRECT_PIECES
 * -ERANGE	no jump reaches
 * -EFAULT	its code cannot be read
 */
int arch_redirect_plan(const struct redirect_request *q, struct redirect *pieces,
		       struct redirect_obstacle *o);

/*
 * Where the jump leads that stands, at guest virtual address `at`, among the first len bytes of
 * code; 0 if there is none. For finding what the guest's own patching has put there.
 */
u64 arch_redirect_jump(const u8 *code, size_t len, u64 at);

/*
 * Does the code of this ftrace site lead to a tracer (a call, a jump, or what stands there while
 * the kernel changes it), and is not what it is when there is none?
 */
#define ARCH_SITE_LEN 5u
bool arch_site_is_on(const u8 code[ARCH_SITE_LEN]);

/* Is this byte of code a breakpoint of the kind that kernels put over an instruction? */
bool arch_is_breakpoint(u8 code);

/* ---- misc ---- */

/* One character to the debug port of the configuration, if any. Any CPU. */
void arch_debug_putc(char c);

/* Fill buf with random bytes good enough for TCP sequence numbers and TLS. 0 or -EIO. */
int arch_random(void *buf, size_t len);

#endif
