/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/kernel.h"
#include "lib/string.h"

struct guest_kernel guest_kernel;

void guest_kernel_forget(void)
{
	memset(&guest_kernel, 0, sizeof(guest_kernel));
}

static bool range_within(u64 va, u64 len, u64 start, u64 end)
{
	return va >= start && va < end && len <= end - va;
}

bool guest_is_kernel_text(u64 va, u64 len)
{
	return range_within(va, len, guest_kernel.layout.text_start, guest_kernel.layout.text_end);
}

bool guest_is_module_text(u64 va, u64 len)
{
	return range_within(va, len, guest_kernel.layout.modules_start,
			    guest_kernel.layout.modules_end);
}
