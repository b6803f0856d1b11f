/* SPDX-License-Identifier: BSD-2-Clause */
/* A payload's text: its file, its references, and the guest's memory. Private to patch/text/. */
#ifndef PATCH_TEXT_IMAGE_H
#define PATCH_TEXT_IMAGE_H

#include "arch/text.h"
#include "patch/text/elf.h"
#include "patch/text/query.h"

/* A relocation in a section of code, or in a table of sites. */
struct text_ref {
	u32 section; /* that it changes */
	u32 symbol, type;
	u64 offset;
	s64 addend;
};

/* What references have said so far of a symbol's value, or of a section's address. */
struct text_known {
	u64 value, bits;
};

struct text_image {
	const struct text_query *q;
	char *why;
	size_t why_size;
	struct elf_file elf;
	u64 size; /* of the sections of code, from q->start on */
	u64 span; /* of all of the declared text */

	u64 *at; /* of each section: its guest virtual address; 0: it has no code that stays */
	struct text_ref *refs; /* by section and offset */
	u32 nr_refs;
	struct text_known
		*known; /* of each section, then of each symbol, then of each kind of site */
	u8 *now;	/* the guest's memory; what was judged is replaced by the file's */
	u8 *judged;	/* of each byte: 0, or what sites.c knows of the site that it belongs to */
	void *memory;
	size_t pages;
};

#define TEXT_KINDS 16u /* the largest kind of a site, and one */

/* Make `why` one line, and return the error. */
int text_refuse(struct text_image *im, int err, const char *fmt, ...) __printf_like(3, 4);

/*
 * What to say of a kprobe, if a byte of the declared text from offset `at` on, or one of the same
 * instruction before it, differs as if by one; else "". own: the file's bytes at `at`, of which
 * `in_front` are before it.
 */
const char *text_probe_words(const struct text_image *im, u64 at, u64 len, const u8 *own,
			     u64 in_front);

/* Lay out the sections, and read the references. im->q, why and why_size are set. -ENOEXEC, -ENOMEM
 * with `why`; text_close() also after a failure. */
int text_open(struct text_image *im);
void text_close(struct text_image *im);

/* The first reference in the section at the offset, or behind it; its number, nr_refs for none. */
u32 text_find_ref(const struct text_image *im, u32 section, u64 offset);

/* The file's bytes of a section that has some. */
static inline const u8 *text_own(const struct text_image *im, const struct elf_section *s)
{
	return im->elf.data + s->offset;
}

/* Where a reference leads: section and offset; false: to no section of the file. */
bool text_target(const struct text_image *im, const struct text_ref *r, u32 *section, u64 *offset);

/* Forget what references have told; the bundle tells where vmlinux has some of its symbols. */
void text_know_symbols(struct text_image *im);

/*
 * Does what the field says agree with the reference, as far as other references have told its
 * symbol? With `learn`, it may be the one that tells it.
 */
bool text_agrees(struct text_image *im, const struct text_ref *r, const struct text_field *f,
		 bool learn);

/* The field of a reference, as the bytes `now` at guest virtual address `at` have it: through a
 * veneer, if one is there. */
int text_field(const struct text_image *im, const struct text_ref *r, u64 at, const u8 *now,
	       size_t left, struct text_field *f);

/* All tables of sites: judge each of them. 0 or -EBADMSG, -ENOEXEC with `why`. */
int text_mark_sites(struct text_image *im);
int text_judge_sites(struct text_image *im);

#endif
