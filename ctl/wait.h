/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for the end of an operation that the monitor has begun. */
#ifndef CTL_WAIT_H
#define CTL_WAIT_H

#include "ctl.h"

/*
 * Wait until the patch reaches a final phase; what stands in the way is told on stderr. The caller
 * frees the answer. report: "apply" or "revert", the operation under way. When --timeout is over
 * the operation is turned around, and its end waited for; EX_PENDING if that is not to be done, or
 * was not done in time, or after SIGINT.
 */
int wait_final(const struct options *o, const char *name, const char *report, json_t **answer);

/* Between two looks at something: returns early after SIGINT, which is noticed from the first call
 * on. */
void wait_s(double s);
bool wait_interrupted(void);
double wait_now_s(void);

#endif
