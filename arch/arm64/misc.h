/* SPDX-License-Identifier: BSD-2-Clause */
/* The debug port and randomness. */
#ifndef ARM64_MISC_H
#define ARM64_MISC_H

#include "lib/types.h"

struct boot_info;
struct idmap;

/* Take port and seed from *bi. Boot CPU, in core_init(), before anything is logged. */
void misc_init(const struct boot_info *bi);

/* Map the port in the monitor's tables. In arch_start_map(). -EEXIST: something else is there. */
int misc_map(struct idmap *m);

#endif
