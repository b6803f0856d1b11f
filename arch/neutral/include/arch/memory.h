/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pointers and physical addresses. Any CPU on the monitor's tables, or at boot on the firmware's:
 * on real machines both map memory and devices at their physical address.
 */
#ifndef ARCH_MEMORY_H
#define ARCH_MEMORY_H

#include "lib/types.h"

/* A pointer to physical memory or to a device. The caller has checked that it is there. */
void *arch_ptr(pa_t pa);

/* The physical address of a pointer into the pool or the image. */
pa_t arch_pa(const void *p);

#endif
