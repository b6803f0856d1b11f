/* SPDX-License-Identifier: BSD-2-Clause */
#include "check.h"
#include "ctl.h"
#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suture/payload.h>

struct context {
	const struct kernel *k;
	const struct payload_info *info;
	const struct ko *payload;
	const struct exports *agent;
	struct verdict *v;
	bool all_objects; /* the files of all objects of the patch are at hand */
};

/* ---- symbols of vmlinux ---- */

static bool is_ro_after_init(const struct kallsyms *s, uint64_t address)
{
	return address >= kallsyms_address(s, "__start_ro_after_init") &&
	       address < kallsyms_address(s, "__end_ro_after_init");
}

/* Does the payload have a static branch on the symbol? */
static bool has_jump_label(const struct ko *ko, size_t symbol)
{
	Elf_Scn *scn = NULL;
	GElf_Rela rela;
	GElf_Shdr sh, of;

	while ((scn = elf_nextscn(ko->elf, scn)) != NULL) {
		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_RELA ||
		    strcmp(ko_section(ko, sh.sh_info, &of), "__jump_table") != 0)
			continue;
		for (int i = 0; gelf_getrela(elf_getdata(scn, NULL), i, &rela); i++)
			if (GELF_R_SYM(rela.r_info) == symbol)
				return true;
	}
	return false;
}

static void judge_address(const struct context *c, size_t symbol, const char *name,
			  uint64_t address)
{
	const struct kallsyms *s = &c->k->syms;

	if (kallsyms_is_init(s, address))
		verdict_error(c->v, "symbol '%s' is in the kernel's init memory, which is gone",
			      name);
	/* until 6.10 the module loader writes to every key that a module has a branch on */
	if (is_ro_after_init(s, address) && kernel_older(c->k, 6, 10) &&
	    has_jump_label(c->payload, symbol))
		verdict_error(
			c->v,
			"the static key '%s' is read-only after init, and this kernel writes to "
			"it when the patch is loaded: use static_key_enabled() instead of a "
			"static branch",
			name);
}

static void say_position(const struct context *c, const struct wanted *w, const char *where,
			 unsigned count)
{
	if (!w->position && count > 1)
		verdict_error(c->v,
			      "symbol '%s' is ambiguous: %s has %u; say which one with "
			      "SUTURE_SYMBOL(object, %s, position)",
			      w->name, where, count, w->name);
	else if (w->position > count)
		verdict_error(c->v, "symbol '%s' has no position %lu in %s, only %u", w->name,
			      w->position, where, count);
}

/* Returns how many vmlinux has of that name. */
static unsigned check_in_kernel(const struct context *c, size_t symbol, const struct wanted *w)
{
	unsigned count = 0, position = w->position ? (unsigned)w->position : 1;

	for (const struct ksym *s = NULL; (s = kallsyms_find(&c->k->syms, w->name, s)) != NULL;)
		if (++count == position)
			judge_address(c, symbol, w->name, s->address);
	if (count)
		say_position(c, w, "vmlinux", count);
	return count;
}

/* ---- symbols of modules ---- */

static unsigned count_in(const char *path, const char *name)
{
	struct module_file f;
	struct ko_symbol s;
	unsigned count = 0;

	/* most modules do not have the name at all: no symbol of theirs is looked at */
	if (!module_open(&f, path) && memmem(f.data, f.size, name, strlen(name) + 1))
		for (size_t i = 1; ko_symbol(&f.ko, i, &s); i++)
			count += ko_is_defined(&s) && !ko_is_init(s.section) &&
				 !strcmp(s.name, name);
	module_close(&f);
	return count;
}

/* The modules that the patch names come first: it is nearly always one of them. */
static bool is_in_modules(const struct context *c, const char *name)
{
	for (unsigned i = 0; i < c->info->nr_objects; i++) {
		const char *path = modules_find(&c->k->modules, c->info->objects[i]);

		if (path && count_in(path, name))
			return true;
	}
	for (size_t i = 0; i < c->k->modules.count; i++)
		if (count_in(c->k->modules.paths[i], name))
			return true;
	return false;
}

/* What to add where a variable may be meant. */
static const char *no_variables(const struct kernel *k)
{
	if (!k->has_syms || kallsyms_find(&k->syms, "init_task", NULL))
		return "";
	return ", of whose variables it can only be one that is exported: the kernel was built "
	       "without CONFIG_KALLSYMS_ALL";
}

