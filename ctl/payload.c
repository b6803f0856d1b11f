/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload.h"
#include "ctl.h"
#include "names.h"

#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <suture/payload.h>

/* A place in the payload: section and offset. Section 0 is NULL. */
struct place {
	size_t section;
	GElf_Xword offset;
};

static Elf_Data *section_data(const struct ko *r, size_t section)
{
	Elf_Scn *scn = elf_getscn(r->elf, section);

	return scn ? elf_getdata(scn, NULL) : NULL;
}

/* The relocation's target as section and offset; false for a symbol that is not in this file. */
static bool resolve(const struct ko *r, const GElf_Shdr *rela_sh, const GElf_Rela *rela,
		    struct place *to)
{
	Elf_Data *symbols = section_data(r, rela_sh->sh_link);
	GElf_Sym sym;

	if (!symbols || !gelf_getsym(symbols, (int)GELF_R_SYM(rela->r_info), &sym) ||
	    sym.st_shndx == SHN_UNDEF || sym.st_shndx >= SHN_LORESERVE)
		return false;
	to->section = sym.st_shndx;
	to->offset = sym.st_value + (GElf_Xword)rela->r_addend;
	return true;
}

/* The relocations of the module with a target in it. */
static struct {
	struct pointer {
		struct place at, to;
	} * list; /* by `at` */
	size_t count;
} pointers;

static int by_place(const void *a, const void *b)
{
	const struct place *p = a, *q = b; /* the first member */

	if (p->section != q->section)
		return p->section < q->section ? -1 : 1;
	return p->offset < q->offset ? -1 : p->offset > q->offset;
}

/* Count the relocations or, where there is room, list them. */
static void list_pointers(const struct ko *r)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	GElf_Rela rela;
	struct place to;

	pointers.count = 0;
	while ((scn = elf_nextscn(r->elf, scn)) != NULL) {
		Elf_Data *d = gelf_getshdr(scn, &sh) && sh.sh_type == SHT_RELA
				      ? elf_getdata(scn, NULL)
				      : NULL;

		for (int i = 0; d && gelf_getrela(d, i, &rela); i++) {
			if (!resolve(r, &sh, &rela, &to))
				continue;
			if (pointers.list)
				pointers.list[pointers.count] =
					(struct pointer){{sh.sh_info, rela.r_offset}, to};
			pointers.count++;
		}
	}
}

static bool read_pointers(const struct ko *r)
{
	pointers.list = NULL;
	list_pointers(r);
	pointers.list = calloc(pointers.count + 1, sizeof(*pointers.list));
	if (!pointers.list) {
		fail(EX_FAILED, "%s: no memory for its relocations", r->path);
		return false;
	}
	list_pointers(r);
	qsort(pointers.list, pointers.count, sizeof(*pointers.list), by_place);
	return true;
}

/*
 * The pointer at `at`: follow the relocation there. Without one it is NULL. (The only relocations
 * on pointers in data are absolute ones, so their type needs no look.)
 */
static struct place follow(struct place at)
{
	const struct pointer *p = bsearch(&at, pointers.list, pointers.count, sizeof(*p), by_place);

	return p ? p->to : (struct place){0};
}

static struct place at(struct place p, GElf_Xword offset)
{
	p.offset += offset;
	return p;
}

/* Copy bytes of a section's content; zeros where it has none (.bss). False when out of bounds. */
static bool bytes(const struct ko *r, struct place p, void *buf, size_t n)
{
	Elf_Data *d = section_data(r, p.section);

	if (!d || n > d->d_size || p.offset > d->d_size - n)
		return false;
	if (d->d_buf)
		memcpy(buf, (const char *)d->d_buf + p.offset, n);
	else
		memset(buf, 0, n);
	return true;
}

static const char *string(const struct ko *r, struct place p)
{
	Elf_Data *d = section_data(r, p.section);

	if (!p.section || !d || !d->d_buf || p.offset >= d->d_size ||
	    !memchr((const char *)d->d_buf + p.offset, 0, d->d_size - p.offset))
		return NULL;
	return (const char *)d->d_buf + p.offset;
}

static const char *symbol(const struct ko *r, struct place p)
{
	struct ko_symbol s;

	return p.section && ko_symbol_at(r, p.section, p.offset, &s) ? s.name : "";
}

static int read_modinfo(const struct ko *r, struct payload_info *info)
{
	Elf_Data *d = section_data(r, ko_find_section(r, ".modinfo"));
	const char *p = d ? d->d_buf : NULL, *end = p ? p + d->d_size : NULL;

	info->modinfo = p;
	info->modinfo_size = p ? d->d_size : 0;
	for (; p && p < end; p += strnlen(p, (size_t)(end - p)) + 1)
		if (end - p > 5 && !strncmp(p, "name=", 5) && memchr(p, 0, (size_t)(end - p)) &&
		    strlen(p + 5) < sizeof(info->name)) {
			strcpy(info->name, p + 5);
			return 0;
		}
	fail(EX_BAD_USAGE, "%s: no module name in .modinfo: not a kernel module?", r->path);
	return -1;
}

