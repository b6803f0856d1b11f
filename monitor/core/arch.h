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

/*
 * Where in a function the redirect goes: behind the landing pad and the ftrace site, which is
 * `site` bytes into it (SUTURE_NONE: it has none). code: the first `size` bytes of the function
 * (its whole size if that is less than 64). Returns the offset, or -ENOSPC when the function is too
 * short for the longest jump that `from` -> `to` needs, or -EILSEQ when its bytes are not what a
 * function can begin with, or those at the site not what ftrace puts there.
 */
int arch_redirect_offset(const u8 *code, size_t size, u32 site, u64 from, u64 to);

/*
 * Encode a jump placed at guest virtual address `from` to `to`: clobbers nothing that the calling
 * convention lets a caller rely on at function entry. Returns its length, at most REDIRECT_MAX, or
 * -ERANGE.
 */
int arch_redirect_encode(u64 from, u64 to, u8 *buf);

/*
 * The jump of len bytes in buf is to replace the first of the `size` bytes of code: pad it with
 * NOPs to the end of the last instruction that it replaces. So whoever decodes the function as the
 * guest reads it (kprobes do) finds instructions begin where they do in the original. Returns the
 * new length; or -EBUSY when a breakpoint stands among the replaced instructions.
 */
int arch_redirect_pad(const u8 *code, size_t size, u8 *buf, int len);

/*
 * Where the jump leads that stands, at guest virtual address `at`, among the first len bytes of
 * code; 0 if there is none. For finding what the guest's own patching has put there.
 */
u64 arch_redirect_jump(const u8 *code, size_t len, u64 at);

/* ---- misc ---- */

/* One character to the debug port of the configuration, if any. Any CPU. */
void arch_debug_putc(char c);

/* Fill buf with random bytes good enough for TCP sequence numbers and TLS. 0 or -EIO. */
int arch_random(void *buf, size_t len);

#endif
