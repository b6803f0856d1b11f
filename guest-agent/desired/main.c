// SPDX-License-Identifier: GPL-2.0-only
/*
 * suture-desired enable [--force] FILE | disable NAME | list | boot | stop
 *
 * `suture enable` and `suture disable` call the first two; suture-patches.service calls the last.
 */
#include "desired.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suture/bundle.h>

#define FOLDER	"/etc/suture/patches.d"
#define CONFIG	"/etc/suture/patches.conf"
#define BAD_USE 2

int complain(const char *fmt, ...)
{
	va_list ap;

	fputs("suture-desired: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

/* The name of the bundle's patch. The monitor verifies the rest when it is offered. */
static int read_name(const void *bytes, size_t size, char name[SUTURE_NAME_LEN])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	const struct suture_bundle *b = bytes;
	struct suture_manifest m;

	if (size < sizeof(*b) || b->magic != SUTURE_BUNDLE_MAGIC ||
	    b->version != SUTURE_BUNDLE_VERSION || b->total_size != size ||
	    b->manifest_offset > size || size - b->manifest_offset < sizeof(m))
		return -1;
	memcpy(&m, (const char *)bytes + b->manifest_offset, sizeof(m));
	if (!memchr(m.name, 0, sizeof(m.name)) || !*m.name || m.name[strspn(m.name, letters)] != 0)
		return -1;
	memcpy(name, m.name, sizeof(m.name));
	return 0;
}

/* A bundle that is locked out stays so, unless it is another one, or `force`. */
static int keep_locked_out(const struct store *s, const char *name, const void *bytes, size_t size)
{
	const struct entry *e = store_find(s, name);
	char id[BOOT_ID_SIZE];
	size_t old_size;
	void *old;
	bool same;

	if (!e || !marker_read(s, name, MARKER_LOCKED, id))
		return 0;
	old = store_read(s, e, &old_size);
	same = old && old_size == size && !memcmp(old, bytes, size);
	free(old);
	return same ? complain("%s is locked out: the machine crashed, hung or lost power soon "
			       "after it was applied; --force permits it again",
			       name)
		    : 0;
}

static int enable(struct store *s, const char *path, bool force)
{
	char name[SUTURE_NAME_LEN];
	size_t size;
	void *bytes = read_whole(AT_FDCWD, path, SUTURE_BUNDLE_MAX, &size);
	int err;

	if (!bytes)
		return complain("%s: %s", path, strerror(errno));
	err = read_name(bytes, size, name);
	if (err)
		complain("%s is not a bundle: `suture build` makes them", path);
	if (!err && !force)
		err = keep_locked_out(s, name, bytes, size);
	if (!err)
		err = store_put(s, name, bytes, size);
	if (!err)
		err = marker_remove(s, name, MARKER_LOCKED);
	if (!err)
		printf("%s will be applied at each boot\n", name);
	free(bytes);
	return err;
}

static int disable(struct store *s, const char *name)
{
	const struct entry *e = store_find(s, name);

	if (!e)
		return complain("%s is not enabled; `suture-desired list` shows what is", name);
	if (store_remove(s, e))
		return -1;
	boot_forget(name);
	printf("%s will not be applied at the next boot; `suture revert %s` takes it off now\n",
	       name, name);
	return 0;
}

static int list(const struct store *s)
{
	char id[BOOT_ID_SIZE];

	for (size_t i = 0; i < s->count; i++)
		printf("%s%s\n", s->list[i].name,
		       marker_read(s, s->list[i].name, MARKER_LOCKED, id) ? " locked out" : "");
	return 0;
}

static int offer_all(struct store *s)
{
	struct settings settings;

	if (settings_read(&settings, CONFIG))
		settings.enabled = false;
	return boot_offer(s, &settings, CONFIG);
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	bool force = argc == 4 && !strcmp(argv[2], "--force");
	struct store s;
	int err;

	if (store_open(&s, FOLDER, !strcmp(command, "enable")))
		return 1;
	if (!strcmp(command, "enable") && (argc == 3 || force))
		err = enable(&s, argv[argc - 1], force);
	else if (!strcmp(command, "disable") && argc == 3)
		err = disable(&s, argv[2]);
	else if (!strcmp(command, "list") && argc == 2)
		err = list(&s);
	else if (!strcmp(command, "boot") && argc == 2)
		err = offer_all(&s);
	else if (!strcmp(command, "stop") && argc == 2)
		err = boot_stop(&s);
	else
		err = BAD_USE;
	if (err == BAD_USE)
		complain("usage: enable [--force] FILE | disable NAME | list | boot | stop");
	store_close(&s);
	return err == BAD_USE ? BAD_USE : err != 0;
}