static int read_funcs(const struct ko *r, struct place f, struct payload_info *info)
{
	unsigned first = info->nr_funcs;

	for (;; f = at(f, SUTURE_KLP_FUNC_SIZE)) {
		struct place name = follow(at(f, SUTURE_KLP_FUNC_OLD_NAME));
		struct payload_func *pf = &info->funcs[info->nr_funcs];
		struct place to;
		su64 sympos;

		if (!name.section && !follow(at(f, SUTURE_KLP_FUNC_NEW_FUNC)).section)
			break;
		if (info->nr_funcs == SUTURE_MAX_FUNCS) {
			fail(EX_BAD_USAGE, "%s: more than %u functions", r->path, SUTURE_MAX_FUNCS);
			return -1;
		}
		pf->name = string(r, name);
		if (!pf->name || !*pf->name || strlen(pf->name) >= SUTURE_SYM_LEN ||
		    !bytes(r, at(f, SUTURE_KLP_FUNC_OLD_SYMPOS), &sympos, sizeof(sympos)) ||
		    sympos > 0xffffffff) {
			fail(EX_BAD_USAGE,
			     "%s: function %u of object %s has no usable old_name or old_sympos",
			     r->path, info->nr_funcs - first, info->objects[info->nr_objects]);
			return -1;
		}
		to = follow(at(f, SUTURE_KLP_FUNC_NEW_FUNC));
		pf->new_name = symbol(r, to);
		pf->new_section = (unsigned)to.section;
		pf->new_offset = (unsigned)to.offset;
		pf->old_offset = SUTURE_MANIFEST_UNKNOWN;
		pf->object = info->nr_objects;
		pf->sympos = sympos;
		info->nr_funcs++;
	}
	return 0;
}

static int read_objects(const struct ko *r, struct place o, struct payload_info *info)
{
	for (;; o = at(o, SUTURE_KLP_OBJECT_SIZE)) {
		struct place name = follow(at(o, SUTURE_KLP_OBJECT_NAME));
		struct place funcs = follow(at(o, SUTURE_KLP_OBJECT_FUNCS));

		if (!name.section && !funcs.section)
			return 0;
		if (info->nr_objects == SUTURE_MAX_OBJECTS) {
			fail(EX_BAD_USAGE, "%s: more than %u objects", r->path, SUTURE_MAX_OBJECTS);
			return -1;
		}
		const char *text = name.section ? string(r, name) : "vmlinux";

		if (!text || !names_copy(info->objects[info->nr_objects], SUTURE_NAME_LEN, text)) {
			fail(EX_BAD_USAGE, "%s: object %u has no usable name", r->path,
			     info->nr_objects);
			return -1;
		}
		if (funcs.section && read_funcs(r, funcs, info))
			return -1;
		info->nr_objects++;
	}
}

static int read_states(const struct ko *r, struct place s, struct payload_info *info)
{
	for (;; s = at(s, SUTURE_KLP_STATE_SIZE)) {
		struct suture_manifest_state *m = &info->states[info->nr_states];
		unsigned char flags[2];
		su64 id;

		if (!bytes(r, at(s, SUTURE_KLP_STATE_ID), &id, sizeof(id)) || !id)
			return 0;
		if (info->nr_states == SUTURE_MAX_STATES) {
			fail(EX_BAD_USAGE, "%s: more than %u states", r->path, SUTURE_MAX_STATES);
			return -1;
		}
		if (!bytes(r, at(s, SUTURE_KLP_STATE_VERSION), &m->version, sizeof(m->version)) ||
		    !bytes(r, at(s, SUTURE_KLP_STATE_IS_SHADOW), &flags[0], 1) ||
		    !bytes(r, at(s, SUTURE_KLP_STATE_BLOCK_DISABLE), &flags[1], 1)) {
			fail(EX_BAD_USAGE, "%s: state %u is cut off", r->path, info->nr_states);
			return -1;
		}
		m->id = id;
		m->flags = (flags[0] ? 1u : 0) | (flags[1] ? 2u : 0);
		info->nr_states++;
	}
}

/*
 * The patch that klp_enable_patch() was called with: the target of all relocations of the section
 * that the livepatch header writes.
 */
static int find_patch(const struct ko *r, struct place *patch)
{
	size_t section = ko_find_section(r, SUTURE_PATCH_SECTION);
	bool found = false, several = false;
	Elf_Scn *scn = NULL;
	struct place to;

	while (section && (scn = elf_nextscn(r->elf, scn)) != NULL) {
		GElf_Shdr sh;
		GElf_Rela rela;
		Elf_Data *d;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_RELA || sh.sh_info != section)
			continue;
		d = elf_getdata(scn, NULL);
		for (int i = 0; d && gelf_getrela(d, i, &rela); i++) {
			if (!resolve(r, &sh, &rela, &to))
				continue;
			several |= found &&
				   (to.section != patch->section || to.offset != patch->offset);
			*patch = to;
			found = true;
		}
	}
	if (!found) {
		fail(EX_BAD_USAGE,
		     "%s: no klp_enable_patch(&patch) of a static struct klp_patch, built with the "
		     "agent's linux/livepatch.h",
		     r->path);
		return -1;
	}
	if (several) {
		fail(EX_BAD_USAGE,
		     "%s: klp_enable_patch() for several patches: one bundle is one patch",
		     r->path);
		return -1;
	}
	return 0;
}

static int read_patch(const struct ko *r, struct payload_info *info)
{
	struct place patch, states;
	unsigned char replace;

	if (find_patch(r, &patch))
		return -1;
	if (!bytes(r, at(patch, SUTURE_KLP_PATCH_REPLACE), &replace, 1)) {
		fail(EX_BAD_USAGE, "%s: its struct klp_patch is cut off", r->path);
		return -1;
	}
	info->replace = replace;
	states = follow(at(patch, SUTURE_KLP_PATCH_STATES));
	if (read_objects(r, follow(at(patch, SUTURE_KLP_PATCH_OBJS)), info))
		return -1;
	return states.section ? read_states(r, states, info) : 0;
}

int payload_read(const struct ko *ko, struct payload_info *info)
{
	int r;

	memset(info, 0, sizeof(*info));
	if (read_modinfo(ko, info) || !read_pointers(ko))
		return -1;
	r = read_patch(ko, info);
	free(pointers.list);
	return r;
}
