/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * enable and disable, on the guest: the agent's package has the program that keeps the bundles and
 * offers them at a boot, so that nothing but it knows their folder.
 */
#include "ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "patch/bundle.h"

#define PROGRAM "/usr/lib/suture/suture-desired"

static int run_program(const char *command, const char *option, const char *argument)
{
	const char *program = getenv("SUTURE_DESIRED");
	const char *argv[] = {"suture-desired", command, option ? option : argument,
			      option ? argument : NULL, NULL};

	if (!program)
		program = PROGRAM;
	execv(program, (char **)argv);
	return fail(EX_FAILED,
		    "%s: %s: %s is for the guest, which needs the package suture-agent-dkms",
		    program, strerror(errno), command);
}

int cmd_enable(const struct options *o, char **args)
{
	struct bundle b;
	void *data = read_bundle(args[0], &b);

	if (!data)
		return EX_BAD_USAGE;
	free(data);
	return run_program("enable", o->force ? "--force" : NULL, args[0]);
}

int cmd_disable(const struct options *o, char **args)
{
	char name[PATCH_NAME_SIZE];
	int r = patch_name(args[0], name);

	(void)o;
	return r ? r : run_program("disable", NULL, name);
}
