/* SPDX-License-Identifier: BSD-2-Clause */
/* The sections that are read have the structures of kpatch 0.9's create-diff-object. */
#include "convert.h"
#include "../ctl.h"
#include "object.h"

#include <stdlib.h>
#include <string.h>
#include <suture/payload.h>

/* struct kpatch_patch_func */
#define FUNC_NEW    0
#define FUNC_NAME   40
#define FUNC_OBJECT 48
#define FUNC_SIZE   56

/* struct kpatch_relocation */
#define RELOCATION_PLACE  0
#define RELOCATION_TYPE	  8
#define RELOCATION_ADDEND 16
#define RELOCATION_SYMBOL 32
#define RELOCATION_SIZE	  40

/* struct kpatch_symbol */
#define SYMBOL_NAME   24
#define SYMBOL_OBJECT 32

struct conversion {
	struct object o;
	const struct match *m;
	struct changes *c;
	unsigned number;
};

/* ---- functions ---- */

static int refuse_text(const struct match *m, const char *what, const char *name, const char *why)
{
	return fail(EX_BAD_USAGE, "%s: %s() of %s, which the patch %s: %s", m->obj->path, name,
		    m->target->name, what, why);
}

int convert_refuse(const struct match *m, const char *name, const char *what)
{
	char why[160];
	size_t i;
	struct ko_symbol f;

	switch (match_state(m, name)) {
	case MATCH_ABSENT:
		return refuse_text(m, what, name,
				   "the kernel has no function of the name; it is inlined there, "
				   "or left out by the configuration");
	case MATCH_ELSEWHERE:
		return refuse_text(m, what, name,
				   "the kernel runs another function of the name: it is weak here");
	case MATCH_REFERS:
		i = ko_next_named(m->obj, name, 0, &f);
		snprintf(why, sizeof(why),
			 "the running code is the same, but refers to another %.64s",
			 i && m->others[i] ? m->others[i] : "symbol");
		return refuse_text(m, what, name, why);
	default:
		snprintf(why, sizeof(why),
			 "what is compiled from the unchanged source is not what the kernel has "
			 "(%u of the file's %u functions are the same)",
			 m->same, m->functions);
		return refuse_text(m, what, name, why);
	}
}

static int add_function(struct conversion *v, const char *name, Elf64_Sym symbol, bool added)
{
	struct changes *c = v->c;
	struct new_function *list = realloc(c->functions, (c->nr_functions + 1) * sizeof(*list));
	struct new_function *f;
	struct place place;
	unsigned count;

	if (!list)
		return fail(EX_FAILED, "no memory");
	c->functions = list;
	if (match_state(v->m, name) != MATCH_SAME || !match_place(v->m, name, &place))
		return convert_refuse(v->m, name, "replaces");
	f = &list[c->nr_functions];
	*f = (struct new_function){.name = strdup(name), .added = added};
	f->position = target_position(v->m->target, name, place, &count);
	if (count == 1)
		f->position = 0;
	snprintf(f->symbol, sizeof(f->symbol), "suture_new_%u_%zu", v->number, c->nr_functions++);
	symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
	if (!f->name || !object_add_symbol(&v->o, f->symbol, symbol))
		return fail(EX_FAILED, "no memory");
	return EX_DONE;
}

static bool has_function(const struct changes *c, const char *name)
{
	for (size_t i = 0; i < c->nr_functions; i++)
		if (!strcmp(c->functions[i].name, name))
			return true;
	return false;
}

static const Elf64_Sym *function_at(const struct object *o, size_t section, uint64_t offset)
{
	const Elf64_Sym *s;

	for (size_t i = 1; (s = object_symbol(o, i)) != NULL; i++)
		if (s->st_shndx == section && s->st_value == offset &&
		    ELF64_ST_TYPE(s->st_info) == STT_FUNC)
			return s;
	return NULL;
}

static int named_functions(struct conversion *v)
{
	size_t funcs = object_find(&v->o, ".kpatch.funcs");
	uint64_t size = funcs ? v->o.sections[funcs].sh.sh_size : 0;

	for (uint64_t at = 0; at + FUNC_SIZE <= size; at += FUNC_SIZE) {
		const char *name = object_string(&v->o, funcs, at + FUNC_NAME);
		const Elf64_Sym *s = NULL;
		size_t section;
		uint64_t offset;
		int r;

		if (object_target(&v->o, funcs, at + FUNC_NEW, &section, &offset))
			s = function_at(&v->o, section, offset);
		if (!name || !s)
			return fail(EX_FAILED, "%s: create-diff-object's table is damaged",
				    v->m->obj->path);
		r = add_function(v, name, *s, false);
		if (r)
			return r;
	}
	return EX_DONE;
}

static int add_new_name(struct changes *c, const char *name)
{
	char **list = realloc(c->new_names, (c->nr_new + 1) * sizeof(*list));

	if (!list)
		return fail(EX_FAILED, "no memory");
	c->new_names = list;
	list[c->nr_new] = strdup(name);
	return list[c->nr_new++] ? EX_DONE : fail(EX_FAILED, "no memory");
}

static bool is_cold(const char *name)
{
	return strstr(name, ".cold") != NULL;
}

/*
 * create-diff-object names no FOO.part.0 whose FOO has not changed: the kernel would go on with the
 * old one. Each function that is in the output and existed before is replaced.
 */
