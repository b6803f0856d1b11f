/* SPDX-License-Identifier: BSD-2-Clause */
/* An object of the kernel that a patch is for, as its files have it: vmlinux, or a module. */
#ifndef CTL_DIFF_TARGET_H
#define CTL_DIFF_TARGET_H

#include "../kernel.h"
#include "fields.h"

/* In vmlinux an address, in section 0; in a module an offset in a section. */
struct place {
	size_t section;
	uint64_t at;
};

struct target {
	char name[64]; /* "vmlinux", or the module's with '_' */
	const struct kernel *kernel;
	bool is_module;
	struct module_file file; /* of the module */
	struct fields fields;	 /* likewise */
	unsigned machine;
};

struct target_symbol {
	struct place place;
	unsigned position; /* among those of its name, from 1, as klp_func.old_sympos counts */
	bool is_global;
	const struct ksym *ksym; /* where target_next() is, in vmlinux */
	size_t index;		 /* and in a module */
};

/* A field's value. */
struct reference {
	struct place place;
	const char *name; /* not NULL: only this name is known, it is a symbol of another object */
};

/* An exit code, with a message printed. target_close() also after a failure. */
int target_open(struct target *t, const struct kernel *k, const char *name);
void target_close(struct target *t);

/* The symbols of that name, one after the other, for *s = {0}. False: no more. */
bool target_next(const struct target *t, const char *name, struct target_symbol *s);

/* The position of the symbol with that name and place, 0: there is none. And how many have it. */
unsigned target_position(const struct target *t, const char *name, struct place place,
			 unsigned *count);

/* The bytes at a place, NULL if there are fewer than `size`. */
const unsigned char *target_bytes(const struct target *t, struct place place, uint64_t size);

/*
 * What the field at `place` refers to, less the addend, where the object that was linked into the
 * target has the relocation `field` there. False: it is not known.
 */
bool target_reference(const struct target *t, struct place place, const struct field *field,
		      struct reference *r);

/* True if the target has a relocation of `size` bytes at the place; always true in vmlinux. */
bool target_has_field(const struct target *t, struct place place, unsigned size);

#endif
