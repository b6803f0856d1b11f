/* SPDX-License-Identifier: BSD-2-Clause */
#include "dependents.h"
#include "../ctl.h"
#include "../run.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MAX ((size_t)16 << 20)
/* of headers that include each other */
#define FILES_MAX 256u

struct search {
	const char *tree, *log;
	char *files[FILES_MAX]; /* those before `done` were looked for */
	size_t count, done;
};

static bool is_c_file(const char *path)
{
	size_t n = strlen(path);

	return n > 2 && !strcmp(path + n - 2, ".c");
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int add_file(struct search *s, const char *path)
{
	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->files[i], path))
			return EX_DONE;
	if (s->count == FILES_MAX)
		return fail(
			EX_BAD_USAGE,
			"%s: too much of the kernel includes it; move the change into the C files "
			"that need it",
			s->files[0]);
	s->files[s->count] = strdup(path);
	return s->files[s->count++] ? EX_DONE : fail(EX_FAILED, "no memory");
}

/* The path that the line names is the end of the header's. */
static bool may_include(const char *line, const char *path)
{
	const char *at = strpbrk(line, "\"<"), *end = at ? strpbrk(at + 1, "\">") : NULL;
	size_t n = end ? (size_t)(end - at - 1) : 0, all = strlen(path);

	if (!n)
		return false;
	at++;
	while (n > 3 && !strncmp(at, "../", 3)) {
		at += 3;
		n -= 3;
	}
	return n <= all && !strncmp(path + all - n, at, n) &&
	       (n == all || path[all - n - 1] == '/');
}

static bool in_folder_of(const char *file, const char *path)
{
	size_t n = (size_t)(base_of(path) - path);

	return !strncmp(file, path, n);
}

/*
 * A line FILE:#include "NAME". A header outside of the include folders is for the files of its own
 * folder and those below, and for who names a folder.
 */
static int take_line(struct search *s, char *line, const char *path)
{
	char *colon = strchr(line, ':'), *file = line;

	if (!colon)
		return EX_DONE;
	*colon = 0;
	if (!strncmp(file, "./", 2))
		file += 2;
	if (!may_include(colon + 1, path))
		return EX_DONE;
	if (!strstr(path, "include/") && !in_folder_of(file, path) &&
	    !memchr(colon + 1, '/', strcspn(colon + 1, "\n")))
		return EX_DONE;
	return add_file(s, file);
}

static int find_includers(struct search *s, const char *path)
{
	char pattern[PATH_MAX], *text, *rest, *line;
	const char *grep[] = {"env",
			      "-C",
			      s->tree,
			      "grep",
			      "-rE",
			      "--include=*.[ch]",
			      "--exclude-dir=Documentation",
			      "--exclude-dir=tools",
			      "--exclude-dir=samples",
			      "--exclude-dir=scripts",
			      pattern,
			      ".",
			      NULL};
	size_t size;
	int r = EX_DONE;

	snprintf(pattern, sizeof(pattern), "^[ \t]*#[ \t]*include[ \t]*[\"<]([^\">]*/)?%s[\">]",
		 base_of(path));
	if (run(grep, s->log) > 1)
		return fail(EX_FAILED, "%s: cannot be searched", s->tree);
	text = rest = read_file(s->log, LOG_MAX, &size);
	while (text && !r && (line = strsep(&rest, "\n")) != NULL)
		r = take_line(s, line, path);
	free(text);
	return text ? r : EX_FAILED;
}

static int add_object(struct dependents *d, const struct search *s, const char *path, bool named)
{
	char *object;

	if (d->count == DEPENDENTS_MAX)
		return fail(EX_BAD_USAGE,
			    "%s: more than %u C files include it; move the change into the C files "
			    "that need it",
			    s->files[0], DEPENDENTS_MAX);
	object = strdup(path);
	if (!object)
		return fail(EX_FAILED, "no memory");
	object[strlen(object) - 1] = 'o';
	d->named[d->count] = named;
	d->objects[d->count++] = object;
	return EX_DONE;
}

int dependents_find(struct dependents *d, const char *tree, char *const *paths, size_t count,
		    const char *log)
{
	static struct search s;
	int r = EX_DONE;

	s = (struct search){.tree = tree, .log = log};
	*d = (struct dependents){0};
	for (size_t i = 0; i < count && !r; i++)
		r = add_file(&s, paths[i]);
	for (; s.done < s.count && !r; s.done++)
		r = find_includers(&s, s.files[s.done]);
	for (size_t i = 0; i < s.count && !r; i++)
		if (is_c_file(s.files[i]))
			r = add_object(d, &s, s.files[i], i < count);
	for (size_t i = 0; i < s.count; i++)
		free(s.files[i]);
	return r;
}

void dependents_drop(struct dependents *d, size_t i)
{
	free(d->objects[i]);
	for (d->count--; i < d->count; i++) {
		d->objects[i] = d->objects[i + 1];
		d->named[i] = d->named[i + 1];
	}
	d->objects[d->count] = NULL;
}

void dependents_free(struct dependents *d)
{
	while (d->count)
		dependents_drop(d, d->count - 1);
}
