/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In the registers of FEAT_FGT and FEAT_HCX most bits are 0 for what they are about not to trap,
 * and those of younger features 1.
 */
#include "features.h"
#include "sysreg.h"

#define ID(name)      (offsetof(struct id_regs, name) / sizeof(u64))
#define ALLOWED(name) (offsetof(struct allowed, name) / sizeof(u64))
#define BIT(n)	      (1ull << (n))

/* The feature is there if the field of 4 bits at `shift` is `least` or more. */
static const struct rule {
	u8 id, shift, least, allowed;
	u64 bits;
} rules[] = {
	/* pointer authentication, in any of its forms: APA, API, GPA, GPI, APA3, GPA3 */
	{ID(isar1), 4, 1, ALLOWED(hcr), HCR_APK | HCR_API},
	{ID(isar1), 8, 1, ALLOWED(hcr), HCR_APK | HCR_API},
	{ID(isar1), 24, 1, ALLOWED(hcr), HCR_APK | HCR_API},
	{ID(isar1), 28, 1, ALLOWED(hcr), HCR_APK | HCR_API},
	{ID(isar2), 12, 1, ALLOWED(hcr), HCR_APK | HCR_API},
	{ID(isar2), 8, 1, ALLOWED(hcr), HCR_APK | HCR_API},
	/* MTE2 */
	{ID(pfr1), 8, 2, ALLOWED(hcr), HCR_ATA},
	/* RASv1p1, by RAS or RAS_frac: registers of fault injection */
	{ID(pfr0), 28, 2, ALLOWED(hcr), HCR_FIEN},
	{ID(pfr1), 12, 1, ALLOWED(hcr), HCR_FIEN},
	/* CSV2_2, CSV2_1p2: SCXTNUM_ELx */
	{ID(pfr0), 56, 2, ALLOWED(hcr), HCR_ENSCXT},
	{ID(pfr1), 32, 2, ALLOWED(hcr), HCR_ENSCXT},
	/* LS64: EnALS; LS64_V: EnASR; LS64_ACCDATA: EnAS0, nACCDATA_EL1 */
	{ID(isar1), 60, 1, ALLOWED(hcrx), BIT(1)},
	{ID(isar1), 60, 2, ALLOWED(hcrx), BIT(2)},
	{ID(isar1), 60, 3, ALLOWED(hcrx), BIT(0)},
	{ID(isar1), 60, 3, ALLOWED(hfgxtr), BIT(50)},
	/* MOPS: MSCEn */
	{ID(isar2), 16, 1, ALLOWED(hcrx), BIT(11)},
	/*
	 * TCR2: TCR2En; SCTLR2: SCTLR2En; FPMR: EnFPM. Not D128En: tables of 128-bit entries are
	 * none that the monitor can read (translate.c).
	 */
	{ID(mmfr3), 0, 1, ALLOWED(hcrx), BIT(14)},
	{ID(mmfr3), 4, 1, ALLOWED(hcrx), BIT(15)},
	{ID(pfr2), 32, 1, ALLOWED(hcrx), BIT(23)},
	/* GCS: GCSEn; nGCS_EL0, nGCS_EL1; nGCSPUSHM_EL1, nGCSSTR_EL1, nGCSEPP */
	{ID(pfr1), 44, 1, ALLOWED(hcrx), BIT(22)},
	{ID(pfr1), 44, 1, ALLOWED(hfgxtr), BIT(52) | BIT(53)},
	{ID(pfr1), 44, 1, ALLOWED(hfgitr), BIT(57) | BIT(58) | BIT(59)},
	/* SME: nSMPRI_EL1, nTPIDR2_EL0 */
	{ID(pfr1), 24, 1, ALLOWED(hfgxtr), BIT(54) | BIT(55)},
	/* THE: nRCWMASK_EL1, nRCWSMASK_EL1; PFAR: nPFAR_EL1 */
	{ID(pfr1), 48, 1, ALLOWED(hfgxtr), BIT(56)},
	{ID(pfr1), 48, 1, ALLOWED(hfgxtr2), BIT(2)},
	{ID(pfr1), 60, 1, ALLOWED(hfgxtr2), BIT(0)},
	/* S1PIE: nPIRE0_EL1, nPIR_EL1; S1POE: nPOR_EL0, nPOR_EL1; S2POE: nS2POR_EL1 */
	{ID(mmfr3), 8, 1, ALLOWED(hfgxtr), BIT(57) | BIT(58)},
	{ID(mmfr3), 16, 1, ALLOWED(hfgxtr), BIT(59) | BIT(60)},
	{ID(mmfr3), 20, 1, ALLOWED(hfgxtr), BIT(61)},
	/* AIE: nMAIR2_EL1, nAMAIR2_EL1 */
	{ID(mmfr3), 24, 1, ALLOWED(hfgxtr), BIT(62) | BIT(63)},
	/* BRBE: nBRBIDR, which is only read, nBRBCTL, nBRBDATA; nBRBINJ, nBRBIALL */
	{ID(dfr0), 52, 1, ALLOWED(hdfgrtr), BIT(59) | BIT(60) | BIT(61)},
	{ID(dfr0), 52, 1, ALLOWED(hdfgwtr), BIT(60) | BIT(61)},
	{ID(dfr0), 52, 1, ALLOWED(hfgitr), BIT(55) | BIT(56)},
	/* SPEv1p2: nPMSNEVFR_EL1 */
	{ID(dfr0), 32, 3, ALLOWED(hdfgrtr), BIT(62)},
	{ID(dfr0), 32, 3, ALLOWED(hdfgwtr), BIT(62)},
	/* SPE_FDS, by the highest bit of these four: nPMSDSFR_EL1 */
	{ID(pmsidr), 4, 8, ALLOWED(hdfgxtr2), BIT(19)},
	/* PMUv3p9: nPMICNTR_EL0, nPMICFILTR_EL0, nPMUACR_EL1 */
	{ID(dfr0), 8, 9, ALLOWED(hdfgxtr2), BIT(2) | BIT(3) | BIT(4)},
};

/* PMUVer: a PMU that is none of Arm's */
#define PMU_OWN (15ull << 8)

void features_allow(const struct id_regs *id, struct allowed *a)
{
	struct id_regs ids = *id;

	if ((ids.dfr0 & PMU_OWN) == PMU_OWN)
		ids.dfr0 &= ~PMU_OWN;
	*a = (struct allowed){0};
	for (u32 i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];
		u64 field = ((const u64 *)&ids)[r->id] >> r->shift & 15;

		if (field >= r->least)
			((u64 *)a)[r->allowed] |= r->bits;
	}
}
