/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image of the kernel that a bundle is for: a vmlinux, a bzImage that holds one, or an arm64
 * Image, also one that is compressed.
 */
#ifndef CTL_IMAGE_H
#define CTL_IMAGE_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image {
	const char *path; /* the caller's */
	void *data;	  /* the vmlinux or the arm64 Image; NULL: there is none */
	size_t size;
	Elf *elf; /* NULL: an arm64 Image, without sections. It is linked to address 0 then */
	unsigned machine; /* e_machine */
};

/* A part of the image, in image.data; size 0: there is none. */
struct extent {
	const unsigned char *data;
	size_t size;
	uint64_t address; /* where it is linked to */
};

/* Returns 0, or -1 with a message printed. image_close() also after a failure. */
int image_open(struct image *i, const char *path);
void image_close(struct image *i);

/* Its GNU build-id. Returns the length, or -1 with a message printed. */
int image_build_id(const struct image *i, unsigned char id[32]);

/*
 * The section of that name. Of an arm64 Image: .BTF is found by its content, .BTF_ids is what
 * follows (and more), the sections for code and constants are the whole Image, there are no others.
 */
struct extent image_section(const struct image *i, const char *name);

/* The bytes that are linked to `address`, at most `max` of them. */
struct extent image_bytes(const struct image *i, uint64_t address, size_t max);

/* Where an arm64 Image is entered by its first branch, in `primary_entry`; 0: another kind. */
uint64_t image_entry(const struct image *i);

#endif
