/* SPDX-License-Identifier: BSD-2-Clause */
#include "always.h"
#include "check.h"
#include "check_calls.h"
#include "entry.h"

#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An object of the patch: vmlinux when ko is NULL. */
struct object {
	const char *name;
	const struct kernel *k;
	const struct ko *ko;
	const struct btf *btf; /* may be NULL */
};

/* The function that a name and a position stand for. */
struct match {
	unsigned count, init; /* symbols of that name; and those in memory that is freed */
	bool found, is_func;
	uint64_t place; /* the same for all names of a function, in its object */
	uint64_t size;
	const unsigned char *code;
	struct entry entry; /* if there is code */
};

/* ---- looking it up, by the rules of the agent ---- */

static void take_kernel_symbol(const struct kernel *k, const struct ksym *s, struct match *m)
{
	struct extent code;

	m->place = s->address;
	m->size = kallsyms_size(&k->syms, s);
	code = image_bytes(&k->image, s->address, m->size);
	m->code = code.data;
	if (code.size)
		m->entry = entry_read(k->image.machine, code.data, code.size);
	m->is_func = s->type == 't' || s->type == 'T' || s->type == 'w' || s->type == 'W';
}

static void match_kernel(const struct kernel *k, const struct payload_func *f, struct match *m)
{
	unsigned wanted = f->sympos ? (unsigned)f->sympos : 1;

	for (const struct ksym *s = NULL; (s = kallsyms_find(&k->syms, f->name, s)) != NULL;) {
		m->init += kallsyms_is_init(&k->syms, s->address);
		if (++m->count != wanted)
			continue;
		m->found = true;
		take_kernel_symbol(k, s, m);
	}
}

/* Up to the next symbol, or the section's end: padding counts, as it does for the kernel. */
static uint64_t module_size(const struct ko *ko, const struct ko_symbol *f)
{
	return ko_next_place(ko, f->sym.st_shndx, f->sym.st_value) - f->sym.st_value;
}

static void take_module_symbol(const struct ko *ko, const struct ko_symbol *s, struct match *m)
{
	Elf_Data *d = elf_getdata(elf_getscn(ko->elf, s->sym.st_shndx), NULL);

	m->place = (uint64_t)s->sym.st_shndx << 48 | s->sym.st_value;
	m->size = module_size(ko, s);
	if (d && d->d_buf && s->sym.st_value < d->d_size) {
		m->code = (const unsigned char *)d->d_buf + s->sym.st_value;
		m->entry = entry_read(ko->machine, m->code, d->d_size - s->sym.st_value);
	}
	m->is_func = ko_is_func(s) || s->flags & SHF_EXECINSTR;
}

static void match_module(const struct ko *ko, const struct payload_func *f, struct match *m)
{
	unsigned wanted = f->sympos ? (unsigned)f->sympos : 1;
	struct ko_symbol s;

	for (size_t i = 0; (i = ko_next_named(ko, f->name, i, &s)) != 0;) {
		if (!ko_is_defined(&s))
			continue;
		/* the kernel drops these from the module's symbols */
		if (ko_is_init(s.section)) {
			m->init++;
		} else if (++m->count == wanted) {
			m->found = true;
			take_module_symbol(ko, &s, m);
		}
	}
}

/* ---- it is not there ---- */

struct list {
	char text[200];
	unsigned count;
};

#define LISTED 4u

static void list_add(struct list *l, const char *name)
{
	size_t n = strlen(l->text);

	if (l->count++ < LISTED)
		snprintf(l->text + n, sizeof(l->text) - n, "%s%.60s", n ? ", " : "", name);
}

static const char *list_end(struct list *l)
{
	size_t n = strlen(l->text);

	if (l->count > LISTED)
		snprintf(l->text + n, sizeof(l->text) - n, " and %u more", l->count - LISTED);
	return l->text;
}

static bool is_clone(const char *symbol, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(symbol, name, n) && symbol[n] == '.';
}

/* NAME.part.0, NAME.isra.0, NAME.constprop.0 ... */
static void find_clones(const struct object *o, const char *name, struct list *l)
{
	struct ko_symbol s;

	for (uint32_t i = 0; !o->ko && i < o->k->syms.count; i++)
		if (is_clone(o->k->syms.syms[i].name, name))
			list_add(l, o->k->syms.syms[i].name);
	for (size_t i = 1; o->ko && ko_symbol(o->ko, i, &s); i++)
		if (ko_is_defined(&s) && is_clone(s.name, name))
			list_add(l, s.name);
}

/* False: the reason is in the kernel's debug information, which is given. */
static bool say_missing(const struct object *o, const struct payload_func *f, const struct match *m,
			struct verdict *v)
{
	struct list clones = {0};

