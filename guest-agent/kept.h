/* SPDX-License-Identifier: GPL-2.0-only */
/* Between kept.c and symbols.c. Its owner alone uses a struct kept. */
#ifndef SUTURE_KEPT_H
#define SUTURE_KEPT_H

struct kept {
	char (*wanted)[SUTURE_SYM_LEN]; /* sorted: of these names, and of parts of them */
	unsigned int nr_wanted;
	struct kept_symbol {
		unsigned long address;
		unsigned int name; /* offset into the names */
	} * symbols;		   /* in the kernel's order */
	char *names;
	unsigned int count, room, names_size, names_room;
	bool bad; /* no memory */
};

/* Does that dot begin a suffix that the compiler gives to parts and clones? */
bool kept_is_suffix(const char *dot);
/* Has the name such a suffix? */
bool kept_is_piece(const char *name);

/* For these functions; NULL: there are none, or no memory. kept_free(), of agent.h, is its inverse.
 */
struct kept *kept_new(const char (*functions)[SUTURE_SYM_LEN], unsigned int count);
/* Is it one of those functions? */
bool kept_has(const struct kept *k, const char *name);
/* Or a part of one? */
bool kept_wants(const struct kept *k, const char *name);
/* Without memory `bad` is set, and nothing is added any more. */
void kept_add(struct kept *k, const char *name, unsigned long address);

#endif
