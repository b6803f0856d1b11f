/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What EL2 is set to. The monitor owns little of it: the rest is as a kernel wants it that was
 * entered at EL1 (Linux: Documentation/arch/arm64/booting.rst), so that nothing of the processor is
 * missing or traps. Only registers are written that Linux writes too when it starts at EL2 (and
 * TCR2), where an ID register has them: firmware that does not know a feature has accesses to its
 * other registers trap to EL3, and may end there.
 */
#include "el2.h"
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "arch/publish.h"
#include "features.h"
#include "gic.h"
#include "pt_format.h"
#include "stage2/pgtable.h"
#include "sysreg.h"

_Static_assert(offsetof(struct arch_cpu, stack_top) == ARCH_CPU_STACK, "entry.S");
_Static_assert(offsetof(struct arch_cpu, vcpu.x) == ARCH_CPU_X, "entry.S");
_Static_assert(offsetof(struct arch_cpu, vcpu.elr) == ARCH_CPU_ELR, "entry.S");
_Static_assert(offsetof(struct arch_cpu, vcpu.esr) == ARCH_CPU_ESR, "entry.S");
_Static_assert(offsetof(struct arch_cpu, vcpu.hpfar) == ARCH_CPU_HPFAR, "entry.S");
_Static_assert(offsetof(struct arch_cpu, vcpu.sp_el0) == ARCH_CPU_SP_EL0, "entry.S");
_Static_assert(offsetof(struct arch_cpu, vcpu.tpidr_el1) == ARCH_CPU_TPIDR, "entry.S");
_Static_assert(offsetof(struct el2_config, hcr) == EL2_CONFIG_HCR, "entry.S");
_Static_assert(offsetof(struct native_frame, daif) == NATIVE_FRAME_DAIF, "entry.S");
_Static_assert(sizeof(struct native_frame) == NATIVE_FRAME_SIZE, "entry.S");

#define VMID 1ull

extern struct el2_config el2_config;
struct el2_config el2_config;
extern const char el2_vectors[];

/* ---- before the MMU is on ---- */

/* To the point of coherency: for CPUs whose caches are off (D7.5.9). */
static void clean(const void *p, size_t len)
{
	u64 line = arm64_cache_line(16), end = (u64)p + len;

	for (u64 at = (u64)p & ~(line - 1); at < end; at += line)
		__asm__ volatile("dc cvac, %0" ::"r"(at) : "memory");
	__asm__ volatile("dsb sy" ::: "memory");
}

/* ID_AA64MMFR0_EL1.PARange as far as tables of 48 bits reach (D19.2.64). */
static u64 parange(void)
{
	u32 range = id_field(id_aa64mmfr0_el1, 0);

	return MIN(range, 5u);
}

void el2_init(pa_t root)
{
	const u64 cacheable = 1ull << 8 | 1ull << 10, inner_shareable = 3ull << 12,
		  res1 = 1ull << 31 | 1ull << 23;

	el2_config = (struct el2_config){
		.mair = MAIR_EL2,
		/* 48 bits, pages of 4 KiB (D19.2.137) */
		.tcr = 16 | cacheable | inner_shareable | parange() << 16 | res1,
		.ttbr0 = root.v,
		.sctlr = SCTLR_EL2_RES1 | SCTLR_M | SCTLR_C | SCTLR_I,
		.hcr = HCR_RW,
		.vbar = (u64)el2_vectors,
	};
	/* What runs with the MMU off, and what it reads. */
	clean(arch_ptr(machine->memory), machine->image_size);
	clean(&el2_config, sizeof(el2_config));
}

/* ---- what EL1 may use ---- */

#define FGT_LEVEL id_field(id_aa64mmfr0_el1, 56)
#define HAS_SPE	  id_field(id_aa64dfr0_el1, 32)
#define PMBIDR_P  (1ull << 4) /* the buffer belongs to a higher exception level */

/* Other registers of SPE trap to EL3 where the buffer is EL3's. */
static bool owns_spe(void)
{
	return HAS_SPE && !(read_sysreg(PMBIDR_EL1) & PMBIDR_P);
}

