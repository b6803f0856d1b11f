/* SPDX-License-Identifier: BSD-2-Clause */
/* What is to be done about an access that stage 2 refuses. */
#include "arch/upcalls.h"
#include "stage2/hide.h"
#include "stage2/shadow_write.h"

static enum guest_fault shadowed_write(struct cpu *c, ipa_t ipa, bool stepping)
{
	if (stepping) {
		shadow_write_also(ipa);
		return GUEST_FAULT_RETRY;
	}
	/* Another kernel's writes go to the original, and all of them. */
	if (kexec_check(c) || shadow_write_begin(ipa))
		return GUEST_FAULT_RETRY;
	return GUEST_FAULT_STEP;
}

enum guest_fault guest_fault(struct cpu *c, ipa_t ipa, bool write, bool stepping)
{
	if (write && shadow_write_concerns(ipa))
		return shadowed_write(c, ipa, stepping);
	return hide_covers(ipa) ? GUEST_FAULT_HIDDEN : GUEST_FAULT_NOTHING;
}

void guest_fault_stepped(void)
{
	shadow_write_end();
}
