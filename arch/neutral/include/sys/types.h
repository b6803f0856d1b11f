/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The types that lwIP's port needs of the C library's header, which is installed for one
 * architecture only.
 */
#ifndef NEUTRAL_SYS_TYPES_H
#define NEUTRAL_SYS_TYPES_H

#include <stddef.h>

typedef ptrdiff_t ssize_t;

#endif
