/* SPDX-License-Identifier: BSD-2-Clause */
/* What of the program `redirects` depends on the architecture: <a>/lock.c. */
#ifndef LOCK_H
#define LOCK_H

#include "stage2/redirect.h"

/* Is one of the replaced instructions one that a kernel on a single CPU changes (x86: LOCK)? */
bool has_lock(const struct redirect *piece);

#endif
