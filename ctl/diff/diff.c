/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each changed object is compiled three times: as for the kernel, which the match compares with the
 * kernel's own code, and with a section for each function without and with the change, which
 * create-diff-object compares.
 */
#include "../diff.h"
#include "../ctl.h"
#include "../kbuild.h"
#include "../run.h"
#include "../unpack.h"
#include "callbacks.h"
#include "convert.h"
#include "dependents.h"
#include "differ.h"
#include "payload_source.h"
#include "source.h"
#include "structures.h"
#include "summary.h"
#include "symtab.h"
#include "tree.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTIONS "-g -ffunction-sections -fdata-sections"

struct build {
	const struct options *o;
	const struct kernel *k;
	const struct kbuild *kbuild;
	const char *work, *folder;
	struct callbacks callbacks;
	char differ[PATH_MAX];
	struct tree tree;
	struct source_files files;
	struct dependents objects;
	struct changes changes[DEPENDENTS_MAX];
	size_t nr_changes;
	char linked[DEPENDENTS_MAX][PATH_MAX]; /* converted objects, by number of changes */
};

struct object_file {
	void *data;
	struct ko ko;
	char path[PATH_MAX];
};

static int open_object(struct object_file *f, const struct build *b, const char *folder,
		       const char *object)
{
	size_t size;

	*f = (struct object_file){0};
	snprintf(f->path, sizeof(f->path), "%s/%s/%s", b->work, folder, object);
	f->data = read_file(f->path, UNPACK_MAX, &size);
	if (!f->data)
		return EX_FAILED;
	if (ko_open(&f->ko, object, f->data, size))
		return fail(EX_FAILED, "%s: the compiler made no object file", f->path);
	return EX_DONE;
}

static void close_object(struct object_file *f)
{
	ko_close(&f->ko);
	free(f->data);
}

/* ---- compiling ---- */

static int find_objects(struct build *b)
{
	char src[PATH_MAX], saved[PATH_MAX], log[PATH_MAX], includes[PATH_MAX];
	int r, restored;

	snprintf(src, sizeof(src), "%s/src", b->tree.dir);
	snprintf(saved, sizeof(saved), "%s/saved", b->tree.dir);
	snprintf(log, sizeof(log), "%s/log", b->work);
	snprintf(includes, sizeof(includes), "%s/includes", b->tree.dir);
	r = source_apply(b->o, &b->files, src, saved, log);
	if (!r)
		source_drop_additions(&b->files, src, saved);
	restored = source_restore(src, saved);
	if (!r)
		r = restored;
	return r ? r : dependents_find(&b->objects, includes, b->files.paths, b->files.count);
}

static int compile(const struct build *b, const char *folder, const char *flags)
{
	char to[PATH_MAX], log[PATH_MAX];
	const char *const *objects = (const char *const *)b->objects.objects;

	snprintf(to, sizeof(to), "%s/%s", b->work, folder);
	snprintf(log, sizeof(log), "%s/log", b->work);
	return flags ? tree_recompile(&b->tree, objects, flags, to, log)
		     : tree_compile(&b->tree, objects, to, log);
}

static int compile_all(const struct build *b)
{
	char src[PATH_MAX], saved[PATH_MAX], log[PATH_MAX];
	int r = compile(b, "original", SECTIONS), restored;

	if (r)
		return r;
	snprintf(src, sizeof(src), "%s/src", b->tree.dir);
	snprintf(saved, sizeof(saved), "%s/saved", b->tree.dir);
	snprintf(log, sizeof(log), "%s/log", b->work);
	r = source_apply(b->o, &b->files, src, saved, log);
	if (!r)
		r = compile(b, "patched", SECTIONS);
	restored = source_restore(src, saved);
	return r ? r : restored;
}

/* ---- one object ---- */

struct compared {
	struct object_file same;
	struct target target;
	struct match match;
};

static void close_compared(struct compared *c)
{
	match_free(&c->match);
	target_close(&c->target);
	close_object(&c->same);
}

/* The object that is compiled as for the kernel, beside the kernel's own. */
static int open_compared(struct compared *c, const struct build *b, const char *object)
{
	char module[64];
	int r;

	*c = (struct compared){0};
	if (!tree_module_of(&b->tree, object, module, sizeof(module)))
		return fail(EX_FAILED, "%s: kbuild does not say which module it is part of",
			    object);
	r = open_object(&c->same, b, "same", object);
	if (!r)
		r = target_open(&c->target, b->k, module);
	if (!r && match_read(&c->match, &c->target, &c->same.ko))
		r = fail(EX_FAILED, "no memory");
	return r;
}

