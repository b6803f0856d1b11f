/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine that unit tests run on: simulated memory, time that a test can set, guest CPUs that
 * are threads or just records, and a builder for guest page tables. For tests only; the monitor
 * sees monitor/arch/.
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
 * Start anew: all memory zero, pool empty, real time, CPU 0 the service CPU (the calling thread)
 * and guest CPUs 1 to guest_cpus in CPU_PARKED: so a pause does not wait for them. A test that has
 * no threads may set their state to CPU_HELD and their context and call the check directly.
 */
void fake_reset(u32 guest_cpus);

/* ---- time ---- */

/* Freeze time at us; each reading then advances it by step (0: not at all). */
void fake_time_set(u64 us, u64 step);

/* ---- CPUs ---- */

/* What arch_vcpu_context(c) will answer. */
void fake_set_context(struct cpu *c, const struct vcpu_context *ctx);

/* What arch_vcpu_halt(c) will answer. */
void fake_set_halt(struct cpu *c, enum vcpu_halt halt);

/* What the page tables that CPU c uses lead to, and what it is at; as in monitor/arch/cpu.h. */
struct fake_view {
	bool user, can_fetch;
	u64 va; /* the one address that is mapped, to ipa; 0: none is */
	ipa_t ipa;
};
void fake_set_view(struct cpu *c, const struct fake_view *view);

u64 fake_kicks(const struct cpu *c);
u64 fake_flushes(const struct cpu *c);

/*
 * Let the guest CPUs run, a thread each, in state CPU_GUEST: each calls guest(c) (may be NULL) and
 * then pause_point(c), again and again. fake_guest_stop() ends them and leaves them in CPU_PARKED.
 */
void fake_guest_start(void (*guest)(struct cpu *c));
void fake_guest_stop(void);

/* The calling thread is CPU c from here on: cpu_this() says so. */
void fake_become(struct cpu *c);

/* ---- stage 2 ---- */

/*
 * The format that arch_stage2_format() gives, for a test to change between fake_reset() and
 * pgtable_init(): page_shift, input_bits, top_level, max_leaf_level, split, exec_only, memory_type.
 */
struct pt_format *fake_stage2_format(void);

/*
 * From here until fake_reset() walkers see only tables that were published, and CPUs fetch only
 * code that was; with break_before_make no valid entry may take the place of another, and a broken
 * one must be invalidated before it is made again. Who breaks a rule is named by fake_violation().
 * One thread at a time.
 */
void fake_stage2_watch(bool break_before_make);

/*
 * The first rule that was broken, or "". Looks at stage 2 as it is now too: linked tables and code
 * in the pool that was changed and not published.
 */
const char *fake_violation(void);

/*
 * What has happened since the last call, in order, for instance "publish-table link". Words: make,
 * change, break (a leaf), invalidate, link, publish-table, publish-code.
 */
const char *fake_events(void);

/* ---- guest memory and page tables ---- */

/* Next free page-aligned piece of guest RAM (lasts until fake_reset()); aborts when it is full. */
ipa_t fake_guest_alloc(u64 size);

/* A guest page table, empty, in guest RAM; levels as in arch_guest_format(). Returns its root. */
ipa_t fake_tables_new(u32 levels);

/* Map [va, va + size) to ipa with leaves of `leaf_level`; attrs 0 takes the mapping away. */
void fake_map(ipa_t root, u32 levels, u64 va, ipa_t ipa, u64 size, u32 attrs, u32 leaf_level);

/*
 * Allocate `size` bytes of guest RAM and map them at va (page aligned, 4 KiB leaves). Returns where
 * the test can write what the guest is to hold there.
 */
void *fake_map_new(ipa_t root, u32 levels, u64 va, u64 size, u32 attrs);

/* ---- redirects ---- */

/*
 * The fake's code: a function may begin with a tracing site of FAKE_SITE_LEN bytes, the first of
 * which is FAKE_SITE. FAKE_BREAKPOINT anywhere is a breakpoint. A redirect is FAKE_JUMP and the
 * target, FAKE_REDIRECT_LEN bytes; where a static key begins in these, zeros (which do nothing)
 * lead to the key, and such a jump is behind it and at its target. A function that begins with a
 * zero byte is none.
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
