/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What EL2 is set to. The monitor owns little of it: the rest is as a kernel wants it that was
 * entered at EL1 (Linux: Documentation/arch/arm64/booting.rst), so that nothing of the processor is
 * missing or traps.
 */
#include "el2.h"
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "arch/publish.h"
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

/* ---- features ---- */

/* Pointer authentication, in any of its forms (D19.2.61, .62). */
static bool has_pauth(void)
{
	u64 isar1 = read_sysreg(id_aa64isar1_el1);

	return (isar1 & (0xffull << 4)) || (isar1 & (0xffull << 24)) ||
	       id_field(ID_AA64ISAR2_EL1, 12);
}

u64 hcr_guest(void)
{
	u64 hcr = HCR_VM | HCR_RW | HCR_TSC | HCR_TWI;

	if (has_pauth())
		hcr |= HCR_APK | HCR_API;
	if (id_field(id_aa64pfr1_el1, 8) >= 2) /* MTE */
		hcr |= HCR_ATA;
	if (id_field(id_aa64pfr0_el1, 28) >= 2) /* RAS: fault injection registers */
		hcr |= HCR_FIEN;
	if (id_field(id_aa64pfr0_el1, 56) >= 2) /* CSV2: SCXTNUM_ELx */
		hcr |= HCR_ENSCXT;
	return hcr;
}

/* ---- what EL1 may use ---- */

/*
 * Bits that must be 1 for what a feature brings not to trap, where that feature is: in the
 * registers of FEAT_FGT and FEAT_HCX most bits are 0 for that, and those of younger features 1.
 */
struct feature_bits {
	u64 (*id)(void);
	u32 shift, least;
	u64 bits;
};

static u64 isar1(void)
{
	return read_sysreg(id_aa64isar1_el1);
}

static u64 isar2(void)
{
	return read_sysreg(ID_AA64ISAR2_EL1);
}

static u64 pfr1(void)
{
	return read_sysreg(id_aa64pfr1_el1);
}

static u64 pfr2(void)
{
	return read_sysreg(ID_AA64PFR2_EL1);
}

static u64 dfr0(void)
{
	return read_sysreg(id_aa64dfr0_el1);
}

static u64 mmfr3(void)
{
	return read_sysreg(ID_AA64MMFR3_EL1);
}

static u64 bits_of(const struct feature_bits *table, u32 count)
{
	u64 bits = 0;

	for (u32 i = 0; i < count; i++)
		if ((table[i].id() >> table[i].shift & 15) >= table[i].least)
			bits |= table[i].bits;
	return bits;
}

/* HCRX_EL2 (D19.2.49) */
static const struct feature_bits hcrx_bits[] = {
	{isar1, 60, 1, 1 << 1},	   /* LS64: EnALS */
	{isar1, 60, 2, 1 << 2},	   /* LS64_V: EnASR */
	{isar1, 60, 3, 1 << 0},	   /* LS64_ACCDATA: EnAS0 */
	{isar2, 16, 1, 1 << 11},   /* MOPS: MSCEn */
	{mmfr3, 0, 1, 1 << 14},	   /* TCRX: TCR2En */
	{mmfr3, 4, 1, 1 << 15},	   /* SCTLRX: SCTLR2En */
	{mmfr3, 32, 1, 1 << 17},   /* D128: D128En */
	{pfr1, 44, 1, 1 << 22},	   /* GCS: GCSEn */
	{pfr2, 32, 1, 1ull << 23}, /* FPMR: EnFPM */
};

/* HFGRTR_EL2 and HFGWTR_EL2 (D19.2.44, .45) */
static const struct feature_bits hfgxtr_bits[] = {
	{isar1, 60, 3, 1ull << 50},		 /* nACCDATA_EL1 */
	{pfr1, 44, 1, 3ull << 52},		 /* nGCS_EL0, nGCS_EL1 */
	{pfr1, 24, 1, 3ull << 54},		 /* SME: nSMPRI_EL1, nTPIDR2_EL0 */
	{pfr1, 48, 1, 1ull << 56},		 /* THE: nRCWMASK_EL1 */
	{mmfr3, 8, 1, 3ull << 57},		 /* S1PIE: nPIRE0_EL1, nPIR_EL1 */
	{mmfr3, 16, 1, 3ull << 59},		 /* S1POE: nPOR_EL0, nPOR_EL1 */
	{mmfr3, 20, 1, 1ull << 61},		 /* S2POE: nS2POR_EL1 */
	{mmfr3, 24, 1, 1ull << 62 | 1ull << 63}, /* AIE: nMAIR2_EL1, nAMAIR2_EL1 */
};

/* HFGITR_EL2 (D19.2.43) */
static const struct feature_bits hfgitr_bits[] = {
	{dfr0, 52, 1, 3ull << 55}, /* BRBE: nBRBINJ, nBRBIALL */
	{pfr1, 44, 1, 7ull << 57}, /* GCS: nGCSPUSHM_EL1, nGCSSTR_EL1, nGCSEPP */
};

