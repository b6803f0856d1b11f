// SPDX-License-Identifier: GPL-2.0-only
/* The klp structures of a payload: see <suture/payload.h>. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <suture/payload.h>
#include "helper.h"

static struct place at(struct place p, uint64_t offset)
{
	p.offset += offset;
	return p;
}

static struct place pointer(const struct module *m, struct place p, uint64_t offset)
{
	return module_follow(m, at(p, offset));
}

/* Does the section have so many bytes at the place? */
static bool has_room(const struct module *m, struct place p, uint64_t size)
{
	uint64_t room = m->sections[p.section].header.sh_size;

	return size <= room && p.offset <= room - size;
}

static void add_range(struct patch *p, struct place from, uint64_t size)
{
	if (p->nr_ranges < MAX_RANGES)
		p->ranges[p->nr_ranges++] = (struct range){from, size};
}

unsigned int patch_object(const struct patch *p, const char *name)
{
	for (unsigned int i = 0; i < p->nr_objects; i++) {
		if (!strcmp(p->objects[i], name))
			return i;
	}
	return NO_OBJECT;
}

/* The number of the object, which is new or not. */
static int add_object(struct patch *p, const char *name, unsigned int *number, struct failure *f)
{
	char plain[SUTURE_NAME_LEN];

	if (!name || !*name || strlen(name) >= sizeof(plain))
		return fail(f, -ENOEXEC, "an object of the payload's patch has no usable name");
	strcpy(plain, name);
	for (char *dash = plain; (dash = strchr(dash, '-')) != NULL;)
		*dash = '_';
	*number = patch_object(p, plain);
	if (*number != NO_OBJECT)
		return 0;
	if (p->nr_objects == SUTURE_MAX_OBJECTS)
		return fail(f, -E2BIG, "the payload's patch has more than %u objects",
			    SUTURE_MAX_OBJECTS);
	strcpy(p->objects[p->nr_objects], plain);
	*number = p->nr_objects++;
	return 0;
}

static int add_root(struct patch *p, struct place to, unsigned int object, struct failure *f)
{
	struct root *roots;

	if (!to.section)
		return 0;
	roots = realloc(p->roots, (p->nr_roots + 1) * sizeof(*roots));
	if (!roots)
		return fail(f, -ENOMEM, "no memory for the payload's functions");
	p->roots = roots;
	p->roots[p->nr_roots++] = (struct root){to, object};
	return 0;
}

/* A function of vmlinux: the agent is asked for those together. */
static int add_function(struct patch *p, const char *name, struct failure *f)
{
	if (!name || !*name || strlen(name) >= SUTURE_SYM_LEN ||
	    p->nr_functions == SUTURE_MAX_FUNCS)
		return 0; /* klp_enable_patch() says so */
	if (!p->functions)
		p->functions = calloc(SUTURE_MAX_FUNCS, sizeof(*p->functions));
	if (!p->functions)
		return fail(f, -ENOMEM, "no memory for the payload's functions");
	strcpy(p->functions[p->nr_functions++], name);
	return 0;
}

static int read_funcs(struct patch *p, const struct module *m, struct place first,
		      unsigned int object, struct failure *f)
{
	struct place func = first;
	int err = 0;

	for (unsigned int n = 0; !err && has_room(m, func, SUTURE_KLP_FUNC_SIZE); n++) {
		struct place to = pointer(m, func, SUTURE_KLP_FUNC_NEW_FUNC);

		if (!to.section && !pointer(m, func, SUTURE_KLP_FUNC_OLD_NAME).section)
			break;
		if (n == SUTURE_MAX_FUNCS)
			return fail(f, -E2BIG, "the payload's patch has more than %u functions",
				    SUTURE_MAX_FUNCS);
		err = add_root(p, to, object, f);
		if (!err && !strcmp(p->objects[object], "vmlinux"))
			err = add_function(
				p, module_string(m, pointer(m, func, SUTURE_KLP_FUNC_OLD_NAME)), f);
		func = at(func, SUTURE_KLP_FUNC_SIZE);
	}
	add_range(p, first, func.offset - first.offset);
	return err;
}

