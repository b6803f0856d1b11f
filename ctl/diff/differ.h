/* SPDX-License-Identifier: BSD-2-Clause */
/* create-diff-object of the kpatch project: an external program. */
#ifndef CTL_DIFF_DIFFER_H
#define CTL_DIFF_DIFFER_H

#include "../kernel.h"

struct differ {
	const char *name;		/* of the object, for messages */
	const char *original, *patched; /* objects, compiled with a section for each function */
	const char *target;		/* "vmlinux" or a module's name */
	const char *symbols;		/* symtab_write() */
	const char *exports;		/* the kernel's Module.symvers */
	const char *output, *log;
};

/* Find it, and tell it the sizes of the kernel's tables. An exit code, with a message printed. */
int differ_prepare(char *path, size_t size, const struct kernel *k);

/*
 * Run it. *changed becomes false if the compiled code is the same. An exit code, with a message
 * printed.
 */
int differ_run(const char *path, const struct differ *d, bool *changed);

#endif
