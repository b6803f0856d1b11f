/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function is a callback by its name, PHASE_OBJECT: pre_patch_vmlinux, post_unpatch_sch_hhf. The
 * file is compiled once alone, for its names, and once more in the payload, behind which the
 * declarations stand that the names mean.
 */
#include "callbacks.h"
#include "../ctl.h"
#include "../kbuild.h"
#include "../kernel.h"
#include "../unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct phase {
	const char *name, *result;
} phases[] = {
	{"pre_patch", "int"},
	{"post_patch", "void"},
	{"pre_unpatch", "void"},
	{"post_unpatch", "void"},
};

#define NR_PHASES (sizeof(phases) / sizeof(phases[0]))

struct object_symbols {
	void *data;
	struct ko ko;
};

static int open_symbols(struct object_symbols *o, const char *path)
{
	size_t size;

	*o = (struct object_symbols){.data = read_file(path, UNPACK_MAX, &size)};
	if (!o->data)
		return EX_FAILED;
	if (ko_open(&o->ko, path, o->data, size))
		return fail(EX_FAILED, "%s: the compiler made no object file", path);
	return EX_DONE;
}

static void close_symbols(struct object_symbols *o)
{
	ko_close(&o->ko);
	free(o->data);
}

static bool is_global(const struct ko_symbol *s)
{
	return ko_is_defined(s) && GELF_ST_BIND(s->sym.st_info) != STB_LOCAL;
}

/* ---- what is in the file ---- */

static int write_wrapper(const char *folder, const char *file)
{
	char path[PATH_MAX], text[PATH_MAX + 32];

	if (mkdir(folder, 0700))
		return fail(EX_FAILED, "%s: %s", folder, strerror(errno));
	snprintf(path, sizeof(path), "%s/Kbuild", folder);
	snprintf(text, sizeof(text), "obj-m := callbacks.o\n");
	if (save_file(path, text, strlen(text), false))
		return EX_FAILED;
	snprintf(path, sizeof(path), "%s/callbacks.c", folder);
	snprintf(text, sizeof(text), "#include \"%s\"\n", file);
	return save_file(path, text, strlen(text), false);
}

static int add_callback(struct callbacks *c, const char *function, const struct phase *phase)
{
	struct callback *list = realloc(c->list, (c->count + 1) * sizeof(*list));
	struct callback *new;

	if (!list)
		return fail(EX_FAILED, "no memory");
	c->list = list;
	new = &list[c->count];
	new->function = strdup(function);
	if (!new->function)
		return fail(EX_FAILED, "no memory");
	new->phase = phase->name;
	new->object = new->function + strlen(phase->name) + 1;
	c->count++;
	return EX_DONE;
}

/* A function whose name begins with a phase is meant as a callback. */
static int take_function(struct callbacks *c, const char *name, const struct kernel *k)
{
	for (size_t i = 0; i < NR_PHASES; i++) {
		size_t n = strlen(phases[i].name);

		if (strncmp(name, phases[i].name, n) != 0 || name[n] != '_')
			continue;
		if (strcmp(name + n + 1, "vmlinux") != 0 &&
		    !modules_find(&k->modules, name + n + 1))
			return fail(EX_BAD_USAGE,
				    "%s: %s(): there is no module '%s'; the functions' names are "
				    "%s_vmlinux, %s_MODULE",
				    c->file, name, name + n + 1, phases[i].name, phases[i].name);
		return add_callback(c, name, &phases[i]);
	}
	return EX_DONE;
}

