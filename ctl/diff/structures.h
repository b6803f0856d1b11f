/* SPDX-License-Identifier: BSD-2-Clause */
/* Structures that a diff changes, of which the running kernel has some. */
#ifndef CTL_DIFF_STRUCTURES_H
#define CTL_DIFF_STRUCTURES_H

#include <stdbool.h>

/*
 * Compare those of work/original/OBJECT.debug and work/patched/OBJECT.debug. An exit code, with a
 * message printed for each whose layout changes. `lenient`: they are no error, since all functions
 * that use them are replaced, and none lives longer than a call.
 */
int structures_check(const char *work, const char *object, bool lenient);

#endif
