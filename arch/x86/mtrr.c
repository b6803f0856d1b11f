/* SPDX-License-Identifier: BSD-2-Clause */
#include "mtrr.h"
#include "arch/service.h"
#include "core/lock.h"
#include "host.h"
#include "insn.h"
#include "memory_type.h"

/* variable and fixed ones, and the default: by the lower part of their numbers */
#define FIRST (MSR_MTRR_VARIABLE & ~0xffu)
#define COUNT 0x100u

static struct {
	struct spinlock lock;
	u32 pending;
	bool written[COUNT]; /* since the service CPU has looked */
	bool known[COUNT];   /* once written by the guest */
	u64 value[COUNT];    /* the guest's */
} mtrr;

#define FN1_EDX_MTRR	  (1u << 12)
#define MTRR_CAP_COUNT(v) ((v)&0xff)
#define MTRR_CAP_FIXED	  (1ull << 8)

/* INIT may have reset those of the service CPU: the guest's are what the boot CPU had, and writes.
 */
static u64 guests_value(u32 msr)
{
	return msr == MSR_MTRR_CAP ? rdmsr(msr) : mtrr.value[msr - FIRST];
}

static void keep_values(u32 first, u32 count)
{
	for (u32 i = 0; i < count; i++)
		mtrr.value[first + i - FIRST] = rdmsr(first + i);
}

void mtrr_init(void)
{
	struct mtrr_state types = {.default_type = TYPE_WB};
	u64 capability;

	memory_types_set(&types);
	if (!(cpuid(1, 0).edx & FN1_EDX_MTRR))
		return;
	capability = rdmsr(MSR_MTRR_CAP);
	keep_values(MSR_MTRR_VARIABLE, 2 * MIN((u32)MTRR_CAP_COUNT(capability), MTRR_PAIRS));
	if (capability & MTRR_CAP_FIXED) {
		keep_values(0x250, 1);
		keep_values(0x258, 2);
		keep_values(0x268, 8);
	}
	keep_values(MSR_MTRR_DEFAULT, 1);
	mtrr_decode(&types, guests_value);
	memory_types_set(&types);
}

void mtrr_note(u32 msr, u64 value)
{
	u32 i = msr - FIRST;

	spin_lock(&mtrr.lock);
	/* Each guest CPU writes the same ones. */
	if (!mtrr.known[i] || mtrr.value[i] != value) {
		mtrr.known[i] = mtrr.written[i] = true;
		mtrr.value[i] = value;
		__atomic_store_n(&mtrr.pending, 1, __ATOMIC_RELEASE);
	}
	spin_unlock(&mtrr.lock);
	if (__atomic_load_n(&mtrr.pending, __ATOMIC_ACQUIRE))
		arch_service_wake();
}

/* The default, which turns all of them on, comes last by its number. */
static void write_all(void)
{
	for (u32 i = 0; i < COUNT; i++) {
		if (mtrr.written[i])
			wrmsr_safe(FIRST + i, mtrr.value[i]);
		mtrr.written[i] = false;
	}
}

/* APM vol. 2, 7.7.5 and 7.8.5: without caches, and with none of the old types in them or in the TLB
 */
static void write_noted(void)
{
	u64 cr0 = read_cr0();

	spin_lock(&mtrr.lock);
	write_cr0(cr0 | CR0_CD);
	wbinvd();
	write_all();
	wbinvd();
	write_cr0(cr0);
	write_cr3(host_root());
	mtrr.pending = 0;
	spin_unlock(&mtrr.lock);
}

bool mtrr_follow(void)
{
	static bool again;
	bool pending = __atomic_load_n(&mtrr.pending, __ATOMIC_ACQUIRE);
	struct mtrr_state now;

	if (!again && !pending)
		return false;
	if (pending)
		write_noted();
	spin_lock(&mtrr.lock);
	mtrr_decode(&now, guests_value);
	spin_unlock(&mtrr.lock);
	again = memory_types_follow(&now);
	return again;
}
