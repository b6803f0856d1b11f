/* SPDX-License-Identifier: BSD-2-Clause */
/* suture build --diff: from source diffs to a livepatch source. */
#ifndef CTL_DIFF_H
#define CTL_DIFF_H

struct kbuild;
struct kernel;
struct options;

/*
 * Make a folder with the livepatch source of the diffs that the options name, for `k`, whose
 * headers `kbuild` has. `work` is an empty folder for what is between. Prints what the patch
 * changes. An exit code, with a message printed.
 */
int diff_make_source(const char *folder, const struct options *o, const struct kernel *k,
		     const struct kbuild *kbuild, const char *work);

#endif
