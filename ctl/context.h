/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts: which monitor, and as whom. A file of sections, $SUTURE_CONFIG or
 * ~/.config/suture/contexts:
 *
 *	[NAME]
 *	host = HOST[:PORT]
 *	ca = FILE	# who has issued the monitor's certificate
 *	cert = FILE	# the client's
 *	key = FILE
 */
#ifndef CTL_CONTEXT_H
#define CTL_CONTEXT_H

#include <limits.h>
#include <stdbool.h>

struct context {
	char host[256];
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
};

/*
 * The context of that name; NULL: "default", which need not be there. Then SUTURE_HOST, SUTURE_CA,
 * SUTURE_CERT and SUTURE_KEY, which are stronger. An exit code, message printed.
 */
int context_read(struct context *c, const char *name);

/*
 * The same, into the options of a command that speaks to the monitor, which must have a host then.
 * They point into memory of this function's.
 */
struct options;
int context_take(struct options *o, const char *command);

#endif
