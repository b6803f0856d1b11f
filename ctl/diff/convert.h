/* SPDX-License-Identifier: BSD-2-Clause */
/* From what create-diff-object writes to an object of a payload. */
#ifndef CTL_DIFF_CONVERT_H
#define CTL_DIFF_CONVERT_H

#include "match.h"

struct new_function {
	char *name; /* of the function that is replaced, malloced */
	char symbol[32];
	unsigned position;
	bool added; /* create-diff-object has not named it */
};

struct changes {
	char object[64];
	struct new_function *functions; /* that replace others */
	size_t nr_functions;
	char **new_names; /* functions and data that did not exist before, malloced */
	size_t nr_new;
	unsigned references; /* to symbols that are not exported */
};

/*
 * Read `from`, in which create-diff-object describes relocations in sections of its own, and write
 * `to`, with ordinary relocations against names that the payload's loader resolves. `number` tells
 * the object's new functions from other objects'. An exit code, with a message printed, with what
 * is not as in the target named. changes_free() also after a failure.
 */
int convert(const char *from, const char *to, const struct match *m, unsigned number,
	    struct changes *c);
void changes_free(struct changes *c);

/* Say why the match does not hold for a function that is needed. Returns EX_BAD_USAGE. */
int convert_refuse(const struct match *m, const char *name, const char *what);

#endif
