/* SPDX-License-Identifier: BSD-2-Clause */
/* The frames of a GIC, and its interrupts. No instruction of the processor: it runs anywhere. */
#include "arch/memory.h"
#include "boot/range.h"
#include "gic.h"

/* Of a redistributor (12.11). */
#define GICR_TYPER 0x8
#define GICR_PIDR2 0xffe8
#define GICR_FRAME 0x20000ull /* RD_base and SGI_base */

#define TYPER_VLPIS    (1ull << 1)
#define TYPER_LAST     (1ull << 4)
#define TYPER_AFFINITY 32
#define PIDR2_ARCH(v)  ((v) >> 4 & 15)

static volatile u32 *reg_at(u64 frame, u32 reg)
{
	return arch_ptr(PA(frame + reg));
}

static u64 read_typer(u64 frame)
{
	return *reg_at(frame, GICR_TYPER) | (u64)*reg_at(frame, GICR_TYPER + 4) << 32;
}

/* GICR_TYPER has the four affinity levels in a row (12.11.37), MPIDR_EL1 the highest apart. */
static u64 affinity_of(u64 typer)
{
	u64 v = typer >> TYPER_AFFINITY;

	return (v & 0xffffff) | (v >> 24) << 32;
}

static bool is_redistributor(u64 frame)
{
	u32 version = PIDR2_ARCH(*reg_at(frame, GICR_PIDR2));

	return version == 3 || version == 4;
}

static struct boot_range find_in(const struct boot_range *r, u64 hwid)
{
	u64 typer = 0, size;

	for (u64 at = r->base; at + GICR_FRAME <= r->base + r->size && !(typer & TYPER_LAST);
	     at += size) {
		if (!is_redistributor(at))
			break;
		typer = read_typer(at);
		size = typer & TYPER_VLPIS ? 2 * GICR_FRAME : GICR_FRAME;
		if (affinity_of(typer) == hwid)
			return (struct boot_range){at, size};
	}
	return (struct boot_range){0};
}

struct boot_range gic_find(const struct boot_ranges *redistributors, u64 hwid)
{
	struct boot_range found = {0};

	for (u32 i = 0; i < redistributors->count && !found.size; i++)
		found = find_in(&redistributors->range[i], hwid);
	return found;
}

/* ---- the distributor (12.9) ---- */

#define GICD_TYPER     0x4
#define GICD_ISENABLER 0x100
#define GICD_ISPENDR   0x200
#define GICD_ICPENDR   0x280
#define GICD_ISACTIVER 0x300

#define TYPER_LINES 31u /* interrupts, in units of 32, less one (12.9.38) */
#define FIRST_SPI   32u
#define LAST_SPI    1019u

static bool has_bit(u64 distributor, u32 set, u32 intid)
{
	return *reg_at(distributor, set + intid / 32 * 4) >> (intid % 32) & 1;
}

void gic_set_pending(u64 distributor, u32 intid, bool pending)
{
	*reg_at(distributor, (pending ? GICD_ISPENDR : GICD_ICPENDR) + intid / 32 * 4) =
		1u << (intid % 32);
}

/* Registers ignore writes for what is not implemented, and for what is the secure world's. */
static bool can_pend(u64 distributor, u32 intid)
{
	bool pends;

	gic_set_pending(distributor, intid, true);
	pends = has_bit(distributor, GICD_ISPENDR, intid);
	gic_set_pending(distributor, intid, false);
	return pends && !has_bit(distributor, GICD_ISPENDR, intid);
}

static bool is_free(u64 distributor, u32 intid)
{
	return !has_bit(distributor, GICD_ISENABLER, intid) &&
	       !has_bit(distributor, GICD_ISPENDR, intid) &&
	       !has_bit(distributor, GICD_ISACTIVER, intid) && can_pend(distributor, intid);
}

u32 gic_find_free(u64 distributor, const struct boot_irqs *named)
{
	u32 lines = *reg_at(distributor, GICD_TYPER) & TYPER_LINES;
	u32 intid = MIN(32 * lines + 31, LAST_SPI);

	while (intid >= FIRST_SPI && (irqs_has(named, intid) || !is_free(distributor, intid)))
		intid--;
	return intid >= FIRST_SPI ? intid : 0;
}
