/* SPDX-License-Identifier: BSD-2-Clause */
#include "context.h"
#include "ctl.h"
#include "table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/version.h"

int fail(enum exit_code code, const char *fmt, ...)
{
	char *text = NULL, *shown = NULL;
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) >= 0)
		shown = escape(text, "\n\t");
	va_end(ap);
	fprintf(stderr, "suture: %s\n", shown ? shown : "no memory");
	free(shown);
	free(text);
	return code;
}

void print_value(const struct options *o, const json_t *value)
{
	if (o->yaml)
		print_yaml(value);
	else
		print_json(value);
}

int main(int argc, char **argv)
{
	struct options o = {
		.context = getenv("SUTURE_CONTEXT"), .timeout_s = 60, .days = DAYS_NONE};
	const struct command *c;
	int first, r;

	/* behind `build` it is the patch's version */
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("suture " MONITOR_VERSION);
		return EX_DONE;
	}
	r = options_parse(argc, argv, &o, &first);
	if (r)
		return r;
	if (first == argc) {
		help_all(stderr);
		return EX_BAD_USAGE;
	}
	c = command_find(argv[first]);
	if (!c)
		return fail(EX_BAD_USAGE, "no command '%s': see suture --help", argv[first]);
	if (argc - first - 1 < c->min_args || argc - first - 1 > c->max_args)
		return fail(EX_BAD_USAGE, "usage: suture %s %s", c->name, c->args);
	if (c->remote) {
		r = context_take(&o, c->name);
		if (r)
			return r;
	}
	return c->run(&o, argv + first + 1);
}
