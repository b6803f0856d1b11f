/* SPDX-License-Identifier: BSD-2-Clause */
/* Other programs, and the files that belong to this one. */
#ifndef CTL_RUN_H
#define CTL_RUN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Run argv and wait. Its output goes to the file `log`. Options of a make that runs this command do
 * not reach it. Returns the exit status, -1 if it did not run.
 */
int run(const char *const argv[], const char *log);

/*
 * The path of a file of this command's, into `path`: `in_tree`, when the program lies in the build
 * folder of a source tree, or `installed`; both are relative to the program's folder. False: there
 * is none.
 */
bool run_find_own(char *path, size_t size, const char *in_tree, const char *installed);

#endif
