/* SPDX-License-Identifier: BSD-2-Clause */
#include "tree.h"
#include "../buildlog.h"
#include "../cache.h"
#include "../ctl.h"
#include "../run.h"
#include "source.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREPARE		  "../../ctl/diff/prepare.sh"
#define INSTALLED_PREPARE "../share/suture/diff/prepare.sh"
#define CMD_MAX		  ((size_t)4 << 20)
#define OBJECTS_MAX	  64u

static int make_folder(const char *path)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return fail(EX_FAILED, "%s: %s", path, strerror(errno));
	return EX_DONE;
}

/* Different sources of one release have different trees. */
static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261u;

	while (*text)
		h = (h ^ (unsigned char)*text++) * 16777619u;
	return h;
}

static int prepare(const struct tree *t, const char *source, const struct kernel *k,
		   const struct headers *h, const char *headers)
{
	char script[PATH_MAX], log[PATH_MAX];
	const char *argv[] = {script, source,  headers,		 k->release,
			      t->dir, h->arch, h->cross_compile, NULL};

	if (!run_find_own(script, sizeof(script), PREPARE, INSTALLED_PREPARE))
		return fail(EX_BAD_USAGE, "%s is not here: install the package of suture", script);
	printf("preparing the source of Linux %s, once for this kernel\n", k->release);
	fflush(stdout);
	snprintf(log, sizeof(log), "%s/log", t->dir);
	if (!run(argv, log))
		return EX_DONE;
	buildlog_show(log);
	return fail(EX_FAILED, "%s: the kernel's source cannot be prepared: see above", source);
}

