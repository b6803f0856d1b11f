/* SPDX-License-Identifier: BSD-2-Clause */
#include "dependents.h"
#include "../ctl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define INCLUDES_MAX ((size_t)256 << 20)
/* of headers that include each other */
#define FILES_MAX 256u

struct search {
	char *includes;		/* lines FILE:#include "NAME" */
	char *files[FILES_MAX]; /* those before `done` were looked for */
	size_t count, done;
	bool many; /* there are more */
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
	if (s->count == FILES_MAX) {
		s->many = true;
		return EX_DONE;
	}
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
	const char *base = base_of(path), *at = s->includes, *end;
	size_t n = strlen(base);
	char line[PATH_MAX];
	int r = EX_DONE;

	while (!r && (at = strstr(at, base)) != NULL) {
		const char *start = at;

		at += n;
		if (!strchr("/\"<", start[-1]) || !strchr("\">", *at))
			continue;
		while (start > s->includes && start[-1] != '\n')
			start--;
		end = strchrnul(at, '\n');
		if (snprintf(line, sizeof(line), "%.*s", (int)(end - start), start) <
		    (int)sizeof(line))
			r = take_line(s, line, path);
	}
	return r;
}

static int add_object(struct dependents *d, const char *path, bool named)
{
	char *object = strdup(path);

	if (!object)
		return fail(EX_FAILED, "no memory");
	object[strlen(object) - 1] = 'o';
	d->named[d->count] = named;
	d->objects[d->count++] = object;
	return EX_DONE;
}

/* The first `count` files are those that change. */
static int add_objects(struct dependents *d, const struct search *s, size_t count)
{
	size_t all = 0;
	int r = EX_DONE;

	for (size_t i = 0; i < s->count; i++)
		all += is_c_file(s->files[i]);
	d->many = s->many || all > DEPENDENTS_MAX;
	for (size_t i = 0; i < (d->many ? count : s->count) && !r; i++) {
		if (d->count == DEPENDENTS_MAX)
			return fail(EX_BAD_USAGE, "the diff changes more than %u C files",
				    DEPENDENTS_MAX);
		if (is_c_file(s->files[i]))
			r = add_object(d, s->files[i], i < count);
	}
	return r;
}

int dependents_find(struct dependents *d, const char *includes, char *const *paths, size_t count)
{
	static struct search s;
	size_t size;
	int r = EX_DONE;

	*d = (struct dependents){0};
	s = (struct search){.includes = read_file(includes, INCLUDES_MAX, &size)};
	if (!s.includes)
		return EX_FAILED;
	for (size_t i = 0; i < count && !r; i++)
		r = add_file(&s, paths[i]);
	for (; s.done < s.count && !s.many && !r; s.done++)
		r = find_includers(&s, s.files[s.done]);
	if (!r)
		r = add_objects(d, &s, count);
	for (size_t i = 0; i < s.count; i++)
		free(s.files[i]);
	free(s.includes);
	return r;
}

int dependents_refuse(char *const *paths, size_t count)
{
	size_t i = 0;

	while (i + 1 < count && is_c_file(paths[i]))
		i++;
	return fail(EX_BAD_USAGE,
		    "%s: more than %u C files include it; move the change into the C files that "
		    "need it",
		    paths[i], DEPENDENTS_MAX);
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
