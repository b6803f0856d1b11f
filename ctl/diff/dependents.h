/* SPDX-License-Identifier: BSD-2-Clause */
/* Which C files of the kernel's source a changed file is compiled into. */
#ifndef CTL_DIFF_DEPENDENTS_H
#define CTL_DIFF_DEPENDENTS_H

#include <stdbool.h>
#include <stddef.h>

/* More files than this take longer than a kernel's build is worth. */
#define DEPENDENTS_MAX 40u

struct dependents {
	char *objects[DEPENDENTS_MAX + 1]; /* "fs/proc/cmdline.o", malloced; NULL behind the last */
	bool named[DEPENDENTS_MAX];	   /* its C file is one of the changed files */
	size_t count;
	bool many; /* there are more than can be compiled: only the changed files are listed */
};

/*
 * The objects of all C files that are one of `paths`, or include one, directly or not. `includes`:
 * the file that prepare.sh makes. An exit code, with a message printed. dependents_free() also
 * after a failure.
 */
int dependents_find(struct dependents *d, const char *includes, char *const *paths, size_t count);

/* Say that too much of the kernel includes a changed header. Returns EX_BAD_USAGE. */
int dependents_refuse(char *const *paths, size_t count);

/* Leave out number `i`. */
void dependents_drop(struct dependents *d, size_t i);
void dependents_free(struct dependents *d);

#endif
