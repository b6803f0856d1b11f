/* SPDX-License-Identifier: GPL-2.0-only */
/* The helper that loads payloads: what its files offer each other. */
#ifndef SUTURE_HELPER_H
#define SUTURE_HELPER_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include "../uapi.h"

/* How a job failed, in words for the operator. */
struct failure {
	char text[SUTURE_TEXT_LEN];
};

/* Say why; returns err. */
int fail(struct failure *f, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- module.c ---- */

/* A kernel module's file in memory, with its symbol table checked. */
struct module {
	Elf64_Sym *symbols; /* within the file: what is written there is in the file */
	size_t count;
	const char *strings; /* ends with a zero */
	size_t strings_size;
};

/* Find the symbol table; every offset that it holds is good then. -ENOEXEC. */
int module_open(struct module *m, void *file, size_t size, struct failure *f);

/* The name of an undefined symbol, or NULL if the i-th is none. */
const char *module_undefined(const struct module *m, size_t i);

/* Give the i-th symbol an address. */
void module_define(struct module *m, size_t i, unsigned long long address);

/* ---- resolve.c ---- */

/*
 * Give every undefined symbol that the kernel does not export its address, so that the kernel's
 * loader has nothing left to look up but what is exported. -ENOENT, -EINVAL, -ENOMEM or
 * what the device says. `device` is /dev/suture.
 */
int resolve_module(struct module *m, int device, struct failure *f);

#endif
