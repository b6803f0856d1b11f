/* SPDX-License-Identifier: BSD-2-Clause */
/* The output of kbuild. */
#ifndef CTL_BUILDLOG_H
#define CTL_BUILDLOG_H

#include <stdbool.h>

/* All of it, to stderr. */
void buildlog_show(const char *path);

/*
 * Print the warnings of a build that succeeded to stderr, without its progress and without
 * modpost's warnings of symbols that it cannot know. Returns true if modpost found section
 * mismatches.
 */
bool buildlog_show_warnings(const char *path);

#endif
