/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor asks of an architecture: formats of page tables, as data, and the flush that
 * must follow a change of stage 2. The inline functions that write an entry, a table or code so
 * that all CPUs see it are in arch/publish.h.
 */
#ifndef ARCH_PAGETABLE_H
#define ARCH_PAGETABLE_H

#include "lib/types.h"

enum pt_attr {
	PT_READ = 1,
	PT_WRITE = 2,
	PT_EXEC = 4,
	/*
	 * Device memory, in formats whose leaves carry a memory type (EPT, arm64). Others drop it:
	 * NPT takes the type from the guest's PAT and from the MTRRs.
	 */
	PT_DEVICE = 8,
};

/* How a block becomes a table of smaller leaves while guest CPUs run (docs/architecture.md). */
enum pt_split {
	PT_SPLIT_LIVE,	 /* with one store; TLBs may hold translations of both sizes for a while */
	PT_SPLIT_PAUSED, /* only in a pause: no CPU may ever hold translations of both sizes */
};

struct pt_format {
	const char *name;
	u32 page_shift; /* of the smallest leaf, which is also the size of a table: 12, 14 or 16 */
	/*
	 * Bits of an address that are translated. Those above the levels below index the root: it
	 * is smaller than a table, or up to 16 of them in a row (arm64 stage 2: concatenated
	 * tables, Arm ARM D8.2), aligned to its size.
	 */
	u32 input_bits;
	u32 top_level;	    /* level of the root table: 3 for four levels */
	u32 max_leaf_level; /* largest leaf this machine can use */
	enum pt_split split;
	bool exec_only; /* a leaf may allow execution and no reading (EPT where it says so, arm64)
			 */
	/*
	 * The type of the physical memory at pa, 0 or PT_DEVICE, which is added to the attributes
	 * of its leaf; and in *end the address where it may be another (x86: MTRRs, and the hole
	 * for devices below 4 GiB), which no leaf may span. NULL: one type everywhere.
	 */
	u32 (*memory_type)(u64 pa, u64 *end);
	/* True if the tables can translate addr at all (canonical, within the input size). */
	bool (*in_range)(u64 addr);
	/* True if the entry is valid: it maps memory or points at a table. */
	bool (*present)(u64 entry, u32 level);
	/* True if a present entry maps memory, false if it points at a table. */
	bool (*leaf)(u64 entry, u32 level);
	/* Physical address in a present entry, of the page or the next table. */
	u64 (*addr)(u64 entry, u32 level);
	/* PT_* of a leaf. */
	u32 (*attrs)(u64 entry, u32 level);
	/* Make entries; NULL in formats that are only read. attrs 0 makes a non-present leaf. A
	 * table's level is that of the entry which points at it. */
	u64 (*make_leaf)(u64 pa, u32 level, u32 attrs);
	u64 (*make_table)(u64 pa, u32 level);
	/*
	 * Break before make (Arm ARM D8.16): a valid entry must not take the place of another. The
	 * entry is made invalid, then this is called, which returns when no CPU has a translation
	 * of [addr, addr + size) cached any more (TLBI, DSB); then the new entry is made. NULL: an
	 * entry may replace another, and each CPU drops what it has cached in
	 * arch_stage2_flush_local(). Any CPU inside the monitor, also in a pause.
	 */
	void (*invalidate)(u64 addr, u64 size);
};

/*
 * The end of the physical addresses that this machine can have, as far as a stage-2 table reaches.
 * Boot CPU. x86: CPUID Fn8000_0008 (APM vol. 3); arm64: ID_AA64MMFR0_EL1.PARange.
 */
u64 arch_physical_limit(void);

/*
 * Description of this machine's stage-2 tables; a constant, never NULL. Any CPU. x86: NPT (APM vol.
 * 2, 15.25), EPT (Intel SDM vol. 3); arm64: VMSAv8-64 stage 2 (Arm ARM DDI 0487).
 */
const struct pt_format *arch_stage2_format(void);

/*
 * Drop this CPU's cached stage-2 translations and, where the architecture needs it, what its
 * pipeline has fetched of changed pages. Called on each guest CPU before it goes back after a
 * pause. x86: VMCB.TLB_CONTROL (APM vol. 2, 15.16); arm64: TLBI VMALLS12E1, ISB (Arm ARM DDI 0487).
 */
void arch_stage2_flush_local(void);

/*
 * Description of the monitor's own page tables, which it makes itself; a constant. Boot CPU, in
 * core_init(), after arch_start_probe(). x86: APM vol. 2, 5.3; arm64: VMSAv8-64 stage 1 of EL2.
 */
const struct pt_format *arch_monitor_format(void);

/*
 * Description of the guest kernel's page tables with `levels` levels, which are only read; NULL if
 * that cannot be. Any CPU. x86: APM vol. 2, 5.3; arm64: VMSAv8-64 stage 1 (Arm ARM DDI 0487).
 */
const struct pt_format *arch_guest_format(u32 levels);

#endif
