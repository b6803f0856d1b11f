/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's helper on the host: payloads that gcc compiles from small sources, and a simulated
 * agent with the symbols of an invented kernel.
 */
#ifndef HELPER_RIG_H
#define HELPER_RIG_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../guest-agent/helper/helper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define M_PATCH	      "FUNCS(f, {\"old\", new}); PATCH({\"m\", f})"

struct known {
	const char *object, *name;
	uint64_t address;
	uint32_t exported, flags;
};

struct kernel {
	struct agent agent; /* first: the helper passes its address back */
	const struct known *symbols;
	size_t nr_symbols;
	const char *modules; /* the loaded modules: " a b " */
	uint32_t flags;	     /* SUTURE_KERNEL_* */

	/* what the helper has sent, or copies of it */
	unsigned int nr_requests; /* for symbols */
	char functions[256];	  /* " a b ": of vmlinux, in the first request */
	struct suture_late late;
	struct suture_late_reloc *relocs;
	struct suture_late_section *sections;
	struct suture_symbol *late_symbols;
	char (*holds)[SUTURE_NAME_LEN];
};

/* The payload in memory of exactly its size, so that the sanitizer reports any access beyond it. */
struct payload {
	unsigned char *bytes;
	size_t size;
};

/* Compile a source, before which the structures of livepatch are defined. */
struct payload payload_make(const char *source);
struct payload payload_copy(const struct payload *p, size_t size);

void kernel_init(struct kernel *k, const struct known *symbols, size_t count, const char *modules);
void kernel_free(struct kernel *k);

/* module_open() and resolve_module(). */
int payload_prepare(struct payload *p, struct kernel *k, struct failure *f);

/* The number of relocations to the module's symbol that the agent is to apply. */
unsigned int late_count(const struct kernel *k, const char *object, const char *name);
bool is_held(const struct kernel *k, const char *module);

/* ---- of each test: its kernel, its payload, and the reason of a refusal ---- */

#define NR_SYMBOLS 22
extern const struct known all_symbols[NR_SYMBOLS];
extern struct kernel kernel;
extern struct payload payload;
extern struct failure failure;

/* For cmocka: a new kernel, in which the modules m and n are loaded. */
int helper_setup(void **state);
int helper_setup_arm64(void **state); /* payloads are compiled for arm64 */
int helper_teardown(void **state);

/*
 * Prepare a payload of that source; asserts that it is accepted, or refused with the error and the
 * text.
 */
void taken(const char *source);
void refused(const char *source, int err, const char *says);

/* The payload's file after that. */
const Elf64_Shdr *section(const char *name);
const Elf64_Sym *symbol(const char *name);
void absolute(const char *name, uint64_t address);
unsigned int relocations(uint32_t type);

#endif
