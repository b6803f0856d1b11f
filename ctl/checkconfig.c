/* SPDX-License-Identifier: BSD-2-Clause */
/* suture check-config: the monitor's own parser, before a boot depends on the file. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>

#include "boot/config.h"

#define CONFIG_MAX 65536u /* the monitor's limit */

int cmd_check_config(const struct options *o, char **args)
{
	static struct config config;
	char why[640];
	size_t size;
	char *text = read_file(args[0], CONFIG_MAX, &size);
	int r = EX_DONE;

	(void)o;
	if (!text)
		return EX_BAD_USAGE;
	if (config_parse(&config, text, size, why, sizeof(why)))
		r = fail(EX_BAD_USAGE, "%s: %s", args[0], why);
	free(text);
	return r;
}
