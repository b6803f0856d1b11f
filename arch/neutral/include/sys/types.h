/* SPDX-License-Identifier: BSD-2-Clause */
/* All that lwIP's port needs of the C library's header, which exists for one architecture at a
 * time. */
#ifndef NEUTRAL_SYS_TYPES_H
#define NEUTRAL_SYS_TYPES_H

#include <stddef.h>

typedef ptrdiff_t ssize_t;

#endif
