/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel's source, prepared so that single objects can be compiled as they were for the kernel.
 * It is kept for the next build, in $XDG_CACHE_HOME/suture or ~/.cache/suture.
 */
#ifndef CTL_DIFF_TREE_H
#define CTL_DIFF_TREE_H

#include <limits.h>

#include "../headers.h"
#include "../kernel.h"

struct options;
struct source_files;

struct tree {
	char dir[PATH_MAX - 64]; /* src/ and out/, see prepare.sh */
	int lock;		 /* held until tree_close() */
	char cross[64];		 /* before the names of the compiler's tools */
};

/*
 * Prepare it, or find it prepared. It waits for other builds with the same kernel. An exit code,
 * with a message printed. tree_close() also after a failure.
 */
int tree_open(struct tree *t, const struct options *o, const struct kernel *k,
	      const struct headers *h, const char *headers);
void tree_close(struct tree *t);

/*
 * Compile objects, whose paths in the tree end with NULL, as for the kernel, and copy them to the
 * folder `to`; those that do not compile are left out. `log` is a file to write to. An exit code,
 * with a message printed.
 */
int tree_compile(const struct tree *t, const char *const *objects, const char *to, const char *log);

/*
 * Compile objects that tree_compile() has compiled again into the folder `to`, with more flags.
 * Beside each NAME.o is NAME.o.debug with its debug information. An exit code, with a message
 * printed.
 */
int tree_recompile(const struct tree *t, const char *const *objects, const char *flags,
		   const char *to, const char *log);

/*
 * The module that a compiled object is part of, "vmlinux" for the kernel's image, into name. False:
 * kbuild does not say.
 */
bool tree_module_of(const struct tree *t, const char *object, char *name, size_t size);

#endif
