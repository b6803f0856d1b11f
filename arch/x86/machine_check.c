/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine_check.h"
#include "arch/cpu.h"
#include "core/cpu.h"
#include "core/emergency.h"
#include "insn.h"

/* APM vol. 2, 9.3 */
#define MSR_MCG_CAP    0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MC0_STATUS 0x401
#define BANK_MSRS      4u /* of a bank: CTL, STATUS, ADDR, MISC */

#define MCG_CAP_COUNT	0xffu
#define MCG_STATUS_RIPV (1ull << 0)
#define MCI_VALID	(1ull << 63)
#define MCI_ADDRV	(1ull << 58)

static void tell_bank(u32 bank)
{
	u32 msr = MSR_MC0_STATUS + BANK_MSRS * bank;
	u64 status = rdmsr(msr);

	if (!(status & MCI_VALID))
		return;
	emergency("  MC%u_STATUS %#llx, address %#llx", bank, (unsigned long long)status,
		  (unsigned long long)(status & MCI_ADDRV ? rdmsr(msr + 1) : 0));
	wrmsr(msr, 0);
}

bool machine_check(void)
{
	u64 status = rdmsr(MSR_MCG_STATUS);
	u32 banks = rdmsr(MSR_MCG_CAP) & MCG_CAP_COUNT;

	emergency("machine check on CPU %u in the monitor: MCG_STATUS %#llx", cpu_this()->id,
		  (unsigned long long)status);
	for (u32 i = 0; i < banks; i++)
		tell_bank(i);
	/* A second one while this bit is set would be a shutdown (MCIP). */
	wrmsr(MSR_MCG_STATUS, 0);
	return status & MCG_STATUS_RIPV;
}
