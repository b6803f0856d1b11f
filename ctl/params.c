/* SPDX-License-Identifier: BSD-2-Clause */
#include "params.h"
#include "ctl.h"
#include "names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool valid_param(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			return false;
	return len;
}

int params_add(struct params *p, const char *given)
{
	const char *equals = strchr(given, '='), *value = equals ? equals + 1 : "";
	size_t have = strlen(p->line);
	const char *quote = strchr(value, ' ') ? "\"" : "";
	int n;

	if (!equals || !valid_param(given, (size_t)(equals - given)))
		return fail(EX_BAD_USAGE, "--param %s: give NAME=VALUE", given);
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '"')
			return fail(EX_BAD_USAGE,
				    "--param %s: a value cannot have quotes or control characters",
				    given);
	n = snprintf(p->line + have, sizeof(p->line) - have, "%s%.*s=%s%s%s", have ? " " : "",
		     (int)(equals - given), given, quote, value, quote);
	if (n >= (int)(sizeof(p->line) - have))
		return fail(EX_BAD_USAGE, "--param %s: all parameters may have %zu characters",
			    given, sizeof(p->line) - 1);
	return EX_DONE;
}

/* ---- what the module has: "parmtype=NAME:TYPE" ---- */

/* The next parameter's name from *at on, NULL at the end; it ends with ':'. */
static const char *next_param(const char **at, const char *end)
{
	static const char key[] = "parmtype=";

	while (*at < end) {
		const char *s = *at;
		size_t len = strnlen(s, (size_t)(end - s));

		*at = s + len + 1;
		if (s + len < end && !strncmp(s, key, strlen(key)) && strchr(s, ':'))
			return s + strlen(key);
	}
	return NULL;
}

static bool has_param(const char *name, size_t len, const char *modinfo, size_t size)
{
	const char *at = modinfo, *s;

	while ((s = next_param(&at, modinfo + size)) != NULL)
		if (strcspn(s, ":") == len && names_equal(s, name, len))
			return true;
	return false;
}

static int no_such_param(const char *path, const char *name, size_t len, const char *modinfo,
			 size_t size)
{
	const char *at = modinfo, *s;
	char known[512] = "";

	while ((s = next_param(&at, modinfo + size)) != NULL) {
		size_t have = strlen(known);

		snprintf(known + have, sizeof(known) - have, "%s%.*s", have ? ", " : "",
			 (int)strcspn(s, ":"), s);
	}
	return fail(EX_BAD_USAGE, "%s: the module has no parameter '%.*s'; it has %s", path,
		    (int)len, name, *known ? known : "none");
}

int params_check(const struct params *p, const char *path, const char *modinfo, size_t size)
{
	const char *s = p->line;

	while (*s) {
		size_t len = strcspn(s, "=");

		if (!has_param(s, len, modinfo, size))
			return no_such_param(path, s, len, modinfo, size);
		s += len + 1;
		/* a value has spaces only within quotes */
		if (*s == '"')
			s += 1 + strcspn(s + 1, "\"");
		s += strcspn(s, " ");
		s += strspn(s, " ");
	}
	return EX_DONE;
}
