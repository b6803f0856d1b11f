/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The patches that the guest says it wants, for the operator to see. Nothing is done because of
 * them. Service CPU.
 */
#ifndef GUEST_WANTED_H
#define GUEST_WANTED_H

#include "lib/types.h"
#include <suture/abi.h>

struct wanted {
	char name[SUTURE_NAME_LEN];
	u32 state; /* enum suture_wanted_state */
	char text[SUTURE_TEXT_LEN];
};

/*
 * Remember it, or forget it (SUTURE_WANTED_GONE); m->name is terminated. -EINVAL: a name or a state
 * that there is not; -ENOSPC: SUTURE_WANTED_MAX are remembered.
 */
int wanted_tell(const struct suture_wanted *m);

/* The i-th, in the order in which they were told; NULL behind the last one. */
const struct wanted *wanted_get(u32 i);

/* "offered", "waits", "locked", "off", "refused" */
const char *wanted_name(u32 state);

/* The kernel that said it is gone. */
void wanted_forget(void);

/* They go along with checkpoints. -ENOMEM. */
int wanted_keep(void);

#endif
