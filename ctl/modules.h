/* SPDX-License-Identifier: BSD-2-Clause */
/* The modules of the kernel that a bundle is for, as files below one or several folders. */
#ifndef CTL_MODULES_H
#define CTL_MODULES_H

#include "ko.h"

struct modules {
	char **paths;
	size_t count, room;
};

struct module_file {
	void *data;
	size_t size;
	struct ko ko;
};

/* Add all modules below a folder. Returns 0, or -1 with a message printed. */
int modules_add(struct modules *m, const char *folder);
void modules_free(struct modules *m);

/* The module's file; '-' and '_' are the same in its name. NULL: it is not there. */
const char *modules_find(const struct modules *m, const char *name);

/*
 * Read a module's file, compressed or not. Returns 0, or -1 when it cannot be read or is none; with
 * a message printed if it cannot be read. module_close() also after a failure.
 */
int module_open(struct module_file *f, const char *path);
void module_close(struct module_file *f);

#endif