static int other_symbols(struct conversion *v)
{
	size_t count = v->o.sections[v->o.symtab].sh.sh_size / sizeof(Elf64_Sym);
	int r = EX_DONE;

	for (size_t i = 1; i < count && !r; i++) {
		Elf64_Sym s = *object_symbol(&v->o, i);
		const char *name = object_symbol_name(&v->o, &s);
		unsigned type = ELF64_ST_TYPE(s.st_info);
		struct ko_symbol old;

		if ((type != STT_FUNC && type != STT_OBJECT) || !s.st_shndx ||
		    s.st_shndx >= SHN_LORESERVE || !strncmp(name, "suture_new_", 11))
			continue;
		name = strdup(name);
		if (!name)
			return fail(EX_FAILED, "no memory");
		if (!ko_next_named(v->m->obj, name, 0, &old))
			r = is_cold(name) ? EX_DONE : add_new_name(v->c, name);
		else if (type == STT_FUNC && !is_cold(name) && !has_function(v->c, name))
			r = add_function(v, name, s, true);
		free((char *)(uintptr_t)name);
	}
	return r;
}

/* ---- relocations ---- */

/* The symbol's number in the output; the same name has one. 0: without memory. */
static size_t find_symbol(struct conversion *v, const char *name)
{
	const Elf64_Sym *s;

	for (size_t i = 1; (s = object_symbol(&v->o, i)) != NULL; i++)
		if (!s->st_shndx && !strcmp(object_symbol_name(&v->o, s), name))
			return i;
	v->c->references++;
	return object_add_symbol(&v->o, name,
				 (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE)});
}

/* Where the symbol is among those of its name, into *position; an exit code. */
static int find_position(const struct match *m, const char *name, const char *object,
			 unsigned *position)
{
	struct place place;
	unsigned count = 0;

	*position = 0;
	if (strcmp(object, m->target->name) != 0)
		return EX_DONE;
	if (!match_place(m, name, &place)) {
		struct ko_symbol s;

		if (ko_next_named(m->obj, name, 0, &s) && ko_is_func(&s) && *s.section)
			return convert_refuse(m, name, "calls");
		return fail(EX_BAD_USAGE,
			    "%s: the patch uses %s of %s, and several symbols have the name, or "
			    "none: which one is meant cannot be told by what the code refers to",
			    m->obj->path, name, object);
	}
	*position = target_position(m->target, name, place, &count);
	if (count == 1)
		*position = 0;
	return EX_DONE;
}

static int relocation(struct conversion *v, size_t table, uint64_t at)
{
	const unsigned char *data = v->o.sections[table].data + at;
	size_t place_section, symbol_section, symbol;
	uint64_t place, symbol_at;
	const char *name, *object;
	char whole[512];
	unsigned position;
	uint32_t type;
	int64_t addend;
	int r;

	memcpy(&type, data + RELOCATION_TYPE, sizeof(type));
	memcpy(&addend, data + RELOCATION_ADDEND, sizeof(addend));
	if (!object_target(&v->o, table, at + RELOCATION_PLACE, &place_section, &place) ||
	    !object_target(&v->o, table, at + RELOCATION_SYMBOL, &symbol_section, &symbol_at))
		return fail(EX_FAILED, "%s: create-diff-object's relocations are damaged",
			    v->m->obj->path);
	name = object_string(&v->o, symbol_section, symbol_at + SYMBOL_NAME);
	object = object_string(&v->o, symbol_section, symbol_at + SYMBOL_OBJECT);
	if (!name || !object)
		return fail(EX_FAILED, "%s: create-diff-object's symbols are damaged",
			    v->m->obj->path);
	r = find_position(v->m, name, object, &position);
	if (r)
		return r;
	snprintf(whole, sizeof(whole), SUTURE_SYMBOL_PREFIX "%s.%s.%u", object, name, position);
	symbol = find_symbol(v, whole);
	if (!symbol ||
	    object_add_relocation(&v->o, place_section,
				  (Elf64_Rela){place, ELF64_R_INFO(symbol, type), addend}))
		return fail(EX_FAILED, "%s: no place for a relocation of %s", v->m->obj->path,
			    name);
	return EX_DONE;
}

static int relocations(struct conversion *v)
{
	size_t table = object_find(&v->o, ".kpatch.relocations");
	uint64_t size = table ? v->o.sections[table].sh.sh_size : 0;
	int r = EX_DONE;

	for (uint64_t at = 0; at + RELOCATION_SIZE <= size && !r; at += RELOCATION_SIZE)
		r = relocation(v, table, at);
	return r;
}

/* ---- the whole ---- */

int convert(const char *from, const char *to, const struct match *m, unsigned number,
	    struct changes *c)
{
	struct conversion v = {.m = m, .c = c, .number = number};
	int r = EX_DONE;

	*c = (struct changes){0};
	snprintf(c->object, sizeof(c->object), "%s", m->target->name);
	if (object_open(&v.o, from))
		r = fail(EX_FAILED, "%s: create-diff-object's output is no object file", from);
	if (!r)
		r = named_functions(&v);
	if (!r)
		r = other_symbols(&v);
	if (!r)
		r = relocations(&v);
	if (!r && object_write(&v.o, to))
		r = fail(EX_FAILED, "%s: cannot be written", to);
	object_close(&v.o);
	return r;
}

void changes_free(struct changes *c)
{
	for (size_t i = 0; i < c->nr_functions; i++)
		free(c->functions[i].name);
	for (size_t i = 0; i < c->nr_new; i++)
		free(c->new_names[i]);
	free(c->functions);
	free(c->new_names);
	*c = (struct changes){0};
}
