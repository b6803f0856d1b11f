/* SPDX-License-Identifier: BSD-2-Clause */
#include "source.h"
#include "../buildlog.h"
#include "../ctl.h"
#include "../run.h"
#include "additions.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIFF_MAX ((size_t)16 << 20)

/* ---- which files ---- */

/* What does not become code of the kernel. */
static bool is_beside(const char *path)
{
	static const char *const folders[] = {"Documentation/", "tools/",    "samples/",
					      "scripts/",	"LICENSES/", "usr/"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (!strncmp(path, folders[i], strlen(folders[i])))
			return true;
	return !strcmp(path, "MAINTAINERS") || !strcmp(path, "CREDITS");
}

static bool ends_with(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);

	return n > m && !strcmp(path + n - m, end);
}

static int add_path(struct source_files *f, const char *diff, const char *path)
{
	char **list;

	if (strstr(path, "..") || *path == '/')
		return fail(EX_BAD_USAGE, "%s: changes %s, which is no path in a kernel's source",
			    diff, path);
	if (is_beside(path))
		return EX_DONE;
	if (strstr(path, "/vdso/"))
		return fail(EX_BAD_USAGE,
			    "%s: changes %s: the vDSO is mapped into every process and cannot be "
			    "replaced",
			    diff, path);
	if (!ends_with(path, ".c") && !ends_with(path, ".h"))
		return fail(EX_BAD_USAGE,
			    "%s: changes %s: only C files and headers can be changed; leave it out "
			    "of the diff if the fix does not need it",
			    diff, path);
	for (size_t i = 0; i < f->count; i++)
		if (!strcmp(f->paths[i], path))
			return EX_DONE;
	list = realloc(f->paths, (f->count + 1) * sizeof(*list));
	if (!list)
		return fail(EX_FAILED, "no memory");
	f->paths = list;
	list[f->count] = strdup(path);
	f->all = f->count + 1;
	return list[f->count++] ? EX_DONE : fail(EX_FAILED, "no memory");
}

/* The path in a line `--- a/PATH` or `+++ b/PATH`, which it cuts off; NULL: it is no such line. */
static char *path_of(char *line)
{
	char *slash;

	if (strncmp(line, "--- ", 4) != 0 && strncmp(line, "+++ ", 4) != 0)
		return NULL;
	line += 4;
	line[strcspn(line, "\t\r")] = 0;
	slash = strchr(line, '/');
	return strcmp(line, "/dev/null") != 0 && slash ? slash + 1 : NULL;
}

static int read_diff(struct source_files *f, const char *diff)
{
	size_t size, before = f->count;
	char *text = read_file(diff, DIFF_MAX, &size), *rest = text, *line, *path;
	bool any = false;
	int r = text ? EX_DONE : EX_BAD_USAGE;

	while (!r && (line = strsep(&rest, "\n")) != NULL) {
		path = path_of(line);
		any = any || path;
		r = path ? add_path(f, diff, path) : EX_DONE;
	}
	free(text);
	if (!r && !any)
		return fail(EX_BAD_USAGE, "%s: no unified diff (lines --- a/FILE, +++ b/FILE)",
			    diff);
	if (!r && f->count == before && !f->count)
		return fail(EX_BAD_USAGE, "%s: changes no code of the kernel", diff);
	return r;
}

int source_read(struct source_files *f, const struct options *o)
{
	int r = EX_DONE;

	*f = (struct source_files){0};
	for (unsigned i = 0; i < o->nr_diffs && !r; i++)
		r = read_diff(f, o->diffs[i]);
	return r;
}

void source_free(struct source_files *f)
{
	for (size_t i = 0; i < f->all; i++)
		free(f->paths[i]);
	free(f->paths);
	*f = (struct source_files){0};
}

/* ---- changing them ---- */

/* With their times: make need not compile the unchanged file again. */
static int save(const struct source_files *f, const char *tree, const char *saved)
{
	char path[PATH_MAX];
	const char *cp[] = {"env", "-C", tree, "cp", "-p", "--parents", "--", NULL, saved, NULL};

	if (mkdir(saved, 0700))
		return fail(EX_FAILED, "%s: %s", saved, strerror(errno));
	for (size_t i = 0; i < f->all; i++) {
		cp[7] = f->paths[i];
		snprintf(path, sizeof(path), "%s/%s", tree, f->paths[i]);
		if (!access(path, F_OK) && run(cp, "/dev/null"))
			return fail(EX_FAILED, "%s: cannot be copied to %s", path, saved);
	}
	return EX_DONE;
}

int source_apply(const struct options *o, const struct source_files *f, const char *tree,
		 const char *saved, const char *log)
{
	char diff[PATH_MAX];
	const char *patch[] = {"patch", "-p1", "--batch", "--forward", "--no-backup-if-mismatch",
			       "-r",	"-",   "-d",	  tree,	       "-i",
			       diff,	NULL};
	int r = save(f, tree, saved);

	for (unsigned i = 0; i < o->nr_diffs && !r; i++) {
		if (!realpath(o->diffs[i], diff))
			return fail(EX_BAD_USAGE, "%s: %s", o->diffs[i], strerror(errno));
		if (!run(patch, log))
			continue;
		buildlog_show(log);
		r = fail(EX_BAD_USAGE,
			 "%s: does not apply to the kernel's source: see above; take the fix as it "
			 "was made for this version of Linux",
			 o->diffs[i]);
	}
	return r;
}

int source_restore(const char *tree, const char *saved)
{
	char from[PATH_MAX];
	const char *cp[] = {"cp", "-rp", "--", from, tree, NULL};
	const char *rm[] = {"rm", "-rf", "--", saved, NULL};

	if (access(saved, F_OK))
		return EX_DONE;
	snprintf(from, sizeof(from), "%s/.", saved);
	if (run(cp, "/dev/null") || run(rm, "/dev/null"))
		return fail(EX_FAILED, "%s: cannot be put back from %s: remove the folder above",
			    tree, saved);
	return EX_DONE;
}

static char *read_source(const char *folder, const char *path)
{
	char name[PATH_MAX];
	size_t size;

	snprintf(name, sizeof(name), "%s/%s", folder, path);
	return access(name, R_OK) ? NULL : read_file(name, DIFF_MAX, &size);
}

static bool only_adds(const char *path, const char *tree, const char *saved)
{
	char *before = read_source(saved, path), *after = read_source(tree, path);
	bool only = ends_with(path, ".h") && before && after && additions_only(before, after);

	free(before);
	free(after);
	return only;
}

void source_drop_additions(struct source_files *f, const char *tree, const char *saved)
{
	for (size_t i = 0; i < f->count;) {
		char *path = f->paths[i];

		if (!only_adds(path, tree, saved)) {
			i++;
			continue;
		}
		f->paths[i] = f->paths[--f->count];
		f->paths[f->count] = path;
	}
}
