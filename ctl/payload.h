/* SPDX-License-Identifier: BSD-2-Clause */
/* What a payload (.ko) says of its patch, read with libelf; the format is in <suture/payload.h>. */
#ifndef CTL_PAYLOAD_H
#define CTL_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <suture/bundle.h>

struct payload_func {
	const char *name;
	unsigned object;
	unsigned long sympos;
};

struct payload_info {
	char name[SUTURE_NAME_LEN]; /* the module's, from .modinfo */
	const char *modinfo;	    /* its .modinfo section */
	size_t modinfo_size;
	bool replace;
	unsigned nr_objects, nr_funcs, nr_states;
	const char *objects[SUTURE_MAX_OBJECTS];
	struct payload_func funcs[SUTURE_MAX_FUNCS];
	struct suture_manifest_state states[SUTURE_MAX_STATES];
};

/*
 * Read the patch from the module in data, which must outlive *info. Returns 0, or -1 with a message
 * printed that begins with `path`.
 */
int payload_read(const char *path, void *data, size_t size, struct payload_info *info);

/*
 * GNU build-id of the kernel in a vmlinux or (compressed) bzImage. Returns its length, or -1 with a
 * message printed.
 */
int kernel_build_id(const char *path, unsigned char id[32]);

#endif
