/* SPDX-License-Identifier: BSD-2-Clause */
/* Source diffs: the files that they change, and changing them. */
#ifndef CTL_DIFF_SOURCE_H
#define CTL_DIFF_SOURCE_H

#include <stddef.h>

struct options;

struct source_files {
	char **paths; /* relative to the kernel's source; each once */
	size_t count; /* of those whose dependents are compiled; others follow */
	size_t all;
};

/* The files of the code that all diffs of the options change. An exit code, with a message printed.
 */
int source_read(struct source_files *f, const struct options *o);
void source_free(struct source_files *f);

/*
 * Apply all diffs in the folder `tree`, after the files have been copied to the folder `saved`;
 * source_restore() puts them back, also those that an interrupted run has left so. `log` is a file
 * to write to. An exit code, with a message printed.
 */
int source_apply(const struct options *o, const struct source_files *f, const char *tree,
		 const char *saved, const char *log);
int source_restore(const char *tree, const char *saved);

/*
 * After source_apply(): leave out of the list the headers whose change no file is affected by that
 * does not change itself. They are changed, saved and restored all the same.
 */
void source_drop_additions(struct source_files *f, const char *tree, const char *saved);

#endif