	find_clones(o, f->name, &clones);
	if (m->init)
		verdict_error(v,
			      "function '%s' of '%s' is __init: it has run and is gone; do in a "
			      "post_patch callback what it should have done",
			      f->name, o->name);
	else if (clones.count)
		verdict_error(
			v,
			"there is no function '%s' in '%s', only what the compiler made of it: "
			"%s: patch its callers, or these by their names",
			f->name, o->name, list_end(&clones));
	else if (!o->ko && *o->k->debug_path)
		return false;
	else
		verdict_error(
			v,
			"there is no function '%s' in '%s': misspelt, or inlined into all of its "
			"callers (into which cannot be told without debug information%s)",
			f->name, o->name, o->ko ? "" : ": --debug VMLINUX");
	return true;
}

struct inlining {
	const char *names[SUTURE_MAX_FUNCS];
	bool missing[SUTURE_MAX_FUNCS];
	struct list callers[SUTURE_MAX_FUNCS];
	unsigned count;
};

/* What is collected for all functions of a patch. */
struct findings {
	struct inlining in;
	struct called called[SUTURE_MAX_FUNCS]; /* of the object at hand */
	unsigned nr_called;
};

/* ---- it is there ---- */

/* Is the name unambiguous? */
static bool check_position(const struct object *o, const struct payload_func *f,
			   const struct match *m, struct verdict *v)
{
	if (!f->sympos && m->count > 1)
		verdict_error(v,
			      "function '%s' is ambiguous: '%s' has %u of that name; say which one "
			      "with old_sympos",
			      f->name, o->name, m->count);
	else if (!m->found)
		verdict_error(v,
			      "there is no function '%s' at position %lu in '%s', which has %u of "
			      "that name",
			      f->name, f->sympos, o->name, m->count);
	return m->found && (f->sympos || m->count == 1);
}

static void check_size(const struct payload_func *f, const struct match *m, struct verdict *v)
{
	unsigned need = m->code ? m->entry.at + m->entry.size : 0;

	if (m->size && m->size < need)
		verdict_warn(v,
			     "function '%s' is short (%llu bytes, a jump needs %u): the monitor "
			     "refuses it where it finds no room; patch its callers instead",
			     f->name, (unsigned long long)m->size, need);
}

static void check_stacks(const struct object *o, const struct payload_func *f, struct verdict *v)
{
	const char *whose = o->ko ? NULL : always_on_stack(f->name);

	if (whose)
		verdict_error(v,
			      "'%s' of '%s' is on the stack of %s, so that the patch can be "
			      "switched at no moment: patch what it calls",
			      f->name, o->name, whose);
}

static void check_prototype(const struct object *o, const struct payload_func *f,
			    struct debug *types, struct verdict *v)
{
	char old[512], new[512], sizes[256];
	struct prototype own, theirs;
	bool matches;

	if (!types || !o->btf)
		return;
	if (!*f->new_name || !debug_prototype(types, f->new_name, &own)) {
		verdict_note(v, "the prototype of the new '%s' is not known: not compared",
			     f->name);
		return;
	}
	if (!types_compare(o->btf, f->name, &own, &matches, &theirs))
		verdict_note(v,
			     "the prototype of '%s' is not in the BTF of '%s': %s() was not "
			     "compared with it",
			     f->name, o->name, f->new_name);
	else if (!matches)
		verdict_error(v, "%s in the kernel, %s in the patch%s",
			      prototype_text(f->name, &theirs, old, sizeof(old)),
			      prototype_text(f->new_name, &own, new, sizeof(new)),
			      prototype_sizes(&theirs, &own, sizes, sizeof(sizes)));
}

static int by_place(const void *a, const void *b)
{
	const struct called *x = a, *y = b;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->func < y->func ? -1 : x->func > y->func;
}

/* Functions of one object. */
static void check_aliases(struct called *funcs, unsigned count, struct verdict *v)
{
	qsort(funcs, count, sizeof(*funcs), by_place);
	for (unsigned i = 1; i < count; i++)
		if (funcs[i].section == funcs[i - 1].section &&
		    funcs[i].address == funcs[i - 1].address)
			verdict_error(v, "'%s' and '%s' are the same function", funcs[i].func->name,
				      funcs[i - 1].func->name);
}

/* A function that BPF programs may call is in a list of ids. True also where that is not known. */
static bool is_in_btf_ids(const struct object *o, const char *name)
{
	Elf_Data *d = o->ko ? ko_section_data(o->ko, ".BTF_ids") : NULL;
	struct extent ids = o->ko ? (struct extent){d ? d->d_buf : NULL, d ? d->d_size : 0, 0}
				  : image_section(&o->k->image, ".BTF_ids");
	int32_t id = o->btf ? btf__find_by_name_kind(o->btf, name, BTF_KIND_FUNC) : 0, word;

	if (!o->btf)
		return ids.size;
	for (size_t at = 0; id > 0 && at + sizeof(word) <= ids.size; at += sizeof(word)) {
		memcpy(&word, ids.data + at, sizeof(word));
		if (word == id)
			return true;
	}
	return false;
}

static void look_for_calls(struct findings *all, const struct object *o, struct payload_func *f,
			   const struct match *m)
{
	all->called[all->nr_called++] = (struct called){
		.func = f,
		.address = o->ko ? m->place & 0xffffffffffffull : m->place,
		.size = m->size,
		.section = o->ko ? m->place >> 48 : 0,
		.plain = m->entry.site && !is_in_btf_ids(o, f->name),
	};
}

