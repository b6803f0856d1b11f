/* SPDX-License-Identifier: BSD-2-Clause */
/* The fields of an object file's code and data that relocations fill in. */
#ifndef CTL_DIFF_FIELDS_H
#define CTL_DIFF_FIELDS_H

#include "../ko.h"

#include <stdint.h>

struct field {
	uint64_t offset;
	uint32_t type;
	size_t symbol;
	int64_t addend;
};

struct section_fields {
	struct field *list; /* by offset */
	size_t count;
};

/* Those of each section of a file, by the section's index. */
struct fields {
	struct section_fields *sections;
	size_t count;
};

/* Returns 0, or -1 without memory. fields_free() also after a failure. */
int fields_read(struct fields *f, const struct ko *ko);
void fields_free(struct fields *f);

/* The first field at or behind the offset; NULL: there is none. */
const struct field *fields_from(const struct fields *f, size_t section, uint64_t offset);

/* The field behind it; NULL: it is the last of its section. */
const struct field *fields_next(const struct fields *f, size_t section, const struct field *field);

/* Bytes of the field; 0: a relocation that fills in nothing. */
unsigned fields_size(unsigned machine, uint32_t type);

/*
 * The address that a field says, which is symbol and addend. `bytes`: the field, `place`: where it
 * is. False: it is of a kind that says none.
 */
bool fields_address(unsigned machine, uint32_t type, const unsigned char *bytes, uint64_t place,
		    uint64_t *address);

#endif
