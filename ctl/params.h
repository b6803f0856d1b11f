/* SPDX-License-Identifier: BSD-2-Clause */
/* Module parameters that a bundle carries: suture build --param NAME=VALUE. */
#ifndef CTL_PARAMS_H
#define CTL_PARAMS_H

#include <stddef.h>
#include <suture/bundle.h>

/* The line for init_module(2), as the manifest holds it: NAME=VALUE NAME="A VALUE" ... */
struct params {
	char line[SUTURE_TEXT_LEN];
};

/* Add one NAME=VALUE. An exit code; what the kernel could not parse is refused with a message. */
int params_add(struct params *p, const char *given);

/*
 * Does the module have every parameter of the line? modinfo: its .modinfo section, strings one
 * after the other. An exit code; the message begins with `path` and names those that there are.
 */
int params_check(const struct params *p, const char *path, const char *modinfo, size_t size);

#endif
