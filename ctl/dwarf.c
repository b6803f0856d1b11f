/* SPDX-License-Identifier: BSD-2-Clause */
#include "dwarf.h"
#include "types.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>

/* libdwfl, because a module's debug information must be relocated before it can be read. */
struct debug {
	Dwfl *dwfl;
	Dwfl_Module *module;
	struct function {
		const char *name;
		size_t order;
		Dwarf_Die die;
	} * functions; /* by name; NULL: not read yet */
	size_t nr_functions;
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
	if (d)
		free(d->functions);
	free(d);
}

Dwarf_Die *debug_unit(struct debug *d, Dwarf_Die *unit)
{
	Dwarf_Addr bias;

	return dwfl_module_nextcu(d->module, unit, &bias);
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

/* A function of the unit's own: neither a declaration nor only a template for inlining. */
static const char *code_name(Dwarf_Die *die)
{
	if (dwarf_tag(die) != DW_TAG_subprogram || dwarf_hasattr(die, DW_AT_declaration))
		return NULL;
	return dwarf_diename(die);
}

static bool add_function(struct debug *d, size_t *room, const char *name, const Dwarf_Die *die)
{
	if (!d->functions || d->nr_functions == *room) {
		size_t more = *room ? 2 * *room : 256;
		struct function *functions = realloc(d->functions, more * sizeof(*functions));

		if (!functions)
			return false;
		d->functions = functions;
		*room = more;
	}
	d->functions[d->nr_functions] = (struct function){name, d->nr_functions, *die};
	d->nr_functions++;
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct function *f = a, *g = b;
	int order = strcmp(f->name, g->name);

	return order ? order : f->order < g->order ? -1 : f->order > g->order;
}

static bool read_functions(struct debug *d)
{
	Dwarf_Die *unit = NULL, die;
	size_t room = 0;
	const char *name;

	while ((unit = debug_unit(d, unit)) != NULL)
		for (int r = dwarf_child(unit, &die); !r; r = dwarf_siblingof(&die, &die)) {
			name = code_name(&die);
			if (name && !add_function(d, &room, name, &die))
				return false;
		}
	if (d->functions)
		qsort(d->functions, d->nr_functions, sizeof(*d->functions), by_name);
	return d->functions;
}

bool debug_prototype(struct debug *d, const char *name, struct prototype *p)
{
	const struct function key = {.name = name};
	size_t low = 0, high;

	if (!d->functions && !read_functions(d))
		return false;
	for (high = d->nr_functions; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (by_name(&d->functions[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < d->nr_functions && !strcmp(d->functions[low].name, name); low++)
		if (read_prototype(&d->functions[low].die, p))
			return true;
	return false;
}

/* One of the names. */
struct wanted {
	const char *name;
	unsigned number;
	bool seen; /* in the function that is looked at */
};

struct search {
	struct wanted *wanted; /* by name */
	unsigned count;
	struct wanted **seen;
	unsigned nr_seen;
};

static int by_wanted(const void *a, const void *b)
{
	const struct wanted *v = a, *w = b;

	return strcmp(v->name, w->name);
}

static void note_inlined(Dwarf_Die *die, struct search *s)
{
	const struct wanted key = {.name = dwarf_diename(die)};
	struct wanted *w =
		key.name ? bsearch(&key, s->wanted, s->count, sizeof(key), by_wanted) : NULL;

	while (w && w > s->wanted && !by_wanted(w - 1, &key))
		w--;
	for (; w && w < s->wanted + s->count && !by_wanted(w, &key); w++) {
		if (!w->seen)
			s->seen[s->nr_seen++] = w;
		w->seen = true;
	}
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
		s->nr_seen = 0;
		search_block(&die, s);
		for (unsigned i = 0; i < s->nr_seen; i++) {
			s->seen[i]->seen = false;
			fn(data, s->seen[i]->number, caller ? caller : "?");
		}
	}
}

int debug_inlined(struct debug *d, const char *const *names, unsigned count, inlined_fn fn,
		  void *data)
{
	struct search s = {.wanted = calloc(count, sizeof(*s.wanted)),
			   .count = count,
			   .seen = calloc(count, sizeof(struct wanted *))};
	bool good = s.wanted && s.seen;
	Dwarf_Die *unit = NULL;

	for (unsigned i = 0; good && i < count; i++)
		s.wanted[i] = (struct wanted){names[i], i, false};
	if (good)
		qsort(s.wanted, count, sizeof(*s.wanted), by_wanted);
	while (good && (unit = debug_unit(d, unit)) != NULL)
		search_unit(unit, &s, fn, data);
	free(s.wanted);
	free(s.seen);
	return good ? 0 : -1;
}
