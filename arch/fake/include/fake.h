/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine that unit tests run on: simulated memory, time that a test can set, guest CPUs that
 * are threads or just records, and a builder for guest page tables. For tests only; the monitor
 * includes the headers of monitor/arch/.
 */
#ifndef FAKE_H
#define FAKE_H

#include "arch/cpu.h"
#include "arch/memory.h"
#include "arch/pagetable.h"

/* Simulated memory: the guest's RAM, then the monitor's pool. */
#define FAKE_GUEST_RAM_SIZE (48ull << 20)
#define FAKE_POOL_BASE	    (FAKE_RAM_BASE + FAKE_GUEST_RAM_SIZE)
#define FAKE_POOL_SIZE	    (FAKE_RAM_SIZE - FAKE_GUEST_RAM_SIZE)

/*
 * Reset the machine: all memory zero, pool empty, real time, CPU 0 the service CPU (the calling
 * thread), and guest CPUs 1 to guest_cpus in CPU_PARKED, so that a pause does not wait for them. A
 * test without threads may set their state to CPU_HELD, and their context, and call the check
 * directly.
 */
void fake_reset(u32 guest_cpus);

/* ---- time ---- */

/* Freeze time at us; each reading then advances it by step, which may be 0. */
void fake_time_set(u64 us, u64 step);

/* Has the processor random numbers that are good enough for keys? It has at first. */
void fake_random_set(bool good);

/* ---- CPUs ---- */

/* Set the result of arch_vcpu_context(c). */
void fake_set_context(struct cpu *c, const struct vcpu_context *ctx);

/* Set the result of arch_vcpu_halt(c). */
void fake_set_halt(struct cpu *c, enum vcpu_halt halt);

/* The state of CPU c that the arch_vcpu_*() functions report (monitor/arch/cpu.h). */
struct fake_view {
	bool user, can_fetch;
	u64 va; /* the only address that is mapped, to ipa; 0: none is */
	ipa_t ipa;
};
void fake_set_view(struct cpu *c, const struct fake_view *view);

u64 fake_kicks(const struct cpu *c);
u32 fake_service_resets(void);
/* What a reset of the service CPU does beside being counted, until fake_reset(). NULL: nothing. */
void fake_on_service_reset(void (*begin)(void));

/* The machine has this doorbell (arch_bell_line()), 0: none; it is not pending. */
void fake_bell_line(u32 number);
bool fake_bell_pending(void);
u64 fake_flushes(const struct cpu *c);

/*
 * Let the guest CPUs run, a thread each, in state CPU_GUEST: each calls guest(c) (may be NULL) and
 * then pause_point(c), again and again. fake_guest_stop() ends them and leaves them in CPU_PARKED.
 */
void fake_guest_start(void (*guest)(struct cpu *c));
void fake_guest_stop(void);

/* Make the calling thread CPU c, for cpu_this(). */
void fake_become(struct cpu *c);

/* ---- stage 2 ---- */

/*
 * The format that arch_stage2_format() returns. A test may change these members between
 * fake_reset() and pgtable_init(): page_shift, input_bits, top_level, max_leaf_level, split,
 * exec_only, memory_type.
 */
struct pt_format *fake_stage2_format(void);

/*
 * From here until fake_reset() walkers see only published tables, and CPUs fetch only published
 * code. With break_before_make no valid entry may replace another, and after it was made invalid
 * its translations must be invalidated before it is made valid again. fake_violation() names the
 * first violation. One thread at a time.
 */
void fake_stage2_watch(bool break_before_make);

/*
 * The first rule that was violated, or "". Checks the present stage 2 too: linked tables, and code
 * in the pool, that were changed and not published.
 */
const char *fake_violation(void);

/*
 * The events since the last call, in order, for example "publish-table link". Words: make, change,
 * break (a leaf), invalidate, link, publish-table, publish-code.
 */
const char *fake_events(void);

/* ---- guest memory and page tables ---- */

/* Allocate page-aligned guest RAM (lasts until fake_reset()); aborts when it is full. */
ipa_t fake_guest_alloc(u64 size);

/* A guest page table, empty, in guest RAM; levels as in arch_guest_format(). Returns its root. */
ipa_t fake_tables_new(u32 levels);

/* Map [va, va + size) to ipa with leaves of `leaf_level`; attrs 0 removes the mapping. */
void fake_map(ipa_t root, u32 levels, u64 va, ipa_t ipa, u64 size, u32 attrs, u32 leaf_level);

/*
 * Allocate `size` bytes of guest RAM and map them at va (page aligned, 4 KiB leaves). Returns a
 * host pointer to that memory.
 */
void *fake_map_new(ipa_t root, u32 levels, u64 va, u64 size, u32 attrs);

/* ---- redirects ---- */

/*
 * The fake's code: a function may begin with a tracing site of FAKE_SITE_LEN bytes, the first of
 * which is FAKE_SITE. FAKE_BREAKPOINT anywhere is a breakpoint. A redirect is FAKE_JUMP and the
 * target, FAKE_REDIRECT_LEN bytes; if a static key begins among these bytes, zeros (NOPs) precede
 * the key, and there is such a jump after it and at its target. A zero byte cannot begin a
 * function.
 */
#define FAKE_SITE	  0xf7
#define FAKE_SITE_LEN	  4
#define FAKE_JUMP	  0xeb
#define FAKE_BREAKPOINT	  0xcd
#define FAKE_REDIRECT_LEN 9

/* What arch_patch_unit() says: 1, unless a test has its guest's code change in larger units. */
extern u32 fake_patch_unit;

/* Target of the redirect at code; 0 when there is none. */
u64 fake_redirect_target(const u8 *code);

#endif
