// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <suture/payload.h>
#include "helper.h"

static int copy_name(char *to, size_t size, const char *from, size_t length, struct failure *f)
{
	if (!length || length >= size)
		return fail(f, -EINVAL, "symbol name '%.*s' is empty or too long", (int)length,
			    from);
	memcpy(to, from, length);
	to[length] = 0;
	return 0;
}

/* What to ask for a name: see SUTURE_SYMBOL_PREFIX. The name itself may hold dots. */
static int parse_name(const char *name, struct suture_symbol *s, struct failure *f)
{
	const size_t prefix = strlen(SUTURE_SYMBOL_PREFIX);
	const char *object, *symbol, *position;
	char *end;
	int err;

	if (strncmp(name, SUTURE_SYMBOL_PREFIX, prefix) != 0)
		return copy_name(s->name, sizeof(s->name), name, strlen(name), f);
	object = name + prefix;
	symbol = strchr(object, '.');
	position = strrchr(object, '.');
	if (!symbol || symbol == position)
		return fail(f, -EINVAL, "symbol '%s' is not OBJECT.NAME.POSITION", name);
	symbol++;
	s->position = (su32)strtoul(position + 1, &end, 10);
	if (end == position + 1 || *end)
		return fail(f, -EINVAL, "symbol '%s' does not end with a position", name);
	err = copy_name(s->object, sizeof(s->object), object, (size_t)(symbol - 1 - object), f);
	if (!err)
		err = copy_name(s->name, sizeof(s->name), symbol, (size_t)(position - symbol), f);
	return err;
}

/* Is the answer one symbol? */
static int judge(const struct suture_symbol *s, struct failure *f)
{
	const char *where = *s->object ? s->object : "the kernel and its modules";

	if (!s->count)
		return fail(f, -ENOENT, "symbol '%s' is not in %s", s->name, where);
	if (!s->position && s->count > 1)
		return fail(f, -EINVAL,
			    "symbol '%s' is ambiguous: %s has %u; say which one with "
			    "SUTURE_SYMBOL(object, %s, position)",
			    s->name, where, s->count, s->name);
	if (!s->address)
		return fail(f, -ENOENT, "symbol '%s' has no position %u in %s, only %u", s->name,
			    s->position, where, s->count);
	return 0;
}

static int define(struct module *m, size_t i, const struct suture_symbol *s, struct failure *f)
{
	bool weak = ELF64_ST_BIND(m->symbols[i].st_info) == STB_WEAK;
	int err;

	if (s->exported && !*s->object)
		return 0; /* the kernel's loader knows it, and counts who uses it */
	if (weak && !s->count)
		return 0;
	err = judge(s, f);
	if (!err)
		module_define(m, i, s->address);
	return err;
}

/* The i-th answer belongs to the i-th undefined symbol, in the table's order. */
static int resolve(struct module *m, int device, struct suture_symbol *asked, su32 count,
		   struct failure *f)
{
	const struct suture_resolve request = {(uintptr_t)asked, count, 0};
	size_t i, n = 0;
	int err = 0;

	for (i = 0; i < m->count && !err; i++) {
		if (module_undefined(m, i))
			err = parse_name(module_undefined(m, i), &asked[n++], f);
	}
	if (!err && ioctl(device, SUTURE_IOC_RESOLVE, &request))
		err = fail(f, -errno, "the agent cannot look up symbols: %s", strerror(errno));
	for (i = n = 0; i < m->count && !err; i++) {
		if (module_undefined(m, i))
			err = define(m, i, &asked[n++], f);
	}
	return err;
}

int resolve_module(struct module *m, int device, struct failure *f)
{
	struct suture_symbol *asked;
	su32 count = 0;
	int err;

	for (size_t i = 0; i < m->count; i++)
		count += module_undefined(m, i) != NULL;
	if (!count)
		return 0;
	if (count > SUTURE_MAX_SYMBOLS)
		return fail(f, -E2BIG, "the payload has %u undefined symbols, at most %u can be",
			    count, SUTURE_MAX_SYMBOLS);
	asked = calloc(count, sizeof(*asked));
	if (!asked)
		return fail(f, -ENOMEM, "no memory for %u symbols", count);
	err = resolve(m, device, asked, count, f);
	free(asked);
	return err;
}
