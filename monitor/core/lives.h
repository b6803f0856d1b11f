/* SPDX-License-Identifier: BSD-2-Clause */
/* How often the service CPU began anew, for those that show it. Written by monitor/restart.c. */
#ifndef CORE_LIVES_H
#define CORE_LIVES_H

#include "lib/types.h"

struct lives {
	u64 count;	 /* since boot */
	u64 began_us;	 /* when it last did */
	const char *why; /* what ended the life before; NULL: nobody knows */
};

extern struct lives lives;

#endif