static void check_anywhere(const struct context *c, size_t symbol, const struct wanted *w,
			   bool weak)
{
	if (exports_has(c->agent, w->name) || exports_has(&c->k->exports, w->name) ||
	    check_in_kernel(c, symbol, w) || weak)
		return;
	if (is_in_modules(c, w->name))
		return;
	if (c->k->modules.count && c->all_objects)
		verdict_error(c->v, "symbol '%s' is not in the kernel and its modules%s", w->name,
			      no_variables(c->k));
	else
		verdict_warn(
			c->v,
			"symbol '%s' is not in the kernel, and not all modules that may have it "
			"are at hand (--modules DIR)",
			w->name);
}

static void check_in_module(const struct context *c, const struct wanted *w)
{
	const char *path = modules_find(&c->k->modules, w->object);
	unsigned count;

	if (!path) {
		verdict_note(c->v, "module '%s' is not at hand: its symbol '%s' was not checked",
			     w->object, w->name);
		return;
	}
	count = count_in(path, w->name);
	if (!count)
		verdict_error(c->v, "symbol '%s' is not in %s", w->name, w->object);
	else
		say_position(c, w, w->object, count);
}

static void check_undefined(const struct context *c, size_t symbol, const struct ko_symbol *s)
{
	bool weak = GELF_ST_BIND(s->sym.st_info) == STB_WEAK;
	struct wanted w;

	if (!names_parse_symbol(s->name, &w))
		verdict_error(c->v, "symbol '%s' is not OBJECT.NAME.POSITION", s->name);
	else if (!*w.object)
		check_anywhere(c, symbol, &w, weak);
	else if (strcmp(w.object, "vmlinux") != 0)
		check_in_module(c, &w);
	else if (!check_in_kernel(c, symbol, &w) && !weak)
		verdict_error(c->v, "symbol '%s' is not in vmlinux", w.name);
}

/* ---- what the payload defines ---- */

static bool is_exported(const struct ko *ko, const char *name)
{
	static const char prefix[] = "__ksymtab_";
	struct ko_symbol s;

	for (size_t i = 1; ko_symbol(ko, i, &s); i++)
		if (!strncmp(s.name, prefix, strlen(prefix)) &&
		    !strcmp(s.name + strlen(prefix), name))
			return true;
	return false;
}

/* Symbols that every module has. */
static bool is_ordinary(const char *name)
{
	return !strcmp(name, "init_module") || !strcmp(name, "cleanup_module") ||
	       !strcmp(name, "__this_module") || !strncmp(name, "__pfx_", 6);
}

static void check_defined(const struct context *c, const struct ko_symbol *s)
{
	bool exported = exports_has(&c->k->exports, s->name);
	unsigned type = GELF_ST_TYPE(s->sym.st_info);

	/* symbols without a type are the linker script's: beginnings and ends of sections */
	if (is_ordinary(s->name) || (type != STT_FUNC && type != STT_OBJECT))
		return;
	if (GELF_ST_BIND(s->sym.st_info) == STB_WEAK)
		verdict_warn(
			c->v,
			"'%s' is a weak definition: the patch uses this one, whatever the kernel "
			"has",
			s->name);
	else if (exported && is_exported(c->payload, s->name))
		verdict_error(
			c->v,
			"the patch exports '%s', and so does the kernel, which will not load it",
			s->name);
	else if (exported || (c->k->has_syms && kallsyms_find(&c->k->syms, s->name, NULL)))
		verdict_warn(
			c->v,
			"'%s' is global, and the kernel has one of that name: the patch uses its "
			"own; make it static, or declare it extern if the kernel's is meant",
			s->name);
}

static bool has_all_objects(const struct kernel *k, const struct payload_info *info)
{
	for (unsigned i = 0; i < info->nr_objects; i++)
		if (strcmp(info->objects[i], "vmlinux") != 0 &&
		    !modules_find(&k->modules, info->objects[i]))
			return false;
	return true;
}

void check_symbols(const struct kernel *k, const struct payload_info *info,
		   const struct ko *payload, const struct exports *agent, struct verdict *v)
{
	struct context c = {k, info, payload, agent, v, has_all_objects(k, info)};
	struct ko_symbol s;

	for (size_t i = 1; ko_symbol(payload, i, &s); i++) {
		if (!*s.name || GELF_ST_BIND(s.sym.st_info) == STB_LOCAL)
			continue;
		if (s.sym.st_shndx != SHN_UNDEF)
			check_defined(&c, &s);
		else if (k->has_syms && strcmp(s.name, "_GLOBAL_OFFSET_TABLE_") != 0)
			check_undefined(&c, i, &s);
	}
}
