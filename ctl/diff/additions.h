/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers in which a diff only declares something new: no other file's code changes by that. */
#ifndef CTL_DIFF_ADDITIONS_H
#define CTL_DIFF_ADDITIONS_H

#include <stdbool.h>

/*
 * True if the text of a header, `after`, is `before` with more declarations and inline functions at
 * file level. A macro, an include, a member or a statement may change other files. False also
 * without memory, and for what is not understood.
 */
bool additions_only(const char *before, const char *after);

#endif
