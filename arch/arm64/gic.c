/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections are those of the GIC architecture specification, IHI 0069. */
#include "gic.h"
#include "arch/barrier.h"
#include "arch/bell.h"
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "boot/boot.h"
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "stage2/hide.h"
#include "stage2/idmap.h"

/* Of a redistributor (12.11). */
#define GICR_CTLR      0x0
#define GICR_TYPER     0x8
#define CTLR_NO_1_OF_N (7u << 24) /* DPG0, DPG1NS, DPG1S */
#define TYPER_DPGS     (1u << 5)

#define DISTRIBUTOR_SIZE 0x10000 /* 12.8 */

static struct boot_range service;     /* its redistributor */
static struct boot_range distributor; /* size 0: it is not used */
static u32 line;		      /* the doorbell; 0: there is none */

static volatile u32 *reg_at(u32 reg)
{
	return arch_ptr(PA(service.base + reg));
}

/* ID_AA64PFR0_EL1.GIC: is the CPU interface in system registers? */
static bool has_registers(void)
{
	u64 features;

	__asm__("mrs %0, id_aa64pfr0_el1" : "=r"(features));
	return features >> 24 & 15;
}

/* Without one the agent polls. */
static void choose_line(const struct boot_info *bi)
{
	if (!bi->distributor.v)
		return;
	line = gic_find_free(bi->distributor.v, &bi->irqs);
	if (line)
		distributor = (struct boot_range){bi->distributor.v, DISTRIBUTOR_SIZE};
}

int gic_probe(const struct boot_info *bi, char *why, size_t why_size)
{
	u64 hwid = bi->cpu_hwid[bi->service_cpu];

	if (!has_registers()) {
		format(why, why_size, "the machine has no GICv3 or later");
		return -ENODEV;
	}
	service = gic_find(&bi->redistributors, hwid);
	if (!service.size) {
		format(why, why_size, "no redistributor of the GIC is that of CPU ID %llu", hwid);
		return -ENODEV;
	}
	choose_line(bi);
	return 0;
}

int gic_map(struct idmap *m)
{
	int err = idmap_add(m, service.base, service.size, service.base,
			    PT_READ | PT_WRITE | PT_DEVICE, false);

	if (line)
		log_info("the guest's agent is rung by the GIC's interrupt %u", line);
	if (!err)
		err = idmap_add(m, distributor.base, distributor.size, distributor.base,
				PT_READ | PT_WRITE | PT_DEVICE, false);
	return err ? err : hide_from_writes(service.base, service.size);
}

bool gic_filters(ipa_t ipa)
{
	return ipa.v - service.base < service.size;
}

/* ---- the doorbell ---- */

u32 arch_bell_line(void)
{
	return line;
}

void arch_bell_set_line(bool pending)
{
	gic_set_pending(distributor.base, line, pending);
}

/* The CPUs have none of their own. */
int arch_bell_open(struct cpu *c)
{
	(void)c;
	return -EOPNOTSUPP;
}

void arch_bell_ring(struct cpu *c)
{
	(void)c;
}

/* ---- CPU interfaces (12.2), by their encodings: assemblers need not know the names ---- */

#define ICC_SRE_EL2	"s3_4_c12_c9_5"
#define ICC_SGI1R_EL1	"s3_0_c12_c11_5"
#define ICC_IGRPEN1_EL1 "s3_0_c12_c12_7"
#define SRE_ALL		0xfull /* SRE, DFB, DIB; Enable: EL1 has them too (12.2.22) */

#define write_icc(name, v) __asm__ volatile("msr " name ", %0; isb" ::"r"((u64)(v)) : "memory")

void gic_init_cpu(void)
{
	write_icc(ICC_SRE_EL2, SRE_ALL);
}

void gic_init_service(void)
{
	gic_init_cpu();
	write_icc(ICC_IGRPEN1_EL1, 0);
	if (*reg_at(GICR_TYPER) & TYPER_DPGS)
		*reg_at(GICR_CTLR) |= CTLR_NO_1_OF_N;
}

bool gic_delivers(void)
{
	u64 enabled;

	__asm__ volatile("mrs %0, " ICC_IGRPEN1_EL1 : "=r"(enabled));
	return enabled & 1;
}

void gic_send(u64 hwid, u32 intid)
{
	u64 aff0 = hwid & 0xff, aff1 = hwid >> 8 & 0xff, aff2 = hwid >> 16 & 0xff;
	u64 aff3 = hwid >> 32 & 0xff;

	/* What the target shall see is stored before (DDI 0487, B2.3.12: a register is no access).
	 */
	__asm__ volatile("dsb ishst" ::: "memory");
	write_icc(ICC_SGI1R_EL1, aff3 << 48 | (aff0 / 16) << 44 | aff2 << 32 | (u64)intid << 24 |
					 aff1 << 16 | 1ull << (aff0 % 16));
}