static int take_symbols(struct callbacks *c, const struct ko *ko, const struct kernel *k)
{
	struct ko_symbol s;
	int r = EX_DONE;

	for (size_t i = 1; i < ko->count && !r; i++) {
		if (!ko_symbol(ko, i, &s) || !is_global(&s))
			continue;
		if (!strcmp(s.name, "init_module") || !strcmp(s.name, "cleanup_module"))
			r = fail(EX_BAD_USAGE,
				 "%s: has module_init() or module_exit(), and the patch has its "
				 "own: "
				 "leave them out, with klp_patch and its tables",
				 c->file);
		else if (ko_is_func(&s))
			r = take_function(c, s.name, k);
		else if (!strcmp(s.name, "states"))
			c->states = true;
	}
	if (!r && !c->count && !c->states)
		r = fail(EX_BAD_USAGE,
			 "%s: has neither a callback, as int pre_patch_vmlinux(struct klp_object "
			 "*), "
			 "nor struct klp_state states[]; what is static is not seen",
			 c->file);
	return r;
}

int callbacks_read(struct callbacks *c, const char *file, const struct kernel *k,
		   const struct kbuild *kbuild, const char *work)
{
	char folder[PATH_MAX - 16], log[PATH_MAX];
	struct object_symbols o = {0};
	int r;

	*c = (struct callbacks){0};
	if (!realpath(file, c->file))
		return fail(EX_BAD_USAGE, "%s: %s", file, strerror(errno));
	snprintf(folder, sizeof(folder), "%s/callbacks", work);
	snprintf(c->object, sizeof(c->object), "%s/callbacks.o", folder);
	snprintf(log, sizeof(log), "%s/log", work);
	r = write_wrapper(folder, c->file);
	if (!r)
		r = kbuild_make(kbuild, folder, "callbacks.o", log, file);
	if (!r)
		r = open_symbols(&o, c->object);
	if (!r)
		r = take_symbols(c, &o.ko, k);
	close_symbols(&o);
	return r;
}

void callbacks_free(struct callbacks *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->list[i].function);
	free(c->list);
	*c = (struct callbacks){0};
}

/* ---- beside the diff's functions ---- */

static int check_names(const struct callbacks *c, const struct ko *own, const struct ko *functions)
{
	struct ko_symbol s, other;

	for (size_t i = 1; i < own->count; i++) {
		if (!ko_symbol(own, i, &s) || !is_global(&s))
			continue;
		for (size_t k = ko_next_named(functions, s.name, 0, &other); k;
		     k = ko_next_named(functions, s.name, k, &other))
			if (is_global(&other))
				return fail(
					EX_BAD_USAGE,
					"%s: defines %s, which the diff's code defines as well: "
					"make it static, or give it another name",
					c->file, s.name);
	}
	return EX_DONE;
}

int callbacks_check(const struct callbacks *c, const char *functions)
{
	struct object_symbols own = {0}, new = {0};
	int r = *c->file ? open_symbols(&own, c->object) : EX_DONE;

	if (!*c->file)
		return EX_DONE;
	if (!r)
		r = open_symbols(&new, functions);
	if (!r)
		r = check_names(c, &own.ko, &new.ko);
	close_symbols(&new);
	close_symbols(&own);
	return r;
}

/* ---- in the payload's source ---- */

bool callbacks_is_first(const struct callbacks *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(c->list[k].object, c->list[i].object))
			return false;
	return true;
}

static const char *result_of(const struct callback *one)
{
	for (size_t i = 0; i < NR_PHASES; i++)
		if (!strcmp(phases[i].name, one->phase))
			return phases[i].result;
	return "void";
}

void callbacks_declare(const struct callbacks *c, FILE *f)
{
	for (size_t i = 0; i < c->count; i++)
		fprintf(f, "%s %s(struct klp_object *obj);\n", result_of(&c->list[i]),
			c->list[i].function);
	if (c->states)
		fputs("extern struct klp_state states[];\n", f);
}

void callbacks_write(const struct callbacks *c, const char *object, FILE *f)
{
	bool any = false;

	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->list[i].object, object) != 0)
			continue;
		fprintf(f, "%s.%s = %s", any ? ", " : ", .callbacks = { ", c->list[i].phase,
			c->list[i].function);
		any = true;
	}
	if (any)
		fputs(" }", f);
}
