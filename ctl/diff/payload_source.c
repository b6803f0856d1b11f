/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload_source.h"
#include "../ctl.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static const char start[] = "#include <linux/kernel.h>\n"
			    "#include <linux/module.h>\n"
			    "#include <linux/livepatch.h>\n\n";

static const char end[] = "static int __init patch_init(void)\n"
			  "{\n"
			  "	return klp_enable_patch(&patch);\n"
			  "}\n\n"
			  "static void __exit patch_exit(void)\n"
			  "{\n"
			  "}\n\n"
			  "module_init(patch_init);\n"
			  "module_exit(patch_exit);\n"
			  "MODULE_LICENSE(\"GPL\");\n"
			  "MODULE_INFO(livepatch, \"Y\");\n";

/* Objects of one module have one list of functions. */
static bool is_first(const struct changes *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(c[k].object, c[i].object))
			return false;
	return true;
}

static void write_functions(FILE *f, const struct changes *c, size_t count, size_t first)
{
	for (size_t i = first; i < count; i++)
		for (size_t k = 0; !strcmp(c[i].object, c[first].object) && k < c[i].nr_functions;
		     k++)
			fprintf(f, "extern void %s(void);\n", c[i].functions[k].symbol);
	fprintf(f, "static struct klp_func functions_%zu[] = {\n", first);
	for (size_t i = first; i < count; i++)
		for (size_t k = 0; !strcmp(c[i].object, c[first].object) && k < c[i].nr_functions;
		     k++)
			fprintf(f,
				"	{ .old_name = \"%s\", .new_func = %s, .old_sympos = %u "
				"},\n",
				c[i].functions[k].name, c[i].functions[k].symbol,
				c[i].functions[k].position);
	fprintf(f, "	{ }\n};\n\n");
}

static void write_object(FILE *f, const char *object, const char *functions, size_t number,
			 const struct callbacks *callbacks)
{
	fprintf(f, "	{ ");
	if (strcmp(object, "vmlinux") != 0)
		fprintf(f, ".name = \"%s\", ", object);
	fprintf(f, ".funcs = %s%zu", functions, number);
	callbacks_write(callbacks, object, f);
	fprintf(f, " },\n");
}

static bool has_changes(const struct changes *c, size_t count, const char *object)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(c[i].object, object))
			return true;
	return false;
}

static void write_objects(FILE *f, const struct changes *c, size_t count,
			  const struct callbacks *callbacks)
{
	/* an entry of vmlinux without functions would end the list of objects */
	fprintf(f, "static struct klp_func no_functions_0[] __maybe_unused = { { } };\n\n"
		   "static struct klp_object objects[] = {\n");
	for (size_t i = 0; i < count; i++)
		if (is_first(c, i))
			write_object(f, c[i].object, "functions_", i, callbacks);
	for (size_t i = 0; i < callbacks->count; i++)
		if (callbacks_is_first(callbacks, i) &&
		    !has_changes(c, count, callbacks->list[i].object))
			write_object(f, callbacks->list[i].object, "no_functions_", 0, callbacks);
	fprintf(f,
		"	{ }\n};\n\n"
		"static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects%s };\n\n",
		callbacks->states ? ", .states = states" : "");
}

static int write_file(const char *folder, const char *file, FILE **f)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	*f = fopen(path, "w");
	return *f ? EX_DONE : fail(EX_FAILED, "%s: %s", path, strerror(errno));
}

/* The author's file, and behind it the declarations: a function of another type is an error. */
static int write_callbacks(const char *folder, const struct callbacks *callbacks)
{
	FILE *f;
	int r = write_file(folder, "own-callbacks.c", &f);

	if (r)
		return r;
	fprintf(f, "#include \"%s\"\n#include <linux/livepatch.h>\n", callbacks->file);
	callbacks_declare(callbacks, f);
	fclose(f);
	return EX_DONE;
}

/* Names of files have a hyphen, which the module's has not. */
int payload_source_write(const char *folder, const char *name, const struct changes *c,
			 size_t count, const struct callbacks *callbacks)
{
	FILE *f;
	int r = write_file(folder, "patch-source.c", &f);

	if (r)
		return r;
	fputs(start, f);
	callbacks_declare(callbacks, f);
	for (size_t i = 0; i < count; i++)
		if (is_first(c, i))
			write_functions(f, c, count, i);
	write_objects(f, c, count, callbacks);
	fputs(end, f);
	fclose(f);
	if (*callbacks->file)
		r = write_callbacks(folder, callbacks);
	if (r)
		return r;
	/* kbuild wants to know how an object was made */
	r = write_file(folder, ".new-functions.o.cmd", &f);
	if (r)
		return r;
	fclose(f);
	r = write_file(folder, "Kbuild", &f);
	if (r)
		return r;
	fprintf(f, "obj-m := %s.o\n%s-y := patch-source.o new-functions.o%s\n", name, name,
		*callbacks->file ? " own-callbacks.o" : "");
	return fclose(f) ? fail(EX_FAILED, "%s: %s", folder, strerror(errno)) : EX_DONE;
}