/* False: see say_missing(). */
static bool check_func(const struct object *o, struct payload_info *info, unsigned index,
		       struct debug *types, struct findings *all, struct verdict *v)
{
	struct payload_func *f = &info->funcs[index];
	struct match m = {0};

	if (o->ko)
		match_module(o->ko, f, &m);
	else
		match_kernel(o->k, f, &m);
	if (!m.count || (m.init && m.init == m.count))
		return say_missing(o, f, &m, v);
	if (!check_position(o, f, &m, v))
		return true;
	if (!m.is_func) {
		verdict_error(v, "'%s' of '%s' is data, not a function", f->name, o->name);
		return true;
	}
	look_for_calls(all, o, f, &m);
	check_size(f, &m, v);
	check_stacks(o, f, v);
	check_prototype(o, f, types, v);
	return true;
}

/* ---- where functions were inlined ---- */

static void add_caller(void *data, unsigned name, const char *caller)
{
	struct inlining *in = data;

	list_add(&in->callers[name], caller);
}

static void say_inlined(struct inlining *in, unsigned i, struct verdict *v)
{
	struct list *callers = &in->callers[i];

	if (in->missing[i] && callers->count)
		verdict_error(
			v,
			"there is no function '%s' in 'vmlinux': it was inlined into all of its "
			"callers: patch %s",
			in->names[i], list_end(callers));
	else if (in->missing[i])
		verdict_error(
			v, "there is no function '%s' in 'vmlinux', nor was one inlined: misspelt?",
			in->names[i]);
	else if (callers->count)
		verdict_warn(v,
			     "function '%s' was inlined as well, into %s: there the old code stays",
			     in->names[i], list_end(callers));
}

/* One pass over the debug information for all of them. */
static void check_inlining(const struct kernel *k, struct inlining *in, struct verdict *v)
{
	struct debug *d = in->count ? debug_open(k->debug_path) : NULL;

	if (d && !debug_inlined(d, in->names, in->count, add_caller, in)) {
		for (unsigned i = 0; i < in->count; i++)
			say_inlined(in, i, v);
	} else if (in->count) {
		verdict_note(v, "%s: no debug information in it: inlining was not looked at",
			     k->debug_path);
		for (unsigned i = 0; i < in->count; i++)
			if (in->missing[i])
				verdict_error(v, "there is no function '%s' in 'vmlinux'",
					      in->names[i]);
	}
	debug_close(d);
}

/* ---- objects ---- */

static void look_for_inlining(struct inlining *in, const char *name, bool missing)
{
	in->missing[in->count] = missing;
	in->names[in->count++] = name;
}

static void check_object(const struct object *o, struct payload_info *info, unsigned index,
			 struct debug *types, struct findings *all, struct verdict *v)
{
	all->nr_called = 0;
	for (unsigned i = 0; i < info->nr_funcs; i++) {
		const struct payload_func *f = &info->funcs[i];
		bool missing;

		if (f->object != index)
			continue;
		missing = !check_func(o, info, i, types, all, v);
		if (missing || (!o->ko && o->k->debug_given))
			look_for_inlining(&all->in, f->name, missing);
	}
	check_aliases(all->called, all->nr_called, v);
	check_calls(o->k, o->ko, o->name, all->called, all->nr_called, v);
}

static void check_module(const struct kernel *k, struct payload_info *info, unsigned index,
			 struct debug *types, struct findings *all, struct verdict *v)
{
	struct object o = {.name = info->objects[index], .k = k};
	const char *path = modules_find(&k->modules, o.name);
	struct module_file f = {0};
	struct btf *btf = NULL;
	Elf_Data *d;

	if (!path) {
		verdict_note(
			v,
			"module '%s' is not at hand: what is to be replaced in it was not checked "
			"(--modules DIR)",
			o.name);
		return;
	}
	if (module_open(&f, path)) {
		verdict_note(v, "%s cannot be read: module '%s' was not checked", path, o.name);
	} else {
		d = ko_section_data(&f.ko, ".BTF");
		if (d && k->btf)
			btf = types_open(d->d_buf, d->d_size, k->btf);
		o.ko = &f.ko;
		o.btf = btf;
		check_object(&o, info, index, types, all, v);
	}
	btf__free(btf);
	module_close(&f);
}

void check_funcs(const struct kernel *k, struct payload_info *info, struct debug *types,
		 struct verdict *v)
{
	struct object vmlinux = {.name = "vmlinux", .k = k, .btf = k->btf};
	static struct findings all;

	memset(&all, 0, sizeof(all));
	for (unsigned i = 0; i < info->nr_objects; i++) {
		if (strcmp(info->objects[i], "vmlinux") != 0)
			check_module(k, info, i, types, &all, v);
		else if (k->has_syms)
			check_object(&vmlinux, info, i, types, &all, v);
	}
	check_inlining(k, &all.in, v);
}