static void read_ids(struct id_regs *id)
{
	*id = (struct id_regs){
		.pfr0 = read_sysreg(id_aa64pfr0_el1),
		.pfr1 = read_sysreg(id_aa64pfr1_el1),
		.pfr2 = read_sysreg(ID_AA64PFR2_EL1),
		.isar1 = read_sysreg(id_aa64isar1_el1),
		.isar2 = read_sysreg(ID_AA64ISAR2_EL1),
		.mmfr3 = read_sysreg(ID_AA64MMFR3_EL1),
		.dfr0 = read_sysreg(id_aa64dfr0_el1),
		.pmsidr = FGT_LEVEL >= 2 && owns_spe() ? read_sysreg(PMSIDR_EL1) : 0,
	};
}

static void init_fine_grained_traps(const struct allowed *a)
{
	u32 fgt = FGT_LEVEL;

	if (id_field(id_aa64mmfr1_el1, 40)) /* HCX */
		write_sysreg(HCRX_EL2, a->hcrx);
	if (!fgt)
		return;
	write_sysreg(HFGRTR_EL2, a->hfgxtr);
	write_sysreg(HFGWTR_EL2, a->hfgxtr);
	write_sysreg(HFGITR_EL2, a->hfgitr);
	write_sysreg(HDFGRTR_EL2, a->hdfgrtr);
	write_sysreg(HDFGWTR_EL2, a->hdfgwtr);
	if (id_field(id_aa64pfr0_el1, 44)) /* AMU */
		write_sysreg(HAFGRTR_EL2, 0);
	if (fgt < 2)
		return;
	write_sysreg(HFGRTR2_EL2, a->hfgxtr2);
	write_sysreg(HFGWTR2_EL2, a->hfgxtr2);
	write_sysreg(HFGITR2_EL2, 0);
	write_sysreg(HDFGRTR2_EL2, a->hdfgxtr2);
	write_sysreg(HDFGWTR2_EL2, a->hdfgxtr2);
}

/* CPTR_EL2 with E2H 0 (D19.2.32): nothing traps that the processor has. */
#define CPTR_RES1 0x22ffull
#define CPTR_TZ	  (1ull << 8)
#define CPTR_TSM  (1ull << 12)

#define VECTOR_LEN_MAX 0x1ffull /* ZCR_EL2 and SMCR_EL2: the processor takes what it has */
#define SMCR_FA64      (1ull << 31)
#define SMCR_EZT0      (1ull << 30)

static void init_vectors(void)
{
	bool sve = id_field(id_aa64pfr0_el1, 32), sme = id_field(id_aa64pfr1_el1, 24);
	u64 smcr = VECTOR_LEN_MAX;

	write_sysreg(cptr_el2, CPTR_RES1 | (sve ? 0 : CPTR_TZ) | (sme ? 0 : CPTR_TSM));
	isb();
	if (sve)
		write_sysreg(ZCR_EL2, VECTOR_LEN_MAX);
	if (!sme)
		return;
	if (read_sysreg(ID_AA64SMFR0_EL1) >> 63) /* ID_AA64SMFR0_EL1.FA64 */
		smcr |= SMCR_FA64;
	if (id_field(id_aa64pfr1_el1, 24) >= 2) /* SME2: ZT0 */
		smcr |= SMCR_EZT0;
	write_sysreg(SMCR_EL2, smcr);
}

/* MDCR_EL2 (D19.3.17) */
#define MDCR_E2PB_EL1 (3ull << 12)
#define MDCR_E2TB_EL1 (3ull << 24)
#define PMSCR_PA_PCT  (1ull << 4 | 1ull << 6)
#define BRBCR_CC      (1ull << 3) /* cycles, and below wrong predictions, of EL1 too */
#define BRBCR_MPRED   (1ull << 4)

static void init_debug(void)
{
	u32 pmu = id_field(id_aa64dfr0_el1, 8);
	u64 mdcr = 0;

	if (pmu && pmu != 15) /* HPMN: all counters */
		mdcr = read_sysreg(pmcr_el0) >> 11 & 31;
	if (HAS_SPE)
		mdcr |= MDCR_E2PB_EL1;
	if (owns_spe())
		write_sysreg(PMSCR_EL2, PMSCR_PA_PCT);
	if (id_field(id_aa64dfr0_el1, 44)) /* TRBE */
		mdcr |= MDCR_E2TB_EL1;
	write_sysreg(mdcr_el2, mdcr);
	if (id_field(id_aa64dfr0_el1, 52)) /* BRBE */
		write_sysreg(BRBCR_EL2, BRBCR_CC | BRBCR_MPRED);
}

