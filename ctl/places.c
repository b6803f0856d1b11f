/* SPDX-License-Identifier: BSD-2-Clause */
#include "places.h"
#include "names.h"

#include <stdlib.h>
#include <string.h>

/*
 * The distance from _stext of the symbol with that position among those of its name; position 0: of
 * the only one. UNKNOWN too for what KASLR does not move, such as per-CPU variables.
 */
static su64 offset_of(const struct kallsyms *k, const char *name, unsigned long position)
{
	su64 start = kallsyms_address(k, "_stext"), end = kallsyms_address(k, "_end");
	const struct ksym *found = NULL;
	unsigned long count = 0;

	for (const struct ksym *s = NULL; (s = kallsyms_find(k, name, s)) != NULL;)
		if (++count == (position ? position : 1))
			found = s;
	if (!found || (!position && count > 1) || !start || found->address < start ||
	    found->address >= end)
		return SUTURE_MANIFEST_UNKNOWN;
	return found->address - start;
}

static bool is_vmlinux(const char *object)
{
	return !strcmp(object, "vmlinux");
}

static su64 offset_of_symbol(const struct kallsyms *k, const char *symbol)
{
	struct wanted w;

	if (!names_parse_symbol(symbol, &w) || (*w.object && !is_vmlinux(w.object)))
		return SUTURE_MANIFEST_UNKNOWN;
	return offset_of(k, w.name, w.position);
}

int places_find(const struct kernel *k, const struct ko *payload, struct payload_info *info)
{
	struct ko_symbol s;

	if (!k->has_syms)
		return 0;
	for (unsigned i = 0; i < info->nr_funcs; i++)
		if (is_vmlinux(info->objects[info->funcs[i].object]))
			info->funcs[i].old_offset =
				offset_of(&k->syms, info->funcs[i].name, info->funcs[i].sympos);
	info->symbols = calloc(payload->count + 1, sizeof(*info->symbols));
	if (!info->symbols)
		return -1;
	for (size_t i = 1; ko_symbol(payload, i, &s); i++) {
		su64 offset = s.sym.st_shndx == SHN_UNDEF ? offset_of_symbol(&k->syms, s.name)
							  : SUTURE_MANIFEST_UNKNOWN;

		if (offset != SUTURE_MANIFEST_UNKNOWN)
			info->symbols[info->nr_symbols++] =
				(struct suture_manifest_symbol){.index = (su32)i, .offset = offset};
	}
	return 0;
}
