/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the fake's files. */
#ifndef FAKE_MACHINE_H
#define FAKE_MACHINE_H

#include "lib/types.h"

void fake_memory_reset(void);
void fake_format_reset(void);
void fake_watch_reset(void);

/* The level of an entry of stage 2 that is not 0. */
u32 fake_entry_level(u64 entry);

#endif