/* HDFGRTR_EL2 and HDFGWTR_EL2 (D19.2.40, .41); nBRBIDR is in the first alone */
static const struct feature_bits hdfgxtr_bits[] = {
	{dfr0, 52, 1, 3ull << 60}, /* BRBE: nBRBCTL, nBRBDATA */
	{dfr0, 32, 3, 1ull << 62}, /* SPEv1p2: nPMSNEVFR_EL1 */
};

#define BITS_OF(table) bits_of(table, ARRAY_SIZE(table))
#define NBRBIDR	       (1ull << 59)

static void init_fine_grained_traps(void)
{
	u64 hdfg = BITS_OF(hdfgxtr_bits);

	if (id_field(id_aa64mmfr1_el1, 40)) /* HCX */
		write_sysreg(HCRX_EL2, BITS_OF(hcrx_bits));
	if (!id_field(id_aa64mmfr0_el1, 56)) /* FGT */
		return;
	write_sysreg(HFGRTR_EL2, BITS_OF(hfgxtr_bits));
	write_sysreg(HFGWTR_EL2, BITS_OF(hfgxtr_bits));
	write_sysreg(HFGITR_EL2, BITS_OF(hfgitr_bits));
	write_sysreg(HDFGRTR_EL2, hdfg | (hdfg & 1ull << 60 ? NBRBIDR : 0));
	write_sysreg(HDFGWTR_EL2, hdfg);
	if (id_field(id_aa64pfr0_el1, 44)) /* AMU */
		write_sysreg(HAFGRTR_EL2, 0);
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
#define PMBIDR_P      (1ull << 4) /* the buffer belongs to a higher exception level */
#define PMSCR_PA_PCT  (1ull << 4 | 1ull << 6)

static void init_debug(void)
{
	u32 pmu = id_field(id_aa64dfr0_el1, 8);
	u64 mdcr = 0;

	if (pmu && pmu != 15) /* HPMN: all counters */
		mdcr = read_sysreg(pmcr_el0) >> 11 & 31;
	if (id_field(id_aa64dfr0_el1, 32)) { /* SPE */
		mdcr |= MDCR_E2PB_EL1;
		if (!(read_sysreg(PMBIDR_EL1) & PMBIDR_P))
			write_sysreg(PMSCR_EL2, PMSCR_PA_PCT);
	}
	if (id_field(id_aa64dfr0_el1, 44)) /* TRBE */
		mdcr |= MDCR_E2TB_EL1;
	write_sysreg(mdcr_el2, mdcr);
	if (id_field(id_aa64dfr0_el1, 40)) /* TRF */
		write_sysreg(TRFCR_EL2, 0);
}

#define MPAMIDR_HAS_HCR (1ull << 17)

static void init_mpam(void)
{
	if (!id_field(id_aa64pfr0_el1, 40) && !id_field(id_aa64pfr1_el1, 16))
		return;
	write_sysreg(MPAM2_EL2, 0);
	if (read_sysreg(MPAMIDR_EL1) & MPAMIDR_HAS_HCR)
		write_sysreg(MPAMHCR_EL2, 0);
}

static void init_timers(void)
{
	write_sysreg(cnthctl_el2, 3); /* EL1PCTEN, EL1PCEN (D19.7.2) */
	write_sysreg(cntvoff_el2, 0);
	write_sysreg(cnthp_ctl_el2, 0);
	if (id_field(id_aa64mmfr0_el1, 60) >= 2) /* ECV */
		write_sysreg(CNTPOFF_EL2, 0);
}

/* The GIC's system registers are the guest's, and no interrupt is a virtual one. */
static void init_gic(void)
{
	gic_init_cpu();
	write_sysreg(ICH_HCR_EL2, 0);
}

static void init_stage2(void)
{
	write_sysreg(vtcr_el2, stage2_vtcr(stage2.format, parange()));
	write_sysreg(vttbr_el2, stage2.root.v | VMID << 48);
	isb();
	write_sysreg(hcr_el2, hcr_guest());
	isb();
	__asm__ volatile("tlbi vmalls12e1; ic iallu; dsb nsh; isb" ::: "memory");
}

void el2_init_cpu(void)
{
	init_fine_grained_traps();
	init_vectors();
	init_debug();
	init_mpam();
	init_timers();
	init_gic();
	write_sysreg(hstr_el2, 0);
	write_sysreg(vpidr_el2, read_sysreg(midr_el1));
	write_sysreg(vmpidr_el2, read_sysreg(mpidr_el1));
	if (id_field(id_aa64pfr0_el1, 28)) /* RAS */
		write_sysreg(VDISR_EL2, 0);
	init_stage2();
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
