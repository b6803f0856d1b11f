/* SPDX-License-Identifier: BSD-2-Clause */
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

void *read_file(const char *path, size_t max, size_t *size)
{
	FILE *f = fopen(path, "rb");
	char *data = NULL;
	size_t have = 0, room = 0;

	if (!f) {
		fail(EX_BAD_USAGE, "%s: %s", path, strerror(errno));
		return NULL;
	}
	do {
		char *more;

		room = room ? room * 2 : 65536;
		more = realloc(data, room + 1);
		if (!more) {
			fail(EX_FAILED, "%s: no memory for %zu bytes", path, room);
			goto out;
		}
		data = more;
		have += fread(data + have, 1, room - have, f);
	} while (have == room && have <= max);
	if (ferror(f)) {
		fail(EX_BAD_USAGE, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (have > max) {
		fail(EX_BAD_USAGE, "%s: larger than the %zu bytes that are allowed", path, max);
		goto out;
	}
	data[have] = 0;
	*size = have;
	fclose(f);
	return data;
out:
	fclose(f);
	free(data);
	return NULL;
}

/* -o of a command that shows something. */
static int take_format(struct options *o)
{
	static const struct {
		const char *name;
		bool json, yaml, wide;
	} formats[] = {
		{.name = "table"},
		{.name = "wide", .wide = true},
		{.name = "json", .json = true},
		{.name = "yaml", .json = true, .yaml = true},
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(formats[i].name, o->output) != 0)
			continue;
		o->json |= formats[i].json;
		o->yaml = formats[i].yaml;
		o->wide = formats[i].wide;
		return EX_DONE;
	}
	return fail(EX_BAD_USAGE, "-o %s: there are table, wide, json and yaml", o->output);
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
	struct options o = {.host = getenv("SUTURE_HOST"), .timeout_s = 60};
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
	if (c->remote && (!o.host || !*o.host))
		return fail(EX_BAD_USAGE,
			    "%s needs to know the monitor: --host HOST[:PORT] or SUTURE_HOST",
			    c->name);
	if (o.output && c->run != cmd_build && take_format(&o))
		return EX_BAD_USAGE;
	return c->run(&o, argv + first + 1);
}
