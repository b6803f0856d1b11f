/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/pagetable.h"
#include "hv.h"

const struct pt_format *arch_stage2_format(void)
{
	return hv->stage2_format();
}