/*
 * Code of another configuration does not compile, or is part of a module that has no file, or of
 * vmlinux, which does not know its functions.
 */
static int is_in_kernel(const struct build *b, const char *object, bool *is)
{
	struct compared c;
	char module[64], path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/same/%s", b->work, object);
	*is = !access(path, F_OK) && tree_module_of(&b->tree, object, module, sizeof(module)) &&
	      (!strcmp(module, "vmlinux") || modules_find(&b->k->modules, module));
	if (!*is)
		return EX_DONE;
	r = open_compared(&c, b, object);
	*is = c.match.known || !c.match.functions;
	if (!r && *is)
		printf("%s: %u of %u functions are those of %s\n", object, c.match.same,
		       c.match.functions, c.target.name);
	close_compared(&c);
	return r;
}

/* Compile all as for the kernel, and leave out what is not part of it. */
static int choose_objects(struct build *b)
{
	bool is;
	int r = compile(b, "same", NULL);

	for (size_t i = 0; i < b->objects.count && !r;) {
		r = is_in_kernel(b, b->objects.objects[i], &is);
		if (!r && !is && b->objects.named[i])
			printf("%s: not part of this kernel, or it does not compile; left out\n",
			       b->objects.objects[i]);
		if (!r && !is)
			dependents_drop(&b->objects, i);
		else
			i++;
	}
	if (!r && !b->objects.count && b->objects.many)
		r = dependents_refuse(b->files.paths, b->files.count);
	if (!r && !b->objects.count)
		r = fail(EX_BAD_USAGE, "the diff changes nothing that is part of Linux %s",
			 b->k->release);
	return r;
}

/* The objects are open. */
static int compare(struct build *b, const struct match *m, const struct object_file *original,
		   const struct object_file *patched, size_t object)
{
	char symbols[PATH_MAX], exports[PATH_MAX], output[PATH_MAX], log[PATH_MAX];
	struct differ d = {b->objects.objects[object],
			   original->path,
			   patched->path,
			   m->target->name,
			   symbols,
			   exports,
			   output,
			   log};
	size_t n = b->nr_changes;
	bool changed;
	int r;

	snprintf(symbols, sizeof(symbols), "%s/symbols-%zu", b->work, n);
	snprintf(exports, sizeof(exports), "%s/Module.symvers", b->kbuild->kernel);
	snprintf(output, sizeof(output), "%s/output-%zu.o", b->work, n);
	snprintf(log, sizeof(log), "%s/log", b->work);
	r = symtab_write(symbols, m->target, &original->ko, &patched->ko);
	if (!r)
		r = differ_run(b->differ, &d, &changed);
	if (r)
		return r;
	if (!changed && b->objects.named[object])
		printf("%s: its compiled code does not change\n", b->objects.objects[object]);
	if (!changed)
		return EX_DONE;
	snprintf(b->linked[n], sizeof(b->linked[n]), "%s/new-%zu.o", b->work, n);
	r = convert(output, b->linked[n], m, (unsigned)n, &b->changes[n]);
	b->nr_changes++;
	return r;
}

static int take_object(struct build *b, size_t i)
{
	const char *object = b->objects.objects[i];
	struct object_file original = {0}, patched = {0};
	struct compared c;
	int r = open_compared(&c, b, object);

	if (!r)
		r = open_object(&original, b, "original", object);
	if (!r)
		r = open_object(&patched, b, "patched", object);
	if (!r)
		r = compare(b, &c.match, &original, &patched, i);
	close_object(&patched);
	close_object(&original);
	close_compared(&c);
	return r;
}

/* ---- the payload's source ---- */

/* The module's name: the file's, as a name in C. */
static void find_name(const char *output, char name[56])
{
	const char *slash = strrchr(output, '/'), *from = slash ? slash + 1 : output;
	size_t n = strcspn(from, "."), at = 0;

	if (!n || isdigit((unsigned char)*from))
		at = (size_t)snprintf(name, 56, "patch_");
	for (size_t i = 0; i < n && at < 55; i++)
		name[at++] = isalnum((unsigned char)from[i]) ? from[i] : '_';
	name[at] = 0;
}

