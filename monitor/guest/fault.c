/* SPDX-License-Identifier: BSD-2-Clause */
/* What is to be done about an access that stage 2 refuses. */
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "stage2/hide.h"
#include "stage2/shadow_access.h"

static enum guest_fault shadowed_access(struct cpu *c, ipa_t ipa, u32 need, bool stepping)
{
	if (stepping) {
		shadow_access_also(ipa);
		return GUEST_FAULT_RETRY;
	}
	/* Another kernel's writes go to the original, and all of them. */
	if ((need == PT_WRITE && kexec_check(c)) || shadow_access_begin(ipa))
		return GUEST_FAULT_RETRY;
	return GUEST_FAULT_STEP;
}

enum guest_fault guest_fault(struct cpu *c, ipa_t ipa, u32 need, bool stepping)
{
	if (need != PT_EXEC && shadow_access_concerns(ipa))
		return shadowed_access(c, ipa, need, stepping);
	return hide_covers(ipa) ? GUEST_FAULT_HIDDEN : GUEST_FAULT_NOTHING;
}

void guest_fault_stepped(void)
{
	shadow_access_end();
}