#define MPAMIDR_HAS_HCR (1ull << 17)
#define MPAM2_ENMPAMSM	(1ull << 50) /* SME: MPAMSM_EL1 */

static void init_mpam(void)
{
	if (!id_field(id_aa64pfr0_el1, 40) && !id_field(id_aa64pfr1_el1, 16))
		return;
	write_sysreg(MPAM2_EL2, id_field(id_aa64pfr1_el1, 24) ? MPAM2_ENMPAMSM : 0);
	if (read_sysreg(MPAMIDR_EL1) & MPAMIDR_HAS_HCR)
		write_sysreg(MPAMHCR_EL2, 0);
}

static void init_timers(void)
{
	write_sysreg(cnthctl_el2, 3); /* EL1PCTEN, EL1PCEN (D19.7.2); ECV 0: no CNTPOFF_EL2 */
	write_sysreg(cntvoff_el2, 0);
	write_sysreg(cnthp_ctl_el2, 0);
}

/* The GIC's system registers are the guest's, and no interrupt is a virtual one. */
static void init_gic(void)
{
	gic_init_cpu();
	write_sysreg(ICH_HCR_EL2, 0);
}

static void init_stage2(const struct allowed *a)
{
	write_sysreg(vtcr_el2, stage2_vtcr(stage2.format, parange()));
	write_sysreg(vttbr_el2, stage2.root.v | VMID << 48);
	isb();
	write_sysreg(hcr_el2, HCR_VM | HCR_SWIO | HCR_RW | HCR_TSC | HCR_TWI | a->hcr);
	isb();
	__asm__ volatile("tlbi vmalls12e1; ic iallu; dsb nsh; isb" ::: "memory");
}

void el2_init_cpu(void)
{
	struct id_regs id;
	struct allowed allowed;

	read_ids(&id);
	features_allow(&id, &allowed);
	init_fine_grained_traps(&allowed);
	init_vectors();
	init_debug();
	init_mpam();
	init_timers();
	init_gic();
	write_sysreg(hstr_el2, 0);
	write_sysreg(vpidr_el2, read_sysreg(midr_el1));
	write_sysreg(vmpidr_el2, read_sysreg(mpidr_el1));
	if (id_field(id_aa64pfr1_el1, 44)) /* GCS */
		write_sysreg(GCSCR_EL2, 0);
	init_stage2(&allowed);
}

/* ---- the contract's formats ---- */

u64 arch_physical_limit(void)
{
	static const u8 bits[] = {32, 36, 40, 42, 44, 48};

	return 1ull << bits[parange()];
}

const struct pt_format *arch_stage2_format(void)
{
	static struct pt_format format;

	if (!format.name)
		stage2_format(&format, (u32)__builtin_ctzll(arch_physical_limit()),
			      stage2_invalidate);
	return &format;
}

/* RAM, by the firmware's map, and the monitor's own; all else is devices, or nothing. */
static u32 memory_type(u64 pa, u64 *end)
{
	const struct guest_ram *ram = machine->ram;
	u64 own = machine->memory.v, own_end = own + machine->memory_size;
	u32 type = PT_DEVICE;

	*end = pa < own ? own : UINT64_MAX;
	if (pa >= own && pa < own_end) {
		*end = own_end;
		return 0;
	}
	for (u32 i = 0; i < machine->nr_ram; i++) {
		u64 base = ALIGN_UP(ram[i].base, PAGE_SIZE);
		u64 last = ALIGN_DOWN(ram[i].base + ram[i].size, PAGE_SIZE);

		if (pa >= base && pa < last) {
			type = 0;
			*end = MIN(*end, last);
		} else if (pa < base) {
			*end = MIN(*end, base);
		}
	}
	return type;
}

const struct pt_format *arch_guest_format(u32 levels)
{
	return guest_format_of_levels(levels);
}

const struct pt_format *arch_monitor_format(void)
{
	static struct pt_format format;

	monitor_format(&format, memory_type);
	return &format;
}
