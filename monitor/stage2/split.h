/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STAGE2_SPLIT_H
#define STAGE2_SPLIT_H

#include "lib/types.h"

/*
 * pgtable_split() for the tables that the guest runs on. Where the format wants a pause for it,
 * this takes one for each block; nothing is allocated in it. -EAGAIN: the guest's CPUs did not stop
 * in time; -ENOENT, -ENOMEM. Service CPU, outside of a pause.
 */
int stage2_split(ipa_t ipa);

#endif
