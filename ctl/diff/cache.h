/* SPDX-License-Identifier: BSD-2-Clause */
/* Where prepared kernels are kept: $XDG_CACHE_HOME/suture or ~/.cache/suture. */
#ifndef CTL_DIFF_CACHE_H
#define CTL_DIFF_CACHE_H

#include <stddef.h>

/* The folder, which is made if it is not there. An exit code, with a message printed. */
int cache_find(char *path, size_t size);

/*
 * Take the lock of the folder `dir` in the cache, and wait while another build has it. Returns a
 * file to close, or -1 with a message printed.
 */
int cache_lock(const char *dir);

/* Mark `dir` as used, and remove those used longest ago that are more than the cache may have. */
void cache_limit(const char *cache, const char *dir);

#endif
