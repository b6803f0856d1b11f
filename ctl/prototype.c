/* SPDX-License-Identifier: BSD-2-Clause */
#include "prototype.h"

#include <stdio.h>
#include <string.h>

/* ---- one type ---- */

void type_add_pointer(struct type *t)
{
	t->stars++;
}

void type_add_alias(struct type *t, const char *name)
{
	if (t->alias || !name)
		return;
	t->alias = name;
	t->alias_stars = t->stars;
}

static const char *const keywords[] = {
	[TYPE_VOID] = "void", [TYPE_STRUCT] = "struct ", [TYPE_UNION] = "union "};

void type_end(struct type *t, enum type_kind kind, const char *name, uint64_t size)
{
	const char *keyword = keywords[kind < TYPE_ARRAY ? kind : 0];
	unsigned stars = t->alias ? t->alias_stars : t->stars;
	int n;

	t->kind = kind;
	t->size = size;
	t->name = name ? name : "";
	if (t->alias)
		n = snprintf(t->text, sizeof(t->text), "%.64s", t->alias);
	else if (kind == TYPE_FUNC)
		n = snprintf(t->text, sizeof(t->text), "function");
	else
		n = snprintf(t->text, sizeof(t->text), "%s%.64s", keyword ? keyword : "",
			     *t->name || keyword ? t->name : "?");
	if (stars)
		snprintf(t->text + n, sizeof(t->text) - (size_t)n, " %.*s", (int)stars,
			 "****************");
}

static bool is_record(const struct type *t)
{
	return t->kind == TYPE_STRUCT || t->kind == TYPE_UNION;
}

/* The type behind the pointers, or the type itself if there are none. */
static bool same_end(const struct type *a, const struct type *b)
{
	if (a->kind != b->kind)
		return false;
	if (is_record(a) && *a->name && *b->name && strcmp(a->name, b->name) != 0)
		return false;
	return !a->size || !b->size || a->size == b->size;
}

static bool takes_any(const struct type *t)
{
	return t->kind == TYPE_UNKNOWN || (t->kind == TYPE_VOID && t->stars);
}

static bool same_type(const struct type *a, const struct type *b)
{
	if (!a->stars != !b->stars)
		return a->kind == TYPE_UNKNOWN || b->kind == TYPE_UNKNOWN;
	if (takes_any(a) || takes_any(b))
		return true;
	return a->stars == b->stars && same_end(a, b);
}

/* ---- a prototype ---- */

bool prototype_matches(const struct prototype *a, const struct prototype *b)
{
	if (a->count != b->count || a->variadic != b->variadic ||
	    !same_type(&a->result, &b->result))
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (!same_type(&a->params[i], &b->params[i]))
			return false;
	return true;
}

static void append(char *buf, size_t size, const char *separator, const char *text)
{
	size_t have = strlen(buf);

	snprintf(buf + have, size - have, "%s%s", separator, text);
}

const char *prototype_text(const char *name, const struct prototype *p, char *buf, size_t size)
{
	snprintf(buf, size, "%s(", name);
	for (unsigned i = 0; i < p->count; i++)
		append(buf, size, i ? ", " : "", p->params[i].text);
	if (p->variadic)
		append(buf, size, p->count ? ", " : "", "...");
	append(buf, size, !p->count && !p->variadic ? "void" : "", ") -> ");
	append(buf, size, "", p->result.text);
	return buf;
}

static bool say_sizes(const struct type *kernel, const struct type *patch, char *buf, size_t size)
{
	if (same_type(kernel, patch) || strcmp(kernel->text, patch->text) != 0)
		return false;
	snprintf(buf, size, "; what %s stands for has %llu bytes in the kernel, %llu in the patch",
		 kernel->text, (unsigned long long)kernel->size, (unsigned long long)patch->size);
	return true;
}

const char *prototype_sizes(const struct prototype *kernel, const struct prototype *patch,
			    char *buf, size_t size)
{
	bool said = say_sizes(&kernel->result, &patch->result, buf, size);

	buf[said ? strlen(buf) : 0] = 0;
	for (unsigned i = 0; !said && i < kernel->count && i < patch->count; i++)
		said = say_sizes(&kernel->params[i], &patch->params[i], buf, size);
	return buf;
}
