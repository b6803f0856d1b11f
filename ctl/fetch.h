/* SPDX-License-Identifier: BSD-2-Clause */
/* suture build --kernel RELEASE: a kernel of Debian's that is not on this machine. */
#ifndef CTL_FETCH_H
#define CTL_FETCH_H

#include <limits.h>
#include <stdbool.h>

struct options;

struct fetched {
	int lock; /* held until fetch_close(); -1: nothing was fetched */
	char headers[PATH_MAX], vmlinuz[PATH_MAX], modules[PATH_MAX], source[PATH_MAX];
};

/*
 * Where --kernel names a release, fetch it, or find it fetched, and fill in the options that name
 * its files and were not given. An exit code, with a message printed. fetch_close() also after a
 * failure; the options refer to *f until then.
 */
int fetch_kernel(struct fetched *f, struct options *o);
void fetch_close(struct fetched *f);

#endif
