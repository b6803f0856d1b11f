/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of versions. Pure logic. */
#ifndef PATCH_VERSION_H
#define PATCH_VERSION_H

/*
 * Negative, 0 or positive, as a is older than b, the same, or newer: runs of digits are compared as
 * numbers ("1.10" is newer than "1.9"), other characters by their codes, and a text is newer than
 * its beginning. Leading zeros count for nothing.
 */
int version_compare(const char *a, const char *b);

#endif
