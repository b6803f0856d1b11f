/* SPDX-License-Identifier: BSD-2-Clause */
/* Why create-diff-object refuses a change, in words for the author. */
#ifndef CTL_DIFF_REFUSAL_H
#define CTL_DIFF_REFUSAL_H

/*
 * Print a line for each reason in create-diff-object's output, the file `log`; `object` is the
 * object's name. Output that has no known reason is shown as it is. Returns EX_BAD_USAGE.
 */
int refusal_show(const char *object, const char *log);

#endif
