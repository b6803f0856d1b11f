/* SPDX-License-Identifier: BSD-2-Clause */
/* kbuild, as it compiles payloads: against a kernel's headers, and with the agent's livepatch
 * header. */
#ifndef CTL_KBUILD_H
#define CTL_KBUILD_H

#include <limits.h>
#include <stdbool.h>

#include "headers.h"

struct kbuild {
	const char *kernel; /* folder of the kernel's headers, the caller's */
	struct headers headers;
	char include[PATH_MAX]; /* the agent's headers */
};

/* Is it a file in the folder? */
bool kbuild_has_file(const char *folder, const char *name);

/* Look at both folders of headers. An exit code, with a message printed. */
int kbuild_open(struct kbuild *b, const char *kernel);

/*
 * Make the target in a folder with a Kbuild file: "modules", or an object. The output goes to the
 * file `log`, to stderr after a failure. An exit code, with a message printed, in which `name`
 * stands for the folder.
 */
int kbuild_make(const struct kbuild *b, const char *folder, const char *target, const char *log,
		const char *name);

#endif
