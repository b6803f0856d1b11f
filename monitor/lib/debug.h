/* SPDX-License-Identifier: BSD-2-Clause */
/* `make DEBUG=1` makes a monitor with checks that cost too much for use (docs/debugging.md). */
#ifndef LIB_DEBUG_H
#define LIB_DEBUG_H

#ifdef SUTURE_DEBUG
#define DEBUG_BUILD 1
#else
#define DEBUG_BUILD 0
#endif

#endif
