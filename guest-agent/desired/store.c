// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of the folder: NUMBER-NAME.sut is a bundle, NAME.trying and NAME.locked are markers. A file
 * is written under a name that begins with a dot, brought to the disk, and renamed: a power cut
 * leaves the old one or the new one.
 */
#include "desired.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <suture/bundle.h>

#define FILE_NAME_SIZE 96
#define NEW_FILE       ".new"
#define NUMBER_MAX     9999u

static void bundle_file(char file[FILE_NAME_SIZE], unsigned number, const char *name)
{
	snprintf(file, FILE_NAME_SIZE, "%04u-%s.sut", number, name);
}

static void marker_file(char file[FILE_NAME_SIZE], const char *name, enum marker m)
{
	snprintf(file, FILE_NAME_SIZE, "%s.%s", name, m == MARKER_LOCKED ? "locked" : "trying");
}

void *read_whole(int folder, const char *path, size_t max, size_t *size)
{
	int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
	size_t have = 0, room = 4096;
	char *bytes = NULL, *more;
	ssize_t n = 1;

	while (fd >= 0 && n > 0) {
		more = realloc(bytes, room + 1);
		if (!more)
			break;
		bytes = more;
		n = read(fd, bytes + have, room - have);
		have += n > 0 ? (size_t)n : 0;
		if (have > max)
			errno = EFBIG;
		if (have > max)
			n = -1;
		room += have == room ? room : 0;
	}
	if (fd >= 0)
		close(fd);
	if (fd < 0 || n) {
		free(bytes);
		return NULL;
	}
	bytes[have] = 0;
	*size = have;
	return bytes;
}

static int write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno != EINTR)
			return -1;
		bytes += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return fsync(fd);
}

static int sync_folder(struct store *s)
{
	return fsync(s->folder)
		       ? complain("cannot write the folder to the disk: %s", strerror(errno))
		       : 0;
}

static int write_file(struct store *s, const char *file, const void *bytes, size_t size)
{
	int fd = openat(s->folder, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err = fd < 0 || write_all(fd, bytes, size);

	if (fd >= 0)
		err |= close(fd);
	if (!err)
		err = renameat(s->folder, NEW_FILE, s->folder, file);
	if (!err)
		return sync_folder(s);
	complain("cannot write %s: %s", file, strerror(errno));
	unlinkat(s->folder, NEW_FILE, 0);
	return -1;
}

static int remove_file(struct store *s, const char *file)
{
	if (unlinkat(s->folder, file, 0) && errno != ENOENT)
		return complain("cannot remove %s: %s", file, strerror(errno));
	return sync_folder(s);
}

/* ---- the list ---- */

static bool parse_file(const char *file, struct entry *e)
{
	char again[FILE_NAME_SIZE];

	if (sscanf(file, "%4u-%55[a-z0-9_]", &e->number, e->name) != 2)
		return false;
	bundle_file(again, e->number, e->name);
	return !strcmp(file, again);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->number != y->number ? (x->number > y->number ? 1 : -1) : strcmp(x->name, y->name);
}

static int list_files(struct store *s)
{
	int fd = dup(s->folder);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	struct entry e;
	int err = 0;

	if (!dir)
		return complain("cannot list the folder: %s", strerror(errno));
	s->count = 0;
	while (!err && (d = readdir(dir))) {
		if (!parse_file(d->d_name, &e))
			continue;
		if (s->count == SUTURE_WANTED_MAX)
			err = complain("more than %u bundles: disable some", SUTURE_WANTED_MAX);
		else
			s->list[s->count++] = e;
	}
	closedir(dir);
	qsort(s->list, s->count, sizeof(e), compare_entries);
	return err;
}

static int make_folders(const char *path)
{
	char parent[256];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = 0;
		mkdir(parent, 0755);
	}
	return mkdir(path, 0700) && errno != EEXIST ? -1 : 0;
}

int store_open(struct store *s, const char *path, bool make)
{
	*s = (struct store){.folder = -1};
	if (!make || !make_folders(path))
		s->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder < 0 && errno == ENOENT && !make)
		return 0;
	if (s->folder < 0)
		return complain("%s: %s", path, strerror(errno));
	unlinkat(s->folder, NEW_FILE, 0);
	return list_files(s);
}

void store_close(struct store *s)
{
	if (s->folder >= 0)
		close(s->folder);
	s->folder = -1;
}

const struct entry *store_find(const struct store *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->list[i].name, name))
			return &s->list[i];
	return NULL;
}

/* ---- bundles ---- */

void *store_read(const struct store *s, const struct entry *e, size_t *size)
{
	char file[FILE_NAME_SIZE];
	void *bytes;

	bundle_file(file, e->number, e->name);
	bytes = read_whole(s->folder, file, SUTURE_BUNDLE_MAX, size);
	if (!bytes)
		complain("cannot read %s: %s", file, strerror(errno));
	return bytes;
}

int store_put(struct store *s, const char *name, const void *bytes, size_t size)
{
	const struct entry *old = store_find(s, name);
	unsigned last = s->count ? s->list[s->count - 1].number : 0;
	char file[FILE_NAME_SIZE];

	if (!old && (s->count == SUTURE_WANTED_MAX || last == NUMBER_MAX))
		return complain("too many bundles are enabled: disable some");
	bundle_file(file, old ? old->number : last + 1, name);
	return write_file(s, file, bytes, size) ? -1 : list_files(s);
}

int store_remove(struct store *s, const struct entry *e)
{
	const struct entry gone = *e;
	char file[FILE_NAME_SIZE];

	bundle_file(file, gone.number, gone.name);
	if (remove_file(s, file) || marker_remove(s, gone.name, MARKER_TRYING) ||
	    marker_remove(s, gone.name, MARKER_LOCKED))
		return -1;
	return list_files(s);
}

/* ---- markers ---- */

bool marker_read(const struct store *s, const char *name, enum marker m, char id[BOOT_ID_SIZE])
{
	char file[FILE_NAME_SIZE], *text;
	size_t size;

	marker_file(file, name, m);
	text = read_whole(s->folder, file, BOOT_ID_SIZE - 1, &size);
	if (!text) {
		id[0] = 0;
		/* what cannot be read is there all the same */
		return errno != ENOENT;
	}
	memcpy(id, text, size + 1);
	free(text);
	return true;
}

int marker_put(struct store *s, const char *name, enum marker m, const char *id)
{
	char file[FILE_NAME_SIZE];

	marker_file(file, name, m);
	return write_file(s, file, id, strlen(id));
}

int marker_remove(struct store *s, const char *name, enum marker m)
{
	char file[FILE_NAME_SIZE];

	marker_file(file, name, m);
	return remove_file(s, file);
}

int marker_lock(struct store *s, const char *name)
{
	char from[FILE_NAME_SIZE], to[FILE_NAME_SIZE];

	marker_file(from, name, MARKER_TRYING);
	marker_file(to, name, MARKER_LOCKED);
	if (renameat(s->folder, from, s->folder, to))
		return complain("cannot rename %s: %s", from, strerror(errno));
	return sync_folder(s);
}
