/* SPDX-License-Identifier: BSD-2-Clause */
/* How often the service CPU began anew, for those that show it. Written by monitor/restart.c. */
#ifndef CORE_LIVES_H
#define CORE_LIVES_H

#include "lib/types.h"

struct lives {
	u64 count;	  /* since boot */
	u64 began_us;	  /* when it last did */
	const char *why;  /* what ends this life, if it is said */
	const char *last; /* what ended the one before; NULL: there was none */
};

extern struct lives lives;

#endif
