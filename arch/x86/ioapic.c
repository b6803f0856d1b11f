/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's writes to the IOAPICs (Intel 82093AA, chapter 3; its redirection entries have the
 * fields of the ICR). Reads do not exit. Device interrupts that bypass an IOAPIC (MSI) cannot be
 * filtered without interrupt remapping: service.c ignores what they can send to the service CPU.
 */
#include "ioapic.h"
#include "apic.h"
#include "arch/memory.h"
#include "core/lock.h"
#include "core/log.h"
#include "hv.h"
#include "icr.h"

/* offsets in memory */
#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI	   0x40
/* numbers in REG_SELECT: two for each redirection entry */
#define FIRST_ENTRY 0x10
#define IS_HIGH(n)  ((n)&1)

#define ENTRY_MASKED	  (1u << 16)
#define ENTRY_DESTINATION 24 /* in the upper half */
#define BROADCAST	  0xffu

/* The guest selects a register and writes it: the monitor selects others in between. */
static struct spinlock lock;

static volatile u32 *reg_at(u64 base, u32 offset)
{
	return arch_ptr(PA(base + offset));
}

static u32 read_reg(u64 base, u32 number)
{
	*reg_at(base, REG_SELECT) = number;
	return *reg_at(base, REG_WINDOW);
}

static void write_reg(u64 base, u32 number, u32 value)
{
	*reg_at(base, REG_SELECT) = number;
	*reg_at(base, REG_WINDOW) = value;
}

static const struct boot_range *find_ioapic(ipa_t ipa)
{
	const struct boot_ranges *all = &machine->ioapics;

	for (u32 i = 0; i < all->count; i++)
		if (ALIGN_DOWN(ipa.v, PAGE_SIZE) == ALIGN_DOWN(all->range[i].base, PAGE_SIZE))
			return &all->range[i];
	return NULL;
}

bool ioapic_covers(ipa_t ipa)
{
	return find_ioapic(ipa);
}

static bool is_refused(u32 low, u32 high)
{
	u32 mode = APIC_MODE(low), destination = high >> ENTRY_DESTINATION;
	bool x2 = apic_is_x2();

	if (low & ENTRY_MASKED)
		return false;
	if (mode != APIC_FIXED && mode != APIC_LOWEST && mode != APIC_EXTINT)
		return true;
	if (x2 && destination == BROADCAST)
		destination = ~0u;
	return icr_reaches_service_cpu(low & APIC_LOGICAL, destination, x2);
}

static void write_entry(struct cpu *self, u64 base, u32 number, u32 value)
{
	u32 other = read_reg(base, number ^ 1);
	u32 low = IS_HIGH(number) ? other : value, high = IS_HIGH(number) ? value : other;

	if (is_refused(low, high)) {
		log_limited(LOG_ACCESS, LOG_ERROR,
			    "guest CPU %u: redirection entry %u of the IOAPIC at %#llx is refused: "
			    "%#x %08x",
			    self->id, (number - FIRST_ENTRY) / 2, (unsigned long long)base, high,
			    low);
		/* The lower half first: an entry that is on must not get a destination before. */
		write_reg(base, number & ~1u, low | ENTRY_MASKED);
		if (!IS_HIGH(number))
			return;
	}
	write_reg(base, number, value);
}

void ioapic_guest_write(struct cpu *self, ipa_t ipa, u32 value)
{
	const struct boot_range *r = find_ioapic(ipa);
	u64 offset = ipa.v - r->base;
	u32 number;

	spin_lock(&lock);
	number = *reg_at(r->base, REG_SELECT) & 0xff;
	if (offset == REG_WINDOW && number >= FIRST_ENTRY)
		write_entry(self, r->base, number, value);
	else if (offset == REG_SELECT || offset == REG_WINDOW || offset == REG_EOI)
		*reg_at(r->base, (u32)offset) = value;
	spin_unlock(&lock);
}
