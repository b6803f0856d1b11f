/* SPDX-License-Identifier: BSD-2-Clause */
/* Exported symbols, as Module.symvers lists them. */
#ifndef CTL_EXPORTS_H
#define CTL_EXPORTS_H

#include <stdbool.h>
#include <stddef.h>

struct exports {
	char *text;
	const char **names; /* sorted */
	size_t count;
};

/* Returns 0; -1 if the file is not there, with nothing in *e. Prints nothing. */
int exports_read(struct exports *e, const char *path);
void exports_free(struct exports *e);
bool exports_has(const struct exports *e, const char *name);

#endif
