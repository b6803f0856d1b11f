/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * suture-desired: the patches that this guest wants, on its own disk, and their way to the monitor
 * at a boot. store.c keeps the bundles and the markers, boot.c offers them. docs/desired.md has the
 * design.
 */
#ifndef SUTURE_DESIRED_H
#define SUTURE_DESIRED_H

#include <stdbool.h>
#include <stddef.h>
#include "../uapi.h"

/* A message for people on stderr, with the program's name. Returns -1. */
int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- store.c: /etc/suture/patches.d ---- */

struct entry {
	unsigned number;	    /* the order in which they were enabled, and are applied */
	char name[SUTURE_NAME_LEN]; /* of the patch */
};

struct store {
	int folder;
	struct entry list[SUTURE_WANTED_MAX]; /* by number */
	size_t count;
};

/* What stands beside a bundle: a file that holds the ID of the boot in which it was made. */
enum marker {
	MARKER_TRYING, /* it is being applied, or was within the time of the lock-out */
	MARKER_LOCKED, /* a crash or a hang has followed it */
};

#define BOOT_ID_SIZE 40

/*
 * Open the folder, making it if `make` says so, and list its bundles. Leftovers of a power cut are
 * removed. -1, message printed.
 */
int store_open(struct store *s, const char *path, bool make);
void store_close(struct store *s);
/* NULL: it is not wanted. */
const struct entry *store_find(const struct store *s, const char *name);
/* Bytes of the entry's bundle, which the caller frees; NULL, message printed. */
void *store_read(const struct store *s, const struct entry *e, size_t *size);
/*
 * Write the bundle under that name, in the place of an older one if there is one: when it returns 0
 * the new one is on the disk, and at no moment there is neither. -1, message printed.
 */
int store_put(struct store *s, const char *name, const void *bytes, size_t size);
/* Take the bundle away, then its markers. -1, message printed. */
int store_remove(struct store *s, const struct entry *e);

/* The ID of the boot that made the marker; false: there is none. */
bool marker_read(const struct store *s, const char *name, enum marker m, char id[BOOT_ID_SIZE]);
/* When they return 0, the change is on the disk. -1, message printed. */
int marker_put(struct store *s, const char *name, enum marker m, const char *id);
int marker_remove(struct store *s, const char *name, enum marker m);
/* MARKER_TRYING becomes MARKER_LOCKED. */
int marker_lock(struct store *s, const char *name);

/* Read a whole file; malloced, with a zero byte behind it. NULL: errno says why. */
void *read_whole(int folder, const char *path, size_t max, size_t *size);

/* ---- boot.c ---- */

struct settings {
	bool enabled;
	unsigned lockout_s; /* a crash within this time locks a patch out */
	unsigned wait_s;    /* for each patch to be applied */
};

/* The configuration file, which may be missing. -1, message printed. */
int settings_read(struct settings *s, const char *path);

/*
 * Offer what is wanted, wait for each to be applied, and tell the monitor of those that are not
 * offered. A child process stays to end the lock-out. 0, also if some are not applied; -1, message
 * printed: there is no agent.
 */
int boot_offer(struct store *s, const struct settings *settings, const char *path);
/* The machine goes down in order: what was applied in this boot is not locked out. */
int boot_stop(struct store *s);
/* Tell the monitor, if there is one, that the patch is wanted no more. */
void boot_forget(const char *name);

#endif
