/* SPDX-License-Identifier: BSD-2-Clause */
#include "types.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>

/* libdwfl, because a module's debug information must be relocated before it can be read. */
struct debug {
	Dwfl *dwfl;
	Dwfl_Module *module;
};

/* ---- the file ---- */

/* Only the file itself is read: no separate debug files, no debuginfod server. */
static int no_other_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
			 const char *file, const char *link, GElf_Word crc, char **found)
{
	(void)module, (void)data, (void)name, (void)base, (void)file, (void)link, (void)crc;
	*found = NULL;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_debuginfo = no_other_file,
	.section_address = dwfl_offline_section_address,
};

struct debug *debug_open(const char *path)
{
	struct debug *d = calloc(1, sizeof(*d));
	Dwarf_Addr bias;

	if (!d)
		return NULL;
	d->dwfl = dwfl_begin(&callbacks);
	if (d->dwfl)
		d->module = dwfl_report_offline(d->dwfl, "", path, -1);
	if (d->module && !dwfl_report_end(d->dwfl, NULL, NULL) &&
	    dwfl_module_getdwarf(d->module, &bias))
		return d;
	debug_close(d);
	return NULL;
}

void debug_close(struct debug *d)
{
	if (d && d->dwfl)
		dwfl_end(d->dwfl);
	free(d);
}

/* ---- types ---- */

static bool type_of(Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute a;

	return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &a), type);
}

static enum type_kind kind_of(int tag)
{
	switch (tag) {
	case DW_TAG_base_type:
	case DW_TAG_enumeration_type:
		return TYPE_INT;
	case DW_TAG_structure_type:
		return TYPE_STRUCT;
	case DW_TAG_union_type:
		return TYPE_UNION;
	case DW_TAG_array_type:
		return TYPE_ARRAY;
	case DW_TAG_subroutine_type:
		return TYPE_FUNC;
	default:
		return TYPE_UNKNOWN;
	}
}

static bool is_float(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	Dwarf_Word encoding = 0;

	dwarf_formudata(dwarf_attr(die, DW_AT_encoding, &a), &encoding);
	return encoding == DW_ATE_float;
}

static void end_type(Dwarf_Die *die, struct type *out)
{
	enum type_kind kind = kind_of(dwarf_tag(die));
	int size = dwarf_bytesize(die);

	if (kind == TYPE_INT && dwarf_tag(die) == DW_TAG_base_type && is_float(die))
		kind = TYPE_FLOAT;
	type_end(out, kind, dwarf_diename(die), size > 0 ? (uint64_t)size : 0);
}

/* The type of a parameter, or of what a function returns. */
static void read_type(Dwarf_Die *of, struct type *out)
{
	Dwarf_Die die = *of;

	while (type_of(&die, &die)) {
		switch (dwarf_tag(&die)) {
		case DW_TAG_pointer_type:
			type_add_pointer(out);
			break;
		case DW_TAG_typedef:
			type_add_alias(out, dwarf_diename(&die));
			break;
		case DW_TAG_const_type:
		case DW_TAG_volatile_type:
		case DW_TAG_restrict_type:
		case DW_TAG_atomic_type:
			break;
		default:
			end_type(&die, out);
			return;
		}
	}
	type_end(out, TYPE_VOID, NULL, 0);
}

static bool read_prototype(Dwarf_Die *func, struct prototype *p)
{
	Dwarf_Die child;
	int r = dwarf_child(func, &child);

	*p = (struct prototype){0};
	read_type(func, &p->result);
	for (; !r; r = dwarf_siblingof(&child, &child)) {
		p->variadic |= dwarf_tag(&child) == DW_TAG_unspecified_parameters;
		if (dwarf_tag(&child) != DW_TAG_formal_parameter)
			continue;
		if (p->count == PROTOTYPE_PARAMS)
			return false;
		read_type(&child, &p->params[p->count++]);
	}
	return true;
}

/* ---- functions ---- */

/* The function is the unit's own: neither a declaration nor only a template for inlining. */
static bool is_code_of(Dwarf_Die *die, const char *name)
{
	const char *n = dwarf_tag(die) == DW_TAG_subprogram ? dwarf_diename(die) : NULL;

	return n && !strcmp(n, name) && !dwarf_hasattr(die, DW_AT_declaration);
}

bool debug_prototype(struct debug *d, const char *name, struct prototype *p)
{
	Dwarf_Die *unit = NULL, die;
	Dwarf_Addr bias;

	while ((unit = dwfl_module_nextcu(d->module, unit, &bias)) != NULL)
		for (int r = dwarf_child(unit, &die); !r; r = dwarf_siblingof(&die, &die))
			if (is_code_of(&die, name) && read_prototype(&die, p))
				return true;
	return false;
}

struct search {
	const char *const *names;
	unsigned count;
	bool *seen; /* in the function that is looked at */
};

static void note_inlined(Dwarf_Die *die, struct search *s)
{
	const char *name = dwarf_diename(die);

	for (unsigned i = 0; name && i < s->count; i++)
		s->seen[i] |= !strcmp(s->names[i], name);
}

/* The functions that are inlined into this function or block. */
static void search_block(Dwarf_Die *die, struct search *s)
{
	Dwarf_Die child;

	for (int r = dwarf_child(die, &child); !r; r = dwarf_siblingof(&child, &child)) {
		int tag = dwarf_tag(&child);

		if (tag == DW_TAG_inlined_subroutine)
			note_inlined(&child, s);
		if (tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block)
			search_block(&child, s);
	}
}

static void search_unit(Dwarf_Die *unit, struct search *s, inlined_fn fn, void *data)
{
	Dwarf_Die die;

	for (int r = dwarf_child(unit, &die); !r; r = dwarf_siblingof(&die, &die)) {
		const char *caller = dwarf_diename(&die);

		if (dwarf_tag(&die) != DW_TAG_subprogram)
			continue;
		memset(s->seen, 0, s->count);
		search_block(&die, s);
		for (unsigned i = 0; i < s->count; i++)
			if (s->seen[i])
				fn(data, i, caller ? caller : "?");
	}
}

int debug_inlined(struct debug *d, const char *const *names, unsigned count, inlined_fn fn,
		  void *data)
{
	struct search s = {.names = names, .count = count, .seen = calloc(count, 1)};
	Dwarf_Die *unit = NULL;
	Dwarf_Addr bias;

	if (!s.seen)
		return -1;
	while ((unit = dwfl_module_nextcu(d->module, unit, &bias)) != NULL)
		search_unit(unit, &s, fn, data);
	free(s.seen);
	return 0;
}
