/* SPDX-License-Identifier: BSD-2-Clause */
/* Where kernels are kept for the next build: $XDG_CACHE_HOME/suture or ~/.cache/suture. */
#ifndef CTL_CACHE_H
#define CTL_CACHE_H

#include <stdbool.h>
#include <stddef.h>

/* The folder, which is made if it is not there. An exit code, with a message printed. */
int cache_find(char *path, size_t size);

/*
 * Take the lock of the folder `dir` in the cache, and wait while another build has it. Returns a
 * file to close, or -1 with a message printed.
 */
int cache_lock(const char *dir);

/* Share the lock from here on: what is in the folder is only read, and must not be removed. */
void cache_share(int lock);

/* True if cache_complete() was called for the folder. */
bool cache_is_complete(const char *dir);

/*
 * The folder, which is locked, has what it is to have: note its size, and remove others, those that
 * were used longest ago, until the cache is within its limit. An exit code, with a message printed.
 */
int cache_complete(const char *cache, const char *dir);

/* The folder is used now. */
void cache_use(const char *dir);

#endif
