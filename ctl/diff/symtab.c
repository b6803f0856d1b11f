/* SPDX-License-Identifier: BSD-2-Clause */
#include "symtab.h"
#include "../ctl.h"

#include <errno.h>
#include <string.h>

struct out {
	FILE *f;
	unsigned lines;
};

static void put(struct out *o, const char *type, const char *bind, const char *section,
		unsigned long long size, const char *name)
{
	fprintf(o->f, "%6u: %016x %5llu %-7s %-6s DEFAULT %4s %s\n", o->lines++, 1, size, type,
		bind, section, name);
}

static void put_locals(struct out *o, const struct ko *obj)
{
	struct ko_symbol s;

	for (size_t i = 1; ko_symbol(obj, i, &s); i++) {
		unsigned type = GELF_ST_TYPE(s.sym.st_info);

		if (GELF_ST_BIND(s.sym.st_info) != STB_LOCAL)
			continue;
		if (type == STT_FILE)
			put(o, "FILE", "LOCAL", "ABS", 0, s.name);
		else if (*s.section && (type == STT_FUNC || type == STT_OBJECT))
			put(o, type == STT_FUNC ? "FUNC" : "OBJECT", "LOCAL", "1",
			    (unsigned long long)s.sym.st_size, s.name);
	}
}

static bool is_global(const struct ko_symbol *s)
{
	return *s->name && GELF_ST_BIND(s->sym.st_info) != STB_LOCAL;
}

static bool has_global(const struct target *t, const char *name)
{
	struct target_symbol s = {0};

	while (target_next(t, name, &s))
		if (s.is_global)
			return true;
	return false;
}

/* Those of `obj` that `seen` has not. */
static void put_globals(struct out *o, const struct target *t, const struct ko *obj,
			const struct ko *seen)
{
	struct ko_symbol s, other;
	bool again;

	for (size_t i = 1; ko_symbol(obj, i, &s); i++) {
		again = seen && ko_next_named(seen, s.name, 0, &other) && is_global(&other);
		if (is_global(&s) && !again && has_global(t, s.name))
			put(o, ko_is_func(&s) ? "FUNC" : "OBJECT", "GLOBAL", "1",
			    (unsigned long long)s.sym.st_size, s.name);
	}
}

int symtab_write(const char *path, const struct target *t, const struct ko *original,
		 const struct ko *patched)
{
	struct out o = {.f = fopen(path, "w")};

	if (!o.f)
		return fail(EX_FAILED, "%s: %s", path, strerror(errno));
	put_locals(&o, original);
	put(&o, "FILE", "LOCAL", "ABS", 0, "others");
	put_globals(&o, t, original, NULL);
	put_globals(&o, t, patched, original);
	if (fclose(o.f))
		return fail(EX_FAILED, "%s: %s", path, strerror(errno));
	return EX_DONE;
}
