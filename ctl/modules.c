/* SPDX-License-Identifier: BSD-2-Clause */
#include "modules.h"
#include "ctl.h"
#include "names.h"
#include "unpack.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>

/* The length of a module's name without ".ko", ".ko.xz" and the like; 0: it is none. */
static size_t stem(const char *file)
{
	static const char *const ends[] = {".ko", ".ko.xz", ".ko.zst", ".ko.gz"};
	size_t n = strlen(file);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t e = strlen(ends[i]);

		if (n > e && !strcmp(file + n - e, ends[i]))
			return n - e;
	}
	return 0;
}

static bool add_path(struct modules *m, const char *path)
{
	char **more = m->paths;

	if (m->count == m->room) {
		m->room = m->room ? m->room * 2 : 256;
		more = realloc(m->paths, m->room * sizeof(*more));
	}
	if (!more)
		return false;
	m->paths = more;
	more[m->count] = strdup(path);
	return more[m->count] && ++m->count;
}

int modules_add(struct modules *m, const char *folder)
{
	char root[4096], *const roots[] = {root, NULL};
	bool good = true;
	FTSENT *e;
	FTS *fts;

	/* the folder itself may be a link; `build` and `source` in it are links that lead away */
	if (!realpath(folder, root))
		return fail(EX_BAD_USAGE, "--modules %s: %s", folder, strerror(errno)), -1;
	fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	while (fts && good && (e = fts_read(fts)) != NULL)
		if (e->fts_info != FTS_D && e->fts_info != FTS_DP && stem(e->fts_name))
			good = add_path(m, e->fts_path);
	if (fts)
		fts_close(fts);
	return good ? 0 : (fail(EX_FAILED, "no memory for the list of modules"), -1);
}

void modules_free(struct modules *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->paths[i]);
	free(m->paths);
	*m = (struct modules){0};
}

static bool is_module(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
	size_t n = stem(file);

	return n == strlen(name) && names_equal(file, name, n);
}

const char *modules_find(const struct modules *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (is_module(m->paths[i], name))
			return m->paths[i];
	return NULL;
}

int module_open(struct module_file *f, const char *path)
{
	size_t size, unpacked_size;
	void *unpacked;

	*f = (struct module_file){0};
	f->data = read_file(path, UNPACK_MAX, &size);
	if (!f->data)
		return -1;
	if (size < 4 || memcmp(f->data, "\177ELF", 4) != 0) {
		unpacked = unpack(f->data, size, 0, &unpacked_size);
		free(f->data);
		f->data = unpacked;
		size = unpacked_size;
	}
	f->size = f->data ? size : 0;
	return f->data ? ko_open(&f->ko, path, f->data, size) : -1;
}

void module_close(struct module_file *f)
{
	ko_close(&f->ko);
	free(f->data);
	*f = (struct module_file){0};
}
