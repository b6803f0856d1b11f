/* SPDX-License-Identifier: BSD-2-Clause */
#include "layout.h"
#include "dwarf.h"
#include "types.h"

#include <dwarf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct layout {
	char *name, *text; /* malloced; the text describes all members */
	uint64_t size;
};

struct layouts {
	struct layout *list; /* by name */
	size_t count;
};

/* ---- reading ---- */

static bool is_structure(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return tag == DW_TAG_structure_type || tag == DW_TAG_union_type;
}

static uint64_t number(Dwarf_Die *die, unsigned attribute)
{
	Dwarf_Attribute a;
	Dwarf_Word value = 0;

	dwarf_formudata(dwarf_attr(die, attribute, &a), &value);
	return value;
}

static bool type_of(Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute a;

	return dwarf_formref_die(dwarf_attr(die, DW_AT_type, &a), type);
}

static void put_members(FILE *f, Dwarf_Die *die);

static void put_bounds(FILE *f, Dwarf_Die *array)
{
	Dwarf_Die child;

	for (int r = dwarf_child(array, &child); !r; r = dwarf_siblingof(&child, &child))
		fprintf(f, "[%llu,%llu]", (unsigned long long)number(&child, DW_AT_upper_bound),
			(unsigned long long)number(&child, DW_AT_count));
}

/* What a pointer points to is a matter of that type's own. */
static void put_type(FILE *f, Dwarf_Die *of)
{
	Dwarf_Die die = *of;

	while (type_of(&die, &die))
		switch (dwarf_tag(&die)) {
		case DW_TAG_pointer_type:
			fprintf(f, "*");
			return;
		case DW_TAG_array_type:
			put_bounds(f, &die);
			break;
		case DW_TAG_typedef:
		case DW_TAG_const_type:
		case DW_TAG_volatile_type:
		case DW_TAG_restrict_type:
		case DW_TAG_atomic_type:
			break;
		default:
			if (dwarf_diename(&die))
				fprintf(f, "%s", dwarf_diename(&die));
			else if (is_structure(&die))
				put_members(f, &die);
			return;
		}
}

static void put_members(FILE *f, Dwarf_Die *die)
{
	Dwarf_Die child;

	fprintf(f, "{");
	for (int r = dwarf_child(die, &child); !r; r = dwarf_siblingof(&child, &child)) {
		const char *name = dwarf_diename(&child);

		if (dwarf_tag(&child) != DW_TAG_member)
			continue;
		fprintf(f, "%s@%llu.%llu:%llu ", name ? name : "",
			(unsigned long long)number(&child, DW_AT_data_member_location),
			(unsigned long long)number(&child, DW_AT_data_bit_offset),
			(unsigned long long)number(&child, DW_AT_bit_size));
		put_type(f, &child);
		fprintf(f, ";");
	}
	fprintf(f, "}");
}

static bool add_layout(struct layouts *l, Dwarf_Die *die)
{
	struct layout *list = realloc(l->list, (l->count + 1) * sizeof(*list));
	struct layout *new;
	size_t size;
	FILE *f;

	if (!list)
		return false;
	l->list = list;
	new = &list[l->count++];
	*new = (struct layout){.name = strdup(dwarf_diename(die)),
			       .size = number(die, DW_AT_byte_size)};
	f = open_memstream(&new->text, &size);
	if (!f)
		return false;
	put_members(f, die);
	return !fclose(f) && new->name;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct layout *)a)->name, ((const struct layout *)b)->name);
}

static bool read_layouts(struct layouts *l, struct debug *d)
{
	Dwarf_Die *unit = NULL, die;

	while ((unit = debug_unit(d, unit)) != NULL)
		for (int r = dwarf_child(unit, &die); !r; r = dwarf_siblingof(&die, &die))
			if (is_structure(&die) && dwarf_diename(&die) &&
			    !dwarf_hasattr(&die, DW_AT_declaration) && !add_layout(l, &die))
				return false;
	if (l->count)
		qsort(l->list, l->count, sizeof(*l->list), by_name);
	return true;
}

static bool open_layouts(struct layouts *l, const char *path)
{
	struct debug *d = debug_open(path);
	bool good = d && read_layouts(l, d);

	debug_close(d);
	return good;
}

static void close_layouts(struct layouts *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->list[i].name);
		free(l->list[i].text);
	}
	free(l->list);
}

/* ---- comparing ---- */

int layout_compare(const char *before, const char *after, layout_fn fn, void *data)
{
	struct layouts old = {0}, new = {0};
	int differ = -1;

	if (!open_layouts(&old, before) || !open_layouts(&new, after))
		goto out;
	differ = 0;
	for (size_t i = 0; i < old.count; i++) {
		const struct layout *o = &old.list[i], *n;

		n = new.count ? bsearch(o, new.list, new.count, sizeof(*n), by_name) : NULL;
		if (!n || (o->size == n->size && !strcmp(o->text, n->text)))
			continue;
		fn(data, o->name, o->size, n->size);
		differ++;
	}
out:
	close_layouts(&old);
	close_layouts(&new);
	return differ;
}
