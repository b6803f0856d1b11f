/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/mailbox.h"
#include "arch/upcalls.h"
#include "guest/bell.h"
#include "guest/drop.h"
#include "guest/panic.h"
#include "lib/errno.h"
#include <suture/abi.h>

s64 hypercall(struct cpu *c, u64 nr, u64 a0, u64 a1, u64 a2)
{
	(void)a2;
	switch (nr) {
	case SUTURE_HC_VERSION:
		return SUTURE_ABI_VERSION;
	case SUTURE_HC_POST:
		return mailbox_post(a0, a1);
	case SUTURE_HC_REPLY:
		return mailbox_reply(a0, a1);
	case SUTURE_HC_CANCEL:
		return mailbox_cancel();
	case SUTURE_HC_DROP_RANGE:
		return drop_range(a0, a1);
	case SUTURE_HC_DROP_ALL:
		return drop_all(KERNEL_SHUTS_DOWN);
	case SUTURE_HC_PANIC:
		return panic_told(a0, a1);
	case SUTURE_HC_BELL:
		return guest_bell_open(c, a0);
	case SUTURE_HC_BELL_LINE:
		return guest_bell_open_line(a0);
	default:
		return -ENOSYS;
	}
}
