/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STAGE2_SPLIT_H
#define STAGE2_SPLIT_H

#include "lib/types.h"

/*
 * pgtable_split() for the tables that the guest runs on. If the format requires a pause, this takes
 * one for each block. Nothing is allocated in the pause. -EAGAIN: the guest's CPUs did not stop in
 * time; -ENOENT, -ENOMEM. Service CPU, outside of a pause.
 */
int stage2_split(ipa_t ipa);

#endif
