/* SPDX-License-Identifier: BSD-2-Clause */
/* --callbacks FILE: what a patch made of a diff does around the switch. */
#ifndef CTL_DIFF_CALLBACKS_H
#define CTL_DIFF_CALLBACKS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct kbuild;
struct kernel;

struct callback {
	char *function;	    /* PHASE_OBJECT, malloced */
	const char *phase;  /* member of struct klp_callbacks */
	const char *object; /* in `function` */
};

struct callbacks {
	char file[PATH_MAX];   /* "": none was given */
	char object[PATH_MAX]; /* the file, compiled */
	struct callback *list; /* malloced */
	size_t count;
	bool states;
};

/*
 * Compile the file below `work` and find the callbacks and states in it. An exit code, with a
 * message printed. callbacks_free() also after a failure.
 */
int callbacks_read(struct callbacks *c, const char *file, const struct kernel *k,
		   const struct kbuild *kbuild, const char *work);
void callbacks_free(struct callbacks *c);

/*
 * Refuse names that are also defined by the object file, which has the diff's new functions. An
 * exit code, with a message printed.
 */
int callbacks_check(const struct callbacks *c, const char *functions);

/* Is this object the first in the list with the name of number `i`? */
bool callbacks_is_first(const struct callbacks *c, size_t i);

/* Write their declarations, to be read behind <linux/livepatch.h>. */
void callbacks_declare(const struct callbacks *c, FILE *f);

/* Write the member of struct klp_object, nothing for an object that has none. */
void callbacks_write(const struct callbacks *c, const char *object, FILE *f);

#endif
