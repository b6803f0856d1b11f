/* SPDX-License-Identifier: BSD-2-Clause */
#include "additions.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * The declarations, functions and directives of a file's top level, one after the other, each as a
 * string, without comments and with single spaces.
 */
struct items {
	char *text; /* malloced; the last one is empty */
	bool good;
};

struct reader {
	const char *at;
	char *out, *item; /* where the next character goes, and where the item begins */
	unsigned braces, parens;
	bool function; /* the item's brace is a function's: no semicolon follows */
	bool good;
};

static void end_item(struct reader *r)
{
	while (r->out > r->item && r->out[-1] == ' ')
		r->out--;
	if (r->out == r->item)
		return;
	*r->out++ = 0;
	r->item = r->out;
}

static void put_space(struct reader *r)
{
	if (r->out > r->item && r->out[-1] != ' ')
		*r->out++ = ' ';
}

static bool skip_comment(struct reader *r)
{
	const char *end;

	if (!strncmp(r->at, "//", 2))
		end = strchrnul(r->at, '\n');
	else if (!strncmp(r->at, "/*", 2))
		end = strstr(r->at + 2, "*/");
	else
		return false;
	r->good = r->good && end;
	r->at = !end ? strchr(r->at, 0) : *end == '*' ? end + 2 : end;
	put_space(r);
	return true;
}

static void copy_literal(struct reader *r)
{
	char quote = *r->at;

	do {
		if (*r->at == '\\' && r->at[1])
			*r->out++ = *r->at++;
		*r->out++ = *r->at++;
	} while (*r->at && *r->at != quote);
	r->good = r->good && *r->at;
	if (*r->at)
		*r->out++ = *r->at++;
}

/* Up to the end of the line that is not continued. */
static void copy_directive(struct reader *r)
{
	while (*r->at && *r->at != '\n') {
		if (skip_comment(r))
			continue;
		if (*r->at == '\\' && r->at[1] == '\n')
			r->at += 2;
		else if (isspace((unsigned char)*r->at))
			put_space(r), r->at++;
		else if (*r->at == '"')
			copy_literal(r);
		else
			*r->out++ = *r->at++;
	}
	if (r->braces || r->parens)
		*r->out++ = '\n';
	else
		end_item(r);
}

static char last_of(const struct reader *r)
{
	const char *at = r->out;

	while (at > r->item && at[-1] == ' ')
		at--;
	return at > r->item ? at[-1] : 0;
}

static void copy_character(struct reader *r)
{
	char c = *r->at++;

	if (c == '{' && !r->braces++)
		r->function = last_of(r) == ')';
	if ((c == '}' && !r->braces--) || (c == ')' && !r->parens--))
		r->good = false;
	r->parens += c == '(';
	*r->out++ = c;
	if (!r->good || r->braces || r->parens)
		return;
	if (c == ';' || (c == '}' && r->function)) {
		end_item(r);
		r->function = false;
	}
}

static struct items read_items(const char *text)
{
	/* an item's end is one character more */
	char *all = malloc(2 * strlen(text) + 2);
	struct reader r = {.at = text, .out = all, .item = all, .good = all};
	bool line_start = true;

	while (r.good && *r.at) {
		if (*r.at == '\n')
			line_start = true;
		if (skip_comment(&r))
			continue;
		if (isspace((unsigned char)*r.at)) {
			put_space(&r);
			r.at++;
			continue;
		}
		if (line_start && *r.at == '#')
			copy_directive(&r);
		else if (*r.at == '"' || *r.at == '\'')
			copy_literal(&r);
		else
			copy_character(&r);
		line_start = false;
	}
	if (!r.good || r.braces || r.parens)
		return (struct items){all, false};
	end_item(&r);
	*r.out = 0;
	return (struct items){all, true};
}

/* The new item changes no other one. *conditions: of the new ones that are open. */
static bool may_be_added(const char *item, unsigned *conditions)
{
	if (*item != '#')
		return strchr(";}", item[strlen(item) - 1]);
	item += strspn(item, "# ");
	if (!strncmp(item, "if", 2))
		++*conditions;
	else if (!*conditions || (strncmp(item, "el", 2) != 0 && strncmp(item, "endif", 5) != 0))
		return false;
	else if (!strncmp(item, "endif", 5))
		--*conditions;
	return true;
}

bool additions_only(const char *before, const char *after)
{
	struct items old = read_items(before), new = read_items(after);
	const char *o = old.text, *n = new.text;
	unsigned conditions = 0;
	bool only = old.good && new.good;

	for (; only && *n; n += strlen(n) + 1) {
		if (!conditions && *o && !strcmp(o, n))
			o += strlen(o) + 1;
		else
			only = may_be_added(n, &conditions);
	}
	only = only && !*o && !conditions;
	free(old.text);
	free(new.text);
	return only;
}
