/* SPDX-License-Identifier: BSD-2-Clause */
/* What a CPU starts with in the guest. */
#include "arch/memory.h"
#include "arch/publish.h"
#include "core/log.h"
#include "el2.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "pt_format.h"
#include "stage2/pt.h"
#include "sysreg.h"

/* The firmware's EL2, as the caller of arch_take_over() has it. */
static struct {
	u64 mair, tcr, ttbr0, sctlr, vbar;
	bool e2h;
	const struct native_frame *frame;
} native;

int state_capture(const struct native_frame *frame)
{
	native.mair = read_sysreg(mair_el2);
	native.tcr = read_sysreg(tcr_el2);
	native.ttbr0 = read_sysreg(ttbr0_el2);
	native.sctlr = read_sysreg(sctlr_el2);
	native.vbar = read_sysreg(vbar_el2);
	native.e2h = read_sysreg(hcr_el2) & HCR_E2H;
	native.frame = frame;
	if (!(native.sctlr & SCTLR_M) || native.e2h || stage1_tcr_is_known(native.tcr))
		return 0;
	log_error("the firmware's page tables (TCR_EL2 %#llx) are of no form that is known here",
		  native.tcr);
	return -EOPNOTSUPP;
}

/* ---- the firmware's tables, for EL1 ---- */

static void convert_table(const struct pt_format *f, u64 pa, u32 level)
{
	u64 *table = arch_ptr(PA(pa));
	u32 count = pt_entries(f, level);

	for (u32 i = 0; i < count; i++) {
		u64 entry = table[i];

		if (!f->present(entry, level))
			continue;
		if (!f->leaf(entry, level))
			convert_table(f, f->addr(entry, level), level - 1);
		table[i] = stage1_entry_for_el1(entry, level);
		/* The firmware's TCR may have its walks not look into caches. */
		__asm__ volatile("dc civac, %0" ::"r"(&table[i]) : "memory");
	}
}

#define TCR_EPD1 (1ull << 23)

/* TG0: pages of 4, 64 or 16 KiB */
static u32 tcr_page_shift(u64 tcr)
{
	static const u8 shifts[] = {12, 16, 14, 0};

	return shifts[tcr >> 14 & 3];
}

/*
 * Loaders go on with the MMU as it is, and Linux from 6.3 on enters the kernel so: the firmware's
 * tables stay in use. They are memory of boot services, which is nobody's now.
 */
static void resume_translation(void)
{
	u32 bits = 64 - (native.tcr & 63);
	struct pt_format f;

	if (!native.e2h && guest_format(&f, bits, tcr_page_shift(native.tcr), false))
		convert_table(&f, native.ttbr0 & 0xffffffffffc0ull, f.top_level);
	/* of cache maintenance to the point of coherency too (D7.5.9) */
	__asm__ volatile("dsb sy" ::: "memory");
	write_sysreg(mair_el1, native.mair);
	write_sysreg(tcr_el1, native.e2h ? native.tcr | TCR_EPD1 : stage1_tcr_for_el1(native.tcr));
	write_sysreg(ttbr0_el1, native.ttbr0);
	write_sysreg(ttbr1_el1, 0);
}

/*
 * Registers of EL1 that firmware which leaves at EL2 need not have set: they would turn on what the
 * guest does not know of. MMU and caches are not among them.
 */
static void reset_el1(void)
{
	if (id_field(ID_AA64MMFR3_EL1, 0)) /* TCRX */
		write_sysreg(TCR2_EL1, 0);
	if (id_field(id_aa64pfr1_el1, 44)) { /* GCS */
		write_sysreg(GCSCR_EL1, 0);
		write_sysreg(GCSCRE0_EL1, 0);
	}
	if (id_field(id_aa64mmfr1_el1, 16)) /* LO */
		write_sysreg(LORC_EL1, 0);
	write_sysreg(amair_el1, 0);
	write_sysreg(mdscr_el1, 0);
}

#define SCTLR_KEPT (SCTLR_M | SCTLR_A | SCTLR_C | SCTLR_SA | SCTLR_I | SCTLR_WXN)
#define CPACR_FPEN (3ull << 20)

void state_resume(struct cpu *c)
{
	const struct native_frame *frame = native.frame;
	struct vcpu *v = &c->arch->vcpu;

	reset_el1();
	if (native.sctlr & SCTLR_M)
		resume_translation();
	write_sysreg(sctlr_el1, SCTLR_EL1_RES1 | (native.sctlr & SCTLR_KEPT));
	write_sysreg(vbar_el1, native.vbar);
	write_sysreg(cpacr_el1, CPACR_FPEN);
	write_sysreg(sp_el1, (u64)(frame + 1));
	__asm__ volatile("isb; tlbi vmalle1; dsb nsh; isb" ::: "memory");

	memset(v, 0, sizeof(*v));
	memcpy(&v->x[18], frame->x, sizeof(frame->x));
	v->x[29] = frame->fp;
	v->x[30] = frame->lr;
	v->elr = frame->lr;
	v->spsr = PSTATE_EL1H | (frame->daif & PSTATE_DAIF);
}

void state_reset(struct cpu *c, u64 entry, u64 context)
{
	struct vcpu *v = &c->arch->vcpu;

	reset_el1();
	write_sysreg(sctlr_el1, SCTLR_EL1_RES1);
	isb();
	memset(v, 0, sizeof(*v));
	v->x[0] = context;
	v->elr = entry;
	v->spsr = PSTATE_EL1H | PSTATE_DAIF;
}