static int run_tool(const struct build *b, const char *const argv[])
{
	char log[PATH_MAX];

	snprintf(log, sizeof(log), "%s/log", b->work);
	if (!run(argv, log))
		return EX_DONE;
	return fail(EX_FAILED, "%s failed: see %s", argv[0], log);
}

static int link_objects(struct build *b, const char *to)
{
	char ld[96], objcopy[96], linked[PATH_MAX];
	const char *link[DEPENDENTS_MAX + 8] = {ld, "-r", "-o", linked};
	const char *strip[] = {objcopy,
			       "-g",
			       "--wildcard",
			       "--remove-section=.kpatch.*",
			       "--remove-section=.rela.kpatch.*",
			       linked,
			       to,
			       NULL};
	int r;

	snprintf(ld, sizeof(ld), "%sld", b->tree.cross);
	snprintf(objcopy, sizeof(objcopy), "%sobjcopy", b->tree.cross);
	snprintf(linked, sizeof(linked), "%s/linked.o", b->work);
	for (size_t i = 0; i < b->nr_changes; i++)
		link[i + 4] = b->linked[i];
	r = run_tool(b, link);
	return r ? r : run_tool(b, strip);
}

static int make_payload(struct build *b)
{
	char name[56], functions[PATH_MAX];
	int r;

	if (!b->nr_changes)
		return fail(EX_BAD_USAGE, "the diff changes no compiled code of this kernel");
	find_name(b->o->output, name);
	if (mkdir(b->folder, 0700))
		return fail(EX_FAILED, "%s: %s", b->folder, strerror(errno));
	snprintf(functions, sizeof(functions), "%s/new-functions.o_shipped", b->folder);
	r = link_objects(b, functions);
	if (!r)
		r = callbacks_check(&b->callbacks, functions);
	if (!r)
		r = payload_source_write(b->folder, name, b->changes, b->nr_changes, &b->callbacks);
	if (!r)
		summary_print(b->changes, b->nr_changes, &b->callbacks);
	return r;
}

/* What is found out before something is compiled. */
static int check_kernel(const struct kernel *k)
{
	if (!k->image.data)
		return fail(EX_BAD_USAGE,
			    "%s is not here: name the kernel's image with --vmlinuz FILE",
			    k->image_path);
	if (!k->has_syms)
		return fail(EX_BAD_USAGE, "%s: no table of symbols (kallsyms) was found in it",
			    k->image.path);
	if (k->image.machine != EM_X86_64)
		return fail(EX_BAD_USAGE,
			    "%s: builds from a diff are for x86-64; for others write the patch by "
			    "hand (suture build DIR)",
			    k->image.path);
	return EX_DONE;
}

int diff_make_source(const char *folder, const struct options *o, const struct kernel *k,
		     const struct kbuild *kbuild, const char *work)
{
	static struct build b;
	int r = check_kernel(k);

	b = (struct build){.o = o,
			   .k = k,
			   .kbuild = kbuild,
			   .work = work,
			   .folder = folder,
			   .tree = {.lock = -1}};
	if (!r && o->callbacks)
		r = callbacks_read(&b.callbacks, o->callbacks, k, kbuild, work);
	if (!r)
		r = differ_prepare(b.differ, sizeof(b.differ), k);
	if (!r)
		r = source_read(&b.files, o);
	if (!r)
		r = tree_open(&b.tree, o, k, &kbuild->headers, kbuild->kernel);
	if (!r)
		r = find_objects(&b);
	if (!r)
		r = choose_objects(&b);
	if (!r)
		r = compile_all(&b);
	tree_close(&b.tree);
	for (size_t i = 0; i < b.objects.count && !r; i++)
		r = structures_check(work, b.objects.objects[i], o->no_check);
	if (!r && b.objects.many)
		r = dependents_refuse(b.files.paths, b.files.count);
	for (size_t i = 0; i < b.objects.count && !r; i++)
		r = take_object(&b, i);
	if (!r)
		r = make_payload(&b);
	for (size_t i = 0; i < b.nr_changes; i++)
		changes_free(&b.changes[i]);
	dependents_free(&b.objects);
	callbacks_free(&b.callbacks);
	source_free(&b.files);
	return r;
}
