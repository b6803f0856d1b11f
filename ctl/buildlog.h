/* SPDX-License-Identifier: BSD-2-Clause */
/* What kbuild printed. */
#ifndef CTL_BUILDLOG_H
#define CTL_BUILDLOG_H

#include <stdbool.h>

/* All of it, to stderr. */
void buildlog_show(const char *path);

/*
 * What of a build that succeeded is for the author, to stderr: all but its progress, and modpost's
 * word on symbols that it cannot know. Returns true if modpost found section mismatches.
 */
bool buildlog_show_warnings(const char *path);

#endif
