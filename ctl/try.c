/* SPDX-License-Identifier: BSD-2-Clause */
/* suture try, suture vm: a guest under the monitor on this machine, which a script makes. */
#include "ctl.h"
#include "run.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define INSTALLED_SCRIPT "../share/suture/guest/guest.sh"
#define TREE_SCRIPT	 "../../ctl/guest/guest.sh"

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* The script takes the place of this process: Ctrl-C is for it alone. */
static int become_guest(const struct options *o, const char *mode, const char *patch)
{
	char script[PATH_MAX], self[PATH_MAX];
	const char *argv[] = {
		script, mode, self, or_empty(o->kernel), or_empty(o->run), o->keep ? "1" : "",
		patch,	NULL};
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = 0;
	if (!run_find_own(script, sizeof(script), TREE_SCRIPT, INSTALLED_SCRIPT))
		return fail(EX_BAD_USAGE, "%s: not there: install the whole package", script);
	execv(script, (char *const *)(uintptr_t)argv);
	return fail(EX_FAILED, "%s: %s", script, strerror(errno));
}

int cmd_try(const struct options *o, char **args)
{
	if (access(args[0], R_OK))
		return fail(EX_BAD_USAGE, "%s: %s", args[0], strerror(errno));
	return become_guest(o, "try", args[0]);
}

int cmd_vm(const struct options *o, char **args)
{
	(void)args;
	return become_guest(o, "vm", NULL);
}
