/* SPDX-License-Identifier: BSD-2-Clause */
#include "context.h"
#include "ctl.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	FILE *file;
	char path[PATH_MAX];
	unsigned number; /* of the line */
	char line[PATH_MAX + 32];
};

static const struct field {
	const char *name, *variable;
	size_t offset, size;
} fields[] = {
	{"host", "SUTURE_HOST", offsetof(struct context, host),
	 sizeof(((struct context *)0)->host)},
	{"ca", "SUTURE_CA", offsetof(struct context, ca), sizeof(((struct context *)0)->ca)},
	{"cert", "SUTURE_CERT", offsetof(struct context, cert),
	 sizeof(((struct context *)0)->cert)},
	{"key", "SUTURE_KEY", offsetof(struct context, key), sizeof(((struct context *)0)->key)},
};

#define END_OF_FIELDS (fields + sizeof(fields) / sizeof(fields[0]))

static int set_field(struct context *c, const struct field *f, const char *value, const char *from)
{
	if (strlen(value) >= f->size)
		return fail(EX_BAD_USAGE, "%s: %s is too long", from, f->name);
	strcpy((char *)c + f->offset, value);
	return EX_DONE;
}

/* Open the file; no file is EX_DONE, and r->file NULL. */
static int open_file(struct reader *r)
{
	const char *given = getenv("SUTURE_CONFIG"), *home = getenv("HOME");

	if (given)
		snprintf(r->path, sizeof(r->path), "%s", given);
	else
		snprintf(r->path, sizeof(r->path), "%s/.config/suture/contexts", home ? home : "");
	r->file = fopen(r->path, "r");
	if (r->file || (!given && errno == ENOENT))
		return EX_DONE;
	return fail(EX_BAD_USAGE, "%s: %s", r->path, strerror(errno));
}

/* The next line that says something, without blanks around it; NULL at the end. */
static char *next_line(struct reader *r)
{
	while (fgets(r->line, sizeof(r->line), r->file)) {
		char *s = r->line, *end = s + strlen(s);

		r->number++;
		while (end > s && isspace((unsigned char)end[-1]))
			*--end = 0;
		while (isspace((unsigned char)*s))
			s++;
		if (*s && *s != '#')
			return s;
	}
	return NULL;
}

static int read_field(struct reader *r, char *line, struct context *c)
{
	char *value = strchr(line, '=');
	size_t len = value ? (size_t)(value - line) : 0;

	while (len && isspace((unsigned char)line[len - 1]))
		len--;
	if (value)
		for (value++; isspace((unsigned char)*value); value++)
			;
	for (const struct field *f = fields; value && f < END_OF_FIELDS; f++)
		if (strlen(f->name) == len && !strncmp(f->name, line, len))
			return set_field(c, f, value, r->path);
	return fail(EX_BAD_USAGE, "%s, line %u: [NAME], or host, ca, cert or key = VALUE expected",
		    r->path, r->number);
}

/* The name of a section, or NULL. */
static char *section_name(char *line)
{
	size_t len = strlen(line);

	if (line[0] != '[' || line[len - 1] != ']')
		return NULL;
	line[len - 1] = 0;
	return line + 1;
}

static int read_section(struct reader *r, const char *wanted, struct context *c, bool *found)
{
	bool inside = false;
	char *line, *name;
	int err = EX_DONE;

	while (!err && (line = next_line(r))) {
		struct context other;

		name = section_name(line);
		if (name)
			inside = !strcmp(name, wanted);
		else
			err = read_field(r, line, inside ? c : &other);
		*found |= inside;
	}
	return err;
}

int context_read(struct context *c, const char *name)
{
	struct reader r = {0};
	bool found = false;
	int err = open_file(&r);

	*c = (struct context){0};
	if (!err && r.file)
		err = read_section(&r, name ? name : "default", c, &found);
	if (!err && name && !found)
		err = fail(EX_BAD_USAGE, "%s: no context '%s': see suture contexts", r.path, name);
	if (r.file)
		fclose(r.file);
	for (const struct field *f = fields; !err && f < END_OF_FIELDS; f++) {
		const char *value = getenv(f->variable);

		if (value)
			err = set_field(c, f, value, f->variable);
	}
	return err;
}

int context_take(struct options *o, const char *command)
{
	static struct context context;
	int r = context_read(&context, o->context);

	if (r)
		return r;
	if (!o->host)
		o->host = context.host;
	o->ca = context.ca;
	o->cert = context.cert;
	o->key = context.key;
	if (!*o->host)
		return fail(EX_BAD_USAGE,
			    "%s needs to know the monitor: --context NAME, --host HOST[:PORT] or "
			    "SUTURE_HOST",
			    command);
	return EX_DONE;
}

int cmd_contexts(const struct options *o, char **args)
{
	struct reader r = {0};
	struct context c = {0};
	char *line, *name;
	int err = open_file(&r);

	(void)o, (void)args;
	if (err)
		return err;
	if (!r.file)
		return fail(EX_BAD_USAGE, "%s: there is none: suture keys makes one", r.path);
	while (!err && (line = next_line(&r))) {
		name = section_name(line);
		if (name)
			printf("%s\n", name);
		else
			err = read_field(&r, line, &c);
		if (!name && !err && !strncmp(line, "host", 4))
			printf("  %s\n", c.host);
	}
	fclose(r.file);
	return err;
}
