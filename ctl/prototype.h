/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prototypes of functions, as far as a caller and the function must agree: how many parameters, of
 * which kind and size, and which structs. Read from the kernel's BTF and from the payload's DWARF.
 */
#ifndef CTL_PROTOTYPE_H
#define CTL_PROTOTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum type_kind {
	TYPE_UNKNOWN, /* equals every other */
	TYPE_VOID,
	TYPE_INT, /* enums and bool, too */
	TYPE_FLOAT,
	TYPE_STRUCT,
	TYPE_UNION,
	TYPE_ARRAY,
	TYPE_FUNC,
};

struct type {
	enum type_kind kind; /* behind all pointers */
	unsigned stars;	     /* number of pointers before it */
	uint64_t size;	     /* of the type behind them, in bytes; 0 if not known */
	const char *name;    /* of a struct or union; "" if not known */
	char text[96];	     /* as C has it, for people */
	const char *alias;   /* while it is read: the outermost typedef, and */
	unsigned alias_stars;
};

#define PROTOTYPE_PARAMS 16u

struct prototype {
	struct type result, params[PROTOTYPE_PARAMS];
	unsigned count;
	bool variadic;
};

/*
 * Readers describe a type from its outside to its inside: any number of type_add_pointer() and
 * type_add_alias(), then one type_end(). Names must outlive the type.
 */
void type_add_pointer(struct type *t);
void type_add_alias(struct type *t, const char *name);
void type_end(struct type *t, enum type_kind kind, const char *name, uint64_t size);

/* May the one be called where the other is expected? */
bool prototype_matches(const struct prototype *a, const struct prototype *b);

/*
 * The difference of two types with the same text: "; struct file has 232 bytes in the kernel, 8 in
 * the patch" into buf, "" where the texts differ.
 */
const char *prototype_sizes(const struct prototype *kernel, const struct prototype *patch,
			    char *buf, size_t size);

/* "name(struct file *, int) -> int" into buf. */
const char *prototype_text(const char *name, const struct prototype *p, char *buf, size_t size);

#endif
