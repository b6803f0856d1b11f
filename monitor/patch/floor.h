/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Floors: of a patch of this name, versions from this one on are taken. The operator gives them in
 * suture.conf; they only rise, also over reboots (boot/floors.c). Pure logic.
 */
#ifndef PATCH_FLOOR_H
#define PATCH_FLOOR_H

#include "lib/types.h"
#include <suture/bundle.h>

#define FLOORS_MAX 32u

struct floor {
	char name[SUTURE_NAME_LEN];
	char version[64];
};

struct floors {
	u32 count;
	struct floor list[FLOORS_MAX]; /* each name once */
};

/* `NAME VERSION`, of which the version has no blanks, into *f. False: it is something else. */
bool floor_parse(struct floor *f, const char *text);

/* 1: the floor of f->name is f->version now; 0: it is as high already; -ENOSPC: the table is full.
 */
int floors_raise(struct floors *all, const struct floor *f);

/* Take what a variable has: `size` bytes of struct floor. -EINVAL, *all empty: it has other things.
 */
int floors_load(struct floors *all, const void *data, size_t size);

/* The floor of that name; NULL: it has none. */
const char *floors_version(const struct floors *all, const char *name);

#endif
