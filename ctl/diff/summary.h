/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CTL_DIFF_SUMMARY_H
#define CTL_DIFF_SUMMARY_H

#include "callbacks.h"
#include "convert.h"

/* Print what a patch made of a diff changes: a line for each changed object, and one for the
 * callbacks. */
void summary_print(const struct changes *changes, size_t count, const struct callbacks *callbacks);

#endif
