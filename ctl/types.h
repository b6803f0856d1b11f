/* SPDX-License-Identifier: BSD-2-Clause */
/* Where prototypes are read from: BTF (kernel images, modules) and DWARF (payloads, debug files).
 */
#ifndef CTL_TYPES_H
#define CTL_TYPES_H

#include "prototype.h"

/* ---- BTF ---- */

struct btf;

/*
 * The content of a .BTF section. base: for a module's, the kernel's. NULL when it is not
 * understood. Ends with btf__free() of libbpf, a module's before its base.
 */
struct btf *types_open(const void *data, size_t size, struct btf *base);

/*
 * The prototypes that BTF has for functions of that name: several static functions may share one.
 * Returns how many there are; `matches` whether one of them equals *own, *found is the first.
 */
unsigned types_compare(const struct btf *btf, const char *name, const struct prototype *own,
		       bool *matches, struct prototype *found);

/* ---- DWARF ---- */

struct debug;

/* The debug information of a file. NULL when there is none. Prints nothing. */
struct debug *debug_open(const char *path);
void debug_close(struct debug *d);

/* The prototype of the function, whose strings live as long as *d. False: it is not there. */
bool debug_prototype(struct debug *d, const char *name, struct prototype *p);

/*
 * Call `fn` for each function into which one of the names was inlined, `name` being its index. This
 * reads all of the file: seconds for a vmlinux. Returns 0, or -1 without memory.
 */
typedef void (*inlined_fn)(void *data, unsigned name, const char *caller);
int debug_inlined(struct debug *d, const char *const *names, unsigned count, inlined_fn fn,
		  void *data);

#endif
