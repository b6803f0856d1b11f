/* SPDX-License-Identifier: BSD-2-Clause */
/* The findings of suture build: all are printed, then the build fails or goes on. */
#ifndef CTL_VERDICT_H
#define CTL_VERDICT_H

#include <stdbool.h>

struct verdict {
	const char *patch; /* its name: messages begin with it */
	bool lenient;	   /* --no-check: what verdict_error() says are warnings */
	bool strict;	   /* --strict: what verdict_doubt() says are errors */
	unsigned errors;
};

/* The patch would be refused, or would not work. --no-check overrides it. */
void verdict_error(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The patch would crash the guest: nothing overrides it. */
void verdict_fatal(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The new code may not run where it should: a warning, with --strict an error. */
void verdict_doubt(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* It may be a mistake. */
void verdict_warn(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Something was not checked. */
void verdict_note(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
