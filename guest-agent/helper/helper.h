/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The helper that loads payloads: the functions of its files for each other. module.c reads the
 * payload, patch.c finds its patch. resolve.c asks the agent for every undefined symbol and gives
 * it an owner. tables.c judges each reference to such a symbol by the section that it is in,
 * graph.c by the code that can reach it. Then resolve.c changes the file so that the kernel's
 * loader resolves no symbol to a module that may be unloaded.
 *
 * Functions return zero or a negative errno, with the reason in struct failure.
 */
#ifndef SUTURE_HELPER_H
#define SUTURE_HELPER_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../uapi.h"

/* How a job failed, in words for the operator. */
struct failure {
	char text[SUTURE_TEXT_LEN];
};

/* Say why; returns err. A text that is too long ends in "...". */
int fail(struct failure *f, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Questions to the agent and the guest's kernel: ioctls of /dev/suture, or a test's functions. */
struct agent {
	int (*resolve)(struct agent *, struct suture_resolve *); /* negative errno */
	int (*late)(struct agent *, const struct suture_late *);
	bool (*loaded)(struct agent *, const char *module); /* is there a module of that name? */
};

/* ---- arch.c: relocations of an architecture ---- */

/* Which bytes of its target a reference may mean, beside the target itself. */
struct span {
	int first, last; /* offsets from symbol + addend, both included */
	bool section;	 /* the address is computed: anything in the section */
};

struct reloc_kind {
	uint32_t type;
	uint8_t width; /* of the place, in bytes */
	bool relative; /* to the place */
	bool late;     /* the agent can apply it */
	bool branch;   /* late, and where it does not reach it may lead to a veneer */
	bool page;     /* the kernel's loader may rewrite it: SUTURE_KERNEL_REWRITES_PAGES */
};

struct arch {
	uint16_t machine; /* e_machine */
	uint32_t none;	  /* the relocation that does nothing */
	const struct reloc_kind *kinds;
	size_t nr_kinds;
	/*
	 * The span that the reference at `place` may mean if it is in code. `before` bytes of its
	 * section precede it.
	 */
	struct span (*code_span)(const struct reloc_kind *, const unsigned char *place,
				 size_t before, bool to_code);
	/*
	 * Within a section the assembler needs no relocation. Returns the target of the bytes at
	 * `code` if they are a branch or load an address, relative to `code`; 0: none. `weak`: they
	 * count only if a function begins at the target.
	 */
	int64_t (*branch)(const unsigned char *code, size_t left, bool *weak);
	unsigned int insn_align;  /* an instruction begins only at a multiple of it */
	unsigned int veneer_size; /* bytes of a branch to anywhere; 0: every branch reaches */
	/*
	 * Size of an entry of .altinstructions whose second word may lead to a function of the
	 * kernel's, which its loader calls; 0: the architecture has none.
	 */
	unsigned int callback_entry;
};

const struct arch *arch_find(uint16_t machine);
/* NULL: the architecture has no such relocation, or the kernel's loader does not take it. */
const struct reloc_kind *arch_kind(const struct arch *arch, uint32_t type);

/* ---- module.c: a kernel module's file ---- */

struct section {
	Elf64_Shdr header; /* a copy */
	const char *name;
	unsigned char *bytes; /* within the file; NULL if it has none (.bss) */
};

/* A relocation of a section that the kernel loads. */
struct reloc {
	Elf64_Rela *rela; /* within the file */
	uint32_t section; /* in which its place is */
	uint32_t from;	  /* the section of relocations that it is in */
};

struct module {
	unsigned char *bytes;
	const struct arch *arch;
	struct section *sections;
	size_t nr_sections;
	Elf64_Sym *symbols; /* within the file */
	size_t nr_symbols;
	const char *strings;  /* ends with a zero; holds every st_name */
	struct reloc *relocs; /* by section and offset */
	size_t nr_relocs;
};

/* A place in the payload. Section 0: nowhere. */
struct place {
	uint32_t section;
	uint64_t offset;
};

/*
 * Read the file, which must stay and is changed in place later. Afterwards every index and offset
 * in it is valid: of names, of symbols' sections, of relocations' symbols and places; and no two
 * parts of it overlap. -ENOEXEC, -ENOMEM. module_close() also after an error.
 */
int module_open(struct module *m, void *file, size_t size, struct failure *f);
void module_close(struct module *m);

/* Does the kernel load it, and is it code? */
bool module_is_loaded(const struct section *s);
bool module_is_code(const struct section *s);

const char *module_symbol_name(const struct module *m, size_t symbol);
/* Undefined, or left to livepatch (SHN_LIVEPATCH): its address must be resolved. */
bool module_is_undefined(const struct module *m, size_t symbol);
/* Give the symbol an address. */
void module_define(struct module *m, size_t symbol, uint64_t address);
/* The kernel's loader shall leave the relocation alone. */
void module_drop_reloc(struct module *m, const struct reloc *r);
/* The kernel's loader shall apply the section's relocations, which were left to livepatch. */
void module_clear_livepatch(struct module *m, size_t section);

/* The section of that name, or 0. */
size_t module_section(const struct module *m, const char *name);
/* Give a section that has no bytes in the file (NOBITS) that size. False: it has some. */
bool module_resize(struct module *m, size_t section, uint64_t size);
/* Take all MODULE_INFO(tag, ...) out. */
void module_drop_info(struct module *m, const char *tag);

/* Where the relocation's symbol plus addend is; nowhere if the symbol is not of the payload. */
struct place module_target(const struct module *m, const struct reloc *r);
/* The first relocation at or behind the place, in the order of relocs. */
size_t module_find_reloc(const struct module *m, struct place at);
/* The place that the pointer at `at` leads to; nowhere if it is NULL. */
struct place module_follow(const struct module *m, struct place at);
/* The string there, or NULL. */
const char *module_string(const struct module *m, struct place at);
/* Any symbol that is defined in the section, or 0. */
size_t module_symbol_in(const struct module *m, size_t section);
/* The function or variable with that place in it, or the section. */
const char *module_name_of(const struct module *m, struct place at);

/* ---- tables.c: what the kernel's loader does with a section ---- */

#define TABLE_FOLLOWS 1u /* code or data: a reference there may follow a module */
#define TABLE_PASSIVE 2u /* that something stands in it makes nobody run or read that */
#define TABLE_SITES   4u /* the loader writes where it leads to: that must be in the payload */

struct table {
	const char *name; /* with a star at its end: all names that begin so */
	unsigned int flags;
	unsigned int entry, key; /* size, and offset in it of a key that the loader writes to */
	bool sealed; /* it leaves the key alone where the kernel has SUTURE_KERNEL_SEALED_KEYS */
	const char *what, *way_out; /* of a key that is read-only: what it is, what to do */
};

/* Never NULL: the last rule is for all others. */
const struct table *table_find(const char *section);

/*
 * Is what the kernel's loader does with the relocation's section safe for the undefined symbol of
 * the relocation? `kernel` is SUTURE_KERNEL_*. 0 or -EINVAL.
 */
int table_judge(const struct module *m, const struct reloc *r, const struct suture_symbol *symbol,
		unsigned int kernel, struct failure *f);

/* Places that the loader overwrites with an alternative instruction. */
struct replaced {
	struct replaced_at {
		struct place at;
		unsigned int length;
	} * list; /* by place */
	size_t count;
};

/* False: no memory. */
bool replaced_read(struct replaced *r, const struct module *m);
void replaced_free(struct replaced *r);
bool replaced_has(const struct replaced *r, struct place at);

/* ---- patch.c: the payload's klp_patch ---- */

#define MAX_RANGES (1 + 2 * SUTURE_MAX_OBJECTS)

struct range {
	struct place from;
	uint64_t size;
};

/* The place of a function that runs for an object. */
struct root {
	struct place at;
	unsigned int object;
};

struct patch {
	char objects[SUTURE_MAX_OBJECTS][SUTURE_NAME_LEN]; /* all different */
	unsigned int nr_objects;
	struct range ranges[MAX_RANGES]; /* of the klp structures themselves */
	unsigned int nr_ranges;
	struct root *roots;
	size_t nr_roots;
	char (*functions)[SUTURE_SYM_LEN]; /* of vmlinux, by name */
	unsigned int nr_functions;
	struct place states; /* the array, or nowhere */
};

#define NO_OBJECT (~0u)

/*
 * The objects and functions that SUTURE_PATCH_SECTION leads to, and the objects that sections of
 * livepatch relocations name. -ENOEXEC, -E2BIG, -ENOMEM. patch_close() also after an error.
 */
int patch_open(struct patch *p, const struct module *m, struct failure *f);
void patch_close(struct patch *p);

/* The number of the object of that name, or NO_OBJECT. */
unsigned int patch_object(const struct patch *p, const char *name);
/* Is the place in one of the klp structures? */
bool patch_has(const struct patch *p, struct place at);

/* ---- names.c: the spellings of an undefined symbol, and of a section ---- */

/* Fill in object, name and position. '-' in the object's name is made '_'. -EINVAL. */
int name_parse_symbol(const char *name, bool livepatch, struct suture_symbol *s, struct failure *f);
/* The object of a section .klp.rela.OBJECT.SECTION; false: it is none. */
bool name_parse_rela(const char *section, char object[SUTURE_NAME_LEN]);

/* ---- graph.c: which objects' code can reach a place ---- */

#define OWNER_NOBODY 0u
#define OWNER_ALL    1u /* several objects, or what runs without any */
#define OWNER_OBJECT 2u /* + the number of an object: the code that runs for it, and no other */

struct graph;

/* NULL: no memory. */
struct graph *graph_make(const struct module *m, const struct patch *p);
void graph_free(struct graph *g);
unsigned int graph_owner(const struct graph *g, struct place at);

/* ---- resolve.c ---- */

/*
 * Give every undefined symbol that the kernel's loader shall not look up its address, take out the
 * relocations that follow a module, and tell the agent of them and of the modules that it must
 * hold. -ENOENT, -EINVAL, -ENOMEM, -E2BIG, or what the agent says.
 */
int resolve_module(struct module *m, struct agent *agent, struct failure *f);

/* ---- log.c: the kernel's log ---- */

/* Its end, from which log_read() will read. -1: it cannot be read. */
int log_open(void);
/*
 * The lines of the kernel's log since log_open() that name the module or, if there was an oops,
 * those of the oops; each in quotes. Returns whether there was one.
 */
bool log_read(int log, const char *module, char *text, size_t size);

/* ---- kernel.c ---- */

/*
 * init_module(2) in a child process, so that this one can report it when the kernel kills the
 * child. `flags` gets SUTURE_RESULT_*.
 */
int kernel_load(const struct suture_job *job, void *file, su32 *flags, struct failure *f);
int kernel_unload(const struct suture_job *job, struct failure *f);
/* The module's state in /proc/modules ("Live", "Loading"), or "" if it is not there.
 */
void kernel_module_state(const char *name, char state[16]);

#endif
