/* SPDX-License-Identifier: BSD-2-Clause */
#include "firmware_msr.h"
#include "core/log.h"
#include "hv.h"
#include "insn.h"
#include "lib/errno.h"

/* The guest may change these bits alone. */
static int set_bits_of(u32 msr, u64 value, u64 bits)
{
	u64 old;
	int err = rdmsr_safe(msr, &old);

	if (!err && (old ^ value) & ~bits)
		err = -EIO;
	return err ? err : wrmsr_safe(msr, value);
}

#define SYSCFG_MTRR_FIX_DRAM                                                                       \
	(3ull << 18) /* whether fixed MTRRs choose between memory and devices */

int firmware_set_syscfg(struct cpu *c, u32 msr, u64 value)
{
	(void)c;
	return set_bits_of(msr, value, SYSCFG_MTRR_FIX_DRAM);
}

/* FFDIS, MONITOR in user mode, writes of MCi_STATUS, boost off, instructions retired counter */
#define HWCR_GUEST (1ull << 6 | 1ull << 10 | 1ull << 18 | 1ull << 25 | 1ull << 30)

int firmware_set_hwcr(struct cpu *c, u32 msr, u64 value)
{
	(void)c;
	return set_bits_of(msr, value, HWCR_GUEST);
}

int firmware_ignore_microcode(struct cpu *c, u32 msr, u64 value)
{
	(void)msr, (void)value;
	log_limited(LOG_ACCESS, LOG_WARN,
		    "guest CPU %u wants to load microcode: ignored, the firmware has to", c->id);
	return 0;
}
