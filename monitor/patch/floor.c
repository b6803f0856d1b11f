/* SPDX-License-Identifier: BSD-2-Clause */
#include "patch/floor.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/bundle.h"
#include "patch/version.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A whole structure, as floor_parse() makes it. */
static bool is_floor(const struct floor *f)
{
	const char *end = memchr(f->version, 0, sizeof(f->version));

	if (!bundle_is_name(f->name, sizeof(f->name)) || !end || end == f->version)
		return false;
	for (const char *p = f->version; p < end; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	return true;
}

bool floor_parse(struct floor *f, const char *text)
{
	size_t len = 0;

	*f = (struct floor){0};
	while (text[len] && !is_blank(text[len]))
		len++;
	if (len >= sizeof(f->name))
		return false;
	memcpy(f->name, text, len);
	text += len;
	while (is_blank(*text))
		text++;
	return str_copy(f->version, text, sizeof(f->version)) < sizeof(f->version) && is_floor(f);
}

static struct floor *find_floor(struct floors *all, const char *name)
{
	for (u32 i = 0; i < all->count; i++)
		if (!strcmp(all->list[i].name, name))
			return &all->list[i];
	return NULL;
}

int floors_raise(struct floors *all, const struct floor *f)
{
	struct floor *present = find_floor(all, f->name);

	if (present && version_compare(f->version, present->version) <= 0 &&
	    !MUTATION(floors_only_rise))
		return 0;
	if (!present && all->count == FLOORS_MAX)
		return -ENOSPC;
	if (!present)
		present = &all->list[all->count++];
	*present = *f;
	return 1;
}

int floors_load(struct floors *all, const void *data, size_t size)
{
	struct floor f;

	all->count = 0;
	for (size_t at = 0; at < size; at += sizeof(f)) {
		if (size - at >= sizeof(f)) {
			memcpy(&f, (const u8 *)data + at, sizeof(f));
			if (is_floor(&f) && floors_raise(all, &f) == 1)
				continue;
		}
		all->count = 0;
		return -EINVAL;
	}
	return 0;
}

const char *floors_version(const struct floors *all, const char *name)
{
	const struct floor *f = find_floor((struct floors *)all, name);

	return f ? f->version : NULL;
}