/* It is locked. */
static int find_prepared(const struct tree *t, const char *cache, const char *source,
			 const struct kernel *k, const struct headers *h, const char *headers)
{
	char path[PATH_MAX], saved[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/includes", t->dir);
	if (!cache_is_complete(t->dir) || access(path, F_OK)) {
		r = prepare(t, source, k, h, headers);
		return r ? r : cache_complete(cache, t->dir);
	}
	cache_use(t->dir);
	snprintf(path, sizeof(path), "%s/src", t->dir);
	snprintf(saved, sizeof(saved), "%s/saved", t->dir);
	return source_restore(path, saved);
}

int tree_open(struct tree *t, const struct options *o, const struct kernel *k,
	      const struct headers *h, const char *headers)
{
	char source[PATH_MAX], config[PATH_MAX], cache[PATH_MAX / 2];
	int r = cache_find(cache, sizeof(cache));

	t->lock = -1;
	snprintf(t->cross, sizeof(t->cross), "%s", h->cross_compile);
	if (r)
		return r;
	if (!o->source || !realpath(o->source, source))
		return fail(EX_BAD_USAGE,
			    "%s: the source that the kernel was built from is needed: a folder, or "
			    "Debian's linux-source-*.deb",
			    o->source ? o->source : "--source");
	if (!realpath(headers, config))
		return fail(EX_BAD_USAGE, "%s: %s", headers, strerror(errno));
	snprintf(t->dir, sizeof(t->dir), "%s/%s-%08x", cache, k->release, hash(source));
	r = make_folder(t->dir);
	if (r)
		return r;
	t->lock = cache_lock(t->dir);
	return t->lock < 0 ? EX_FAILED : find_prepared(t, cache, source, k, h, config);
}

void tree_close(struct tree *t)
{
	if (t->lock >= 0)
		close(t->lock);
	t->lock = -1;
}

/* ---- objects ---- */

int tree_compile(const struct tree *t, const char *const *objects, const char *to, const char *log)
{
	char make[PATH_MAX], jobs[32], out[PATH_MAX], path[2 * PATH_MAX];
	const char *argv[OBJECTS_MAX + 4] = {make, jobs, "-k"};
	const char *cp[OBJECTS_MAX + 9] = {"env", "-C", out, "cp", "--parents", "-t", to, "--"};
	unsigned n = 8;

	snprintf(make, sizeof(make), "%s/make", t->dir);
	snprintf(jobs, sizeof(jobs), "-j%ld", sysconf(_SC_NPROCESSORS_ONLN));
	snprintf(out, sizeof(out), "%s/out", t->dir);
	for (unsigned i = 0; objects[i] && i < OBJECTS_MAX; i++)
		argv[i + 3] = objects[i];
	run(argv, log);
	for (unsigned i = 0; objects[i] && i < OBJECTS_MAX; i++) {
		snprintf(path, sizeof(path), "%s/%s", out, objects[i]);
		if (!access(path, F_OK))
			cp[n++] = objects[i];
	}
	if (make_folder(to) || (n > 8 && run(cp, "/dev/null")))
		return fail(EX_FAILED, "%s: the objects cannot be copied from %s", to, out);
	return EX_DONE;
}

/* How kbuild made the object: its command, malloced. NULL: that is not known. */
static char *command_of(const struct tree *t, const char *object)
{
	char path[PATH_MAX], *text, *command;
	const char *slash = strrchr(object, '/');
	int folder = slash ? (int)(slash - object) : 0;
	size_t length;

	snprintf(path, sizeof(path), "%s/out/%.*s/.%s.cmd", t->dir, folder, object,
		 slash ? slash + 1 : object);
	text = access(path, R_OK) ? NULL : read_file(path, CMD_MAX, &length);
	if (!text)
		return NULL;
	text[strcspn(text, "\n")] = 0;
	command = strstr(text, " := ");
	command = command ? strdup(command + 4) : NULL;
	free(text);
	return command;
}

/* The command, in which `object` becomes to/object, and the flags come before the output. */
static void write_command(FILE *f, const char *command, const char *object, const char *flags,
			  const char *to)
{
	size_t n = strlen(object);
	const char *at;

	while ((at = strstr(command, object)) != NULL) {
		bool whole = at > command && at[-1] == ' ' && (!at[n] || at[n] == ' ');
		bool output = whole && at - command >= 7 && !strncmp(at - 7, " -c -o ", 7);

		fwrite(command, 1, (size_t)(at - command) - (output ? 6 : 0), f);
		if (output)
			fprintf(f, "%s -c -o ", flags);
		fprintf(f, "%s%s%s", whole ? to : "", whole ? "/" : "", object);
		command = at + n;
	}
	fprintf(f, "%s\n", command);
}

static int write_script(const struct tree *t, const char *script, const char *object,
			const char *flags, const char *to)
{
	char *command = command_of(t, object);
	const char *slash = strrchr(object, '/');
	FILE *f = command ? fopen(script, "w") : NULL;

	if (f) {
		fprintf(f, "set -e\ncd '%s/out'\nmkdir -p '%s/%.*s'\n", t->dir, to,
			slash ? (int)(slash - object) : 0, object);
		write_command(f, command, object, flags, to);
		fprintf(f,
			"cd '%s'\nmv %s %s.debug\n%sobjcopy -g --keep-file-symbols %s.debug %s\n",
			to, object, object, t->cross, object, object);
	}
	free(command);
	if (!f || fclose(f))
		return fail(EX_FAILED, "%s: kbuild does not say how it was compiled", object);
	return EX_DONE;
}

int tree_recompile(const struct tree *t, const char *const *objects, const char *flags,
		   const char *to, const char *log)
{
	char script[PATH_MAX], list[PATH_MAX], jobs[32];
	const char *argv[] = {"xargs", "-a", list, "-P", jobs, "-n", "1", "sh", NULL};
	FILE *f;
	int r = make_folder(to);

	snprintf(jobs, sizeof(jobs), "%ld", sysconf(_SC_NPROCESSORS_ONLN));
	snprintf(list, sizeof(list), "%s/list", to);
	f = r ? NULL : fopen(list, "w");
	if (!f)
		return fail(EX_FAILED, "%s: %s", list, strerror(errno));
	for (unsigned i = 0; objects[i] && !r; i++) {
		snprintf(script, sizeof(script), "%s/%u.sh", to, i);
		fprintf(f, "%s\n", script);
		r = write_script(t, script, objects[i], flags, to);
	}
	fclose(f);
	if (!r && run(argv, log)) {
		buildlog_show(log);
		r = fail(EX_BAD_USAGE, "the changed code does not compile: see above");
	}
	return r;
}

bool tree_module_of(const struct tree *t, const char *object, char *name, size_t size)
{
	static const char key[] = "KBUILD_MODNAME=";
	char *command = command_of(t, object), *at, *end;
	bool found = false;

	if (!command)
		return false;
	at = strstr(command, key);
	at = at ? strchr(at, '"') : NULL;
	end = at ? strpbrk(at + 1, "\"\\") : NULL;
	if (!strstr(command, "-DMODULE "))
		found = snprintf(name, size, "vmlinux") < (int)size;
	else if (end)
		found = snprintf(name, size, "%.*s", (int)(end - at - 1), at + 1) < (int)size;
	free(command);
	return found;
}
