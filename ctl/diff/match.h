/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run-pre match: is an object that was compiled from unchanged source what the kernel has? Each
 * function is compared with the kernel's, without the fields that relocations fill in; what these
 * refer to tells where the object's data is.
 */
#ifndef CTL_DIFF_MATCH_H
#define CTL_DIFF_MATCH_H

#include "target.h"

enum match_state {
	MATCH_SAME,	 /* it is what the kernel has */
	MATCH_DIFFERS,	 /* the kernel has a function of the name with other code */
	MATCH_ELSEWHERE, /* other code has the name: it was weak, or is in another file as well */
	MATCH_ABSENT,	 /* the kernel has no function of the name */
	MATCH_REFERS,	 /* the code is the same, and refers to something else */
};

struct base {
	bool known, several;
	struct place place; /* of the section's first byte */
};

struct match {
	const struct target *target;
	const struct ko *obj;
	struct fields fields;
	struct base *bases;	  /* by section of the object */
	struct base *symbols;	  /* by symbol: what code refers to by a global name */
	unsigned char *states;	  /* by symbol; of functions: enum match_state */
	const char **others;	  /* of MATCH_REFERS: the symbol */
	unsigned functions, same; /* how many there are, and how many are the same */
	unsigned known;		  /* how many names of them the target has */
};

/* Compare. Returns 0, or -1 without memory. match_free() also after a failure. */
int match_read(struct match *m, const struct target *t, const struct ko *obj);
void match_free(struct match *m);

/*
 * Where the target has the object's symbol of that name. False: it cannot be told. A function has a
 * place only if it is the same.
 */
bool match_place(const struct match *m, const char *name, struct place *place);

/* Of a function of the object; MATCH_ABSENT if it has none of the name. */
enum match_state match_state(const struct match *m, const char *name);

#endif
