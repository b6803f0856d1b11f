/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/reset.h"
#include "arch/time.h"

#define SOON_US 200000u

static u64 due_us; /* 0: nobody wants it */

void reset_soon(void)
{
	due_us = arch_time_us() + SOON_US;
}

bool reset_is_due(void)
{
	return due_us && arch_time_us() >= due_us;
}
