/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where vmlinux has what a payload replaces and uses, for the monitor to compare: KASLR moves all
 * of vmlinux by one distance.
 */
#ifndef CTL_PLACES_H
#define CTL_PLACES_H

#include "kernel.h"
#include "payload.h"

/*
 * Set old_offset of the functions, and the symbols, as far as the kernel's image is at hand and
 * tells them. info->symbols is the caller's to free. -1: no memory.
 */
int places_find(const struct kernel *k, const struct ko *payload, struct payload_info *info);

#endif
