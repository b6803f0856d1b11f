/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's own tables map all memory at its physical address. */
#ifndef ARCH_MEMORY_H
#define ARCH_MEMORY_H

#include "lib/types.h"

/* A pointer to physical memory. The caller has checked that it is memory. */
static inline void *arch_ptr(pa_t pa)
{
	return (void *)(uintptr_t)pa.v;
}

/* The physical address of a pointer into the pool or the image. */
static inline pa_t arch_pa(const void *p)
{
	return PA((u64)(uintptr_t)p);
}

#endif