static int read_object(struct patch *p, const struct module *m, struct place o, struct place name,
		       struct place funcs, struct failure *f)
{
	unsigned int object = NO_OBJECT;
	int err = add_object(p, name.section ? module_string(m, name) : "vmlinux", &object, f);

	for (unsigned int i = 0; i < 4 && !err; i++)
		err = add_root(p, pointer(m, o, SUTURE_KLP_OBJECT_CALLBACKS + 8 * i), object, f);
	if (!err && funcs.section)
		err = read_funcs(p, m, funcs, object, f);
	return err;
}

static int read_objects(struct patch *p, const struct module *m, struct place first,
			struct failure *f)
{
	struct place o = first;
	int err = 0;

	for (unsigned int n = 0; !err && has_room(m, o, SUTURE_KLP_OBJECT_SIZE); n++) {
		struct place name = pointer(m, o, SUTURE_KLP_OBJECT_NAME);
		struct place funcs = pointer(m, o, SUTURE_KLP_OBJECT_FUNCS);

		if (!name.section && !funcs.section)
			break;
		if (n == SUTURE_MAX_OBJECTS)
			return fail(f, -E2BIG, "the payload's patch has more than %u objects",
				    SUTURE_MAX_OBJECTS);
		err = read_object(p, m, o, name, funcs, f);
		o = at(o, SUTURE_KLP_OBJECT_SIZE);
	}
	add_range(p, first, o.offset - first.offset);
	return err;
}

static bool is_known(const struct patch *p, struct place at)
{
	return p->nr_ranges && p->ranges[0].from.section == at.section &&
	       p->ranges[0].from.offset == at.offset;
}

static int read_patch(struct patch *p, const struct module *m, struct place patch,
		      struct failure *f)
{
	struct place objs;

	if (!patch.section || is_known(p, patch))
		return 0;
	if (p->nr_ranges)
		return fail(f, -ENOEXEC,
			    "the payload calls klp_enable_patch() for several patches");
	add_range(p, patch, SUTURE_KLP_PATCH_REPLACE + 1);
	p->states = pointer(m, patch, SUTURE_KLP_PATCH_STATES);
	objs = pointer(m, patch, SUTURE_KLP_PATCH_OBJS);
	return objs.section ? read_objects(p, m, objs, f) : 0;
}

static int read_rela(struct patch *p, const struct section *s, struct failure *f)
{
	char object[SUTURE_NAME_LEN];
	unsigned int number;

	if (s->header.sh_type != SHT_RELA || !name_parse_rela(s->name, object))
		return 0;
	return add_object(p, object, &number, f);
}

int patch_open(struct patch *p, const struct module *m, struct failure *f)
{
	int err = 0;

	*p = (struct patch){.nr_objects = 0};
	for (size_t i = 0; i < m->nr_relocs && !err; i++) {
		if (!strcmp(m->sections[m->relocs[i].section].name, SUTURE_PATCH_SECTION))
			err = read_patch(p, m, module_target(m, &m->relocs[i]), f);
	}
	for (size_t i = 0; i < m->nr_sections && !err; i++)
		err = read_rela(p, &m->sections[i], f);
	return err;
}

void patch_close(struct patch *p)
{
	free(p->roots);
	free(p->functions);
	p->roots = NULL;
	p->functions = NULL;
}

bool patch_has(const struct patch *p, struct place at)
{
	for (unsigned int i = 0; i < p->nr_ranges; i++) {
		const struct range *r = &p->ranges[i];

		if (r->from.section == at.section && at.offset >= r->from.offset &&
		    at.offset - r->from.offset < r->size)
			return true;
	}
	return false;
}
