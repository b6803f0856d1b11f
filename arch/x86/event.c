/* SPDX-License-Identifier: BSD-2-Clause */
/* Events and instructions that the vendors report in the same way. */
#include "hv.h"
#include "insn.h"

/* INT3 and INTO cause exceptions, which SVM reports as such and not as those of software. */
static bool is_of_instruction(u64 event)
{
	u8 vector = EVENT_VECTOR(event);

	return EVENT_TYPE(event) >= EVENT_SOFTWARE ||
	       (EVENT_TYPE(event) == EVENT_EXCEPTION && (vector == VEC_BP || vector == VEC_OF));
}

u64 event_again(u64 event)
{
	return (event & EVENT_VALID) && !is_of_instruction(event) ? event : 0;
}

void vcpu_advance(struct vcpu *v, u32 len)
{
	v->rip += len;
	if (!v->long_code)
		v->rip &= 0xffffffff;
	v->rflags &= ~RFLAGS_RF;
	v->shadow = false;
}
