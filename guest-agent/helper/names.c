// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <suture/payload.h>
#include "helper.h"

#define KLP_SYMBOL_PREFIX ".klp.sym."
#define KLP_RELA_PREFIX	  ".klp.rela."

static int copy_name(char *to, size_t size, const char *from, size_t length, struct failure *f)
{
	if (!length || length >= size)
		return fail(f, -EINVAL, "symbol name '%.*s' is empty or too long", (int)length,
			    from);
	memcpy(to, from, length);
	to[length] = 0;
	return 0;
}

/* A module's file may have dashes in its name, the module has none. */
static int copy_object(char to[SUTURE_NAME_LEN], const char *from, size_t length, struct failure *f)
{
	int err = copy_name(to, SUTURE_NAME_LEN, from, length, f);

	for (char *dash = to; !err && (dash = strchr(dash, '-')) != NULL;)
		*dash = '_';
	return err;
}

/* OBJECT "." NAME separator POSITION: the name itself may hold dots. */
static int parse(const char *whole, const char *object, char separator, struct suture_symbol *s,
		 struct failure *f)
{
	const char *symbol = strchr(object, '.');
	const char *position = strrchr(object, separator);
	char *end;
	int err;

	if (!symbol || !position || symbol >= position)
		return fail(f, -EINVAL, "symbol '%.150s' is not OBJECT.NAME%cPOSITION", whole,
			    separator);
	symbol++;
	s->position = (su32)strtoul(position + 1, &end, 10);
	if (end == position + 1 || *end)
		return fail(f, -EINVAL, "symbol '%.150s' does not end with a position", whole);
	err = copy_object(s->object, object, (size_t)(symbol - 1 - object), f);
	if (!err)
		err = copy_name(s->name, sizeof(s->name), symbol, (size_t)(position - symbol), f);
	return err;
}

int name_parse_symbol(const char *name, bool livepatch, struct suture_symbol *s, struct failure *f)
{
	const size_t klp = strlen(KLP_SYMBOL_PREFIX), ours = strlen(SUTURE_SYMBOL_PREFIX);

	if (!strncmp(name, KLP_SYMBOL_PREFIX, klp))
		return parse(name, name + klp, ',', s, f);
	if (!strncmp(name, SUTURE_SYMBOL_PREFIX, ours))
		return parse(name, name + ours, '.', s, f);
	if (livepatch)
		return fail(f, -EINVAL,
			    "livepatch symbol '%.150s' is not " KLP_SYMBOL_PREFIX
			    "OBJECT.NAME,POSITION",
			    name);
	return copy_name(s->name, sizeof(s->name), name, strlen(name), f);
}

bool name_parse_rela(const char *section, char object[SUTURE_NAME_LEN])
{
	const size_t prefix = strlen(KLP_RELA_PREFIX);
	struct failure ignored;
	const char *dot;

	if (strncmp(section, KLP_RELA_PREFIX, prefix) != 0)
		return false;
	section += prefix;
	dot = strchr(section, '.');
	return dot && !copy_object(object, section, (size_t)(dot - section), &ignored);
}
