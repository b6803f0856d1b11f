/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent's helper makes of a payload before the kernel's loader gets it. */
#include "helper_rig.h"

#include <time.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define RO	      SUTURE_SYMBOL_READ_ONLY
#define INIT	      SUTURE_SYMBOL_INIT

/* A kernel in which the modules m and n are loaded; those named `absent` are not. */
static const struct known all[] = {
	{"vmlinux", "printk_", 0xffffffff81000010, 1, RO},
	{"vmlinux", "hidden", 0xffffffff81000020, 0, RO},
	{"vmlinux", "twice", 0xffffffff81000030, 0, 0},
	{"vmlinux", "twice", 0xffffffff81000040, 0, 0},
	{"vmlinux", "gone", 0xffffffff82000000, 0, INIT},
	{"vmlinux", "key_rw", 0xffffffff82100000, 0, 0},
	{"vmlinux", "key_ro", 0xffffffff82200000, 0, RO},
	{"vmlinux", "key_ro_exported", 0xffffffff82200010, 1, RO},
	{"vmlinux", "__SCK__rw", 0xffffffff82100100, 0, 0},
	{"vmlinux", "__SCK__ro", 0xffffffff82200100, 0, RO},
	{"vmlinux", "__SCT__some", 0xffffffff81000100, 1, RO},
	{"m", "m_func", 0xffffffffa0000010, 0, RO},
	{"m", "m_data", 0xffffffffa0002010, 0, 0},
	{"m", "m_exported", 0xffffffffa0000020, 1, RO},
	{"m", "m_init", 0xffffffffa0004000, 0, INIT},
	{"m", "m_key_ro", 0xffffffffa0002020, 0, RO},
	{"m", "both", 0xffffffffa0002030, 0, 0},
	{"m", "shadowed", 0xffffffffa0002040, 1, 0},
	{"n", "n_func", 0xffffffffa0100010, 0, RO},
	{"n", "n_exported", 0xffffffffa0100020, 1, RO},
	{"n", "both", 0xffffffffa0102030, 0, 0},
	{"n", "shadowed", 0xffffffffa0102040, 0, 0},
};

static struct kernel kernel;
static struct payload payload;
static struct failure failure;

static int setup(void **state)
{
	(void)state;
	kernel_init(&kernel, all, ARRAY_SIZE(all), " m n ");
	failure.text[0] = 0;
	payload = (struct payload){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kernel_free(&kernel);
	free(payload.bytes);
	return 0;
}

static int try(const char *source)
{
	payload = payload_make(source);
	return payload_prepare(&payload, &kernel, &failure);
}

static void taken(const char *source)
{
	int err = try(source);

	if (err)
		print_error("%s\n", failure.text);
	assert_int_equal(err, 0);
}

static void refused(const char *source, int err, const char *says)
{
	assert_int_equal(try(source), err);
	if (!strstr(failure.text, says))
		print_error("'%s' is not '%s'\n", failure.text, says);
	assert_non_null(strstr(failure.text, says));
	assert_null(kernel.relocs);
}

/* ---- the file as it is afterwards ---- */

static const Elf64_Shdr *sections(void)
{
	return (const Elf64_Shdr *)(payload.bytes + ((Elf64_Ehdr *)payload.bytes)->e_shoff);
}

static const Elf64_Sym *symbol(const char *name)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)payload.bytes;

	for (unsigned int i = 0; i < h->e_shnum; i++) {
		const Elf64_Shdr *s = &sections()[i];
		const Elf64_Sym *sym = (const Elf64_Sym *)(payload.bytes + s->sh_offset);
		const char *names;

		if (s->sh_type != SHT_SYMTAB)
			continue;
		names = (const char *)payload.bytes + sections()[s->sh_link].sh_offset;
		for (; sym < (const Elf64_Sym *)(payload.bytes + s->sh_offset + s->sh_size);
		     sym++) {
			if (!strcmp(names + sym->st_name, name))
				return sym;
		}
	}
	fail_msg("no symbol %s", name);
	return NULL;
}

static void absolute(const char *name, uint64_t address)
{
	const Elf64_Sym *s = symbol(name);

	assert_int_equal(s->st_shndx, SHN_ABS);
	assert_int_equal(s->st_value, address);
}

static unsigned int relocations(uint32_t type)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)payload.bytes;
	unsigned int count = 0;

	for (unsigned int i = 0; i < h->e_shnum; i++) {
		const Elf64_Shdr *s = &sections()[i];
		const Elf64_Rela *r = (const Elf64_Rela *)(payload.bytes + s->sh_offset);

		if (s->sh_type != SHT_RELA)
			continue;
		assert_false(s->sh_flags & 0x00100000); /* SHF_RELA_LIVEPATCH */
		for (; r < (const Elf64_Rela *)(payload.bytes + s->sh_offset + s->sh_size); r++)
			count += ELF64_R_TYPE(r->r_info) == type;
	}
	return count;
}

/* ---- vmlinux, and what the kernel's loader does itself ---- */

static void test_vmlinux(void **state)
{
	(void)state;
	taken("extern int printk_(void), hidden(void), weak(void) __attribute__((weak));\n"
	      "int second(void) SYMBOL(vmlinux, twice, 2);\n"
	      "int new(void) { return printk_() + hidden() + second() + (weak ? weak() : 0); }\n"
	      "FUNCS(f, {\"old\", new}); PATCH({.funcs = f})\n");
	assert_int_equal(symbol("printk_")->st_shndx, SHN_UNDEF);
	assert_int_equal(symbol("weak")->st_shndx, SHN_UNDEF);
	absolute("hidden", 0xffffffff81000020);
	absolute("__suture_sym.vmlinux.twice.2", 0xffffffff81000040);
	assert_null(kernel.relocs);
}

static void test_not_one(void **state)
{
	(void)state;
	refused("extern int twice; int f(void) { return twice; }", -EINVAL,
		"'twice' is ambiguous: the kernel and its modules has 2; say which");
	free(payload.bytes);
	refused("extern int nothing; int f(void) { return nothing; }", -ENOENT,
		"symbol 'nothing' is not in the kernel and its modules");
	free(payload.bytes);
	refused("extern int third SYMBOL(vmlinux, twice, 3); int f(void) { return third; }",
		-ENOENT, "'twice' has no position 3 in vmlinux, only 2");
	free(payload.bytes);
	refused("extern int x SYMBOL(m, nothing, 0); int f(void) { return x; }", -ENOENT,
		"symbol 'nothing' is not in m");
	free(payload.bytes);
	refused("extern int x SYMBOL(absent, thing, 0); int f(void) { return x; }", -ENOENT,
		"symbol 'thing' is of module 'absent', which is not loaded");
	free(payload.bytes);
	refused("extern int x asm(\"__suture_sym.vmlinux\"); int f(void) { return x; }", -EINVAL,
		"is not OBJECT.NAME.POSITION");
}

static void test_init_memory(void **state)
{
	(void)state;
	refused("extern int gone; int f(void) { return gone; }", -EINVAL,
		"symbol 'gone' is in the kernel's init memory, which is gone");
	free(payload.bytes);
	refused("extern int m_init; int f(void) { return m_init; }\n"
		"FUNCS(fs, {\"old\", f}); PATCH({\"m\", fs})",
		-EINVAL, "symbol 'm_init' is in the init memory of module 'm'");
}

static void test_exported(void **state)
{
	(void)state;
	taken("extern int n_exported(void), m_exported(void), shadowed;\n"
	      "int new(void) { return n_exported() + m_exported() + shadowed; }\n"
	      "FUNCS(f, {\"old\", new}); PATCH({\"m\", f})");
	/* n is no object of the patch: the kernel's loader holds it */
	assert_int_equal(symbol("n_exported")->st_shndx, SHN_UNDEF);
	assert_int_equal(late_count(&kernel, "m", "m_exported"), 1);
	assert_int_equal(late_count(&kernel, "m", "shadowed"), 1);
	assert_false(is_held(&kernel, "m") || is_held(&kernel, "n"));
}

/* ---- what follows a module ---- */

#define M_PATCH "FUNCS(f, {\"old\", new}); PATCH({\"m\", f})"

static void test_follows(void **state)
{
	const struct suture_late_reloc *r;

	(void)state;
	taken("extern int m_func(void), m_data;\n"
	      "int pad(void) { return 1; }\n"
	      "static noinline int helper(void) { return m_func() + 1; }\n"
	      "static int new(void) { return helper() + m_data; }\n" M_PATCH);
	assert_int_equal(late_count(&kernel, "m", "m_func"), 1);
	assert_int_equal(late_count(&kernel, "m", "m_data"), 1);
	assert_int_equal(kernel.late.nr_holds, 0);
	assert_int_equal(kernel.late.nr_symbols, 2);
	assert_int_equal(kernel.late.nr_sections, 1);
	absolute("m_func", 0);
	absolute("m_data", 0);
	assert_int_equal(relocations(R_X86_64_NONE), 2);
	r = &kernel.relocs[0];
	assert_int_equal(r->type, R_X86_64_PLT32);
	assert_int_equal(r->addend, -4);
	assert_true(r->offset > symbol("helper")->st_value &&
		    r->offset < symbol("helper")->st_value + symbol("helper")->st_size);
	assert_true(kernel.sections[0].index < kernel.late.nr_symtab);
}

/* The module comes later: it is the only one that the name can be of. */
static void test_absent(void **state)
{
	(void)state;
	kernel.modules = " m n ";
	taken("extern int later(void); static int new(void) { return later(); }\n"
	      "FUNCS(f, {\"old\", new}); PATCH({\"some-module\", f})");
	assert_int_equal(late_count(&kernel, "some_module", "later"), 1);
	absolute("later", 0);
	free(payload.bytes);
	kernel_free(&kernel);
	taken("int later(void) SYMBOL(some_module, later.part.0, 3);\n"
	      "static int new(void) { return later(); }\n"
	      "FUNCS(f, {\"old\", new}); PATCH({\"some_module\", f}, {\"b\"})");
	assert_int_equal(late_count(&kernel, "some_module", "later.part.0"), 1);
	assert_int_equal(kernel.late_symbols[0].position, 3);
	free(payload.bytes);
	kernel_free(&kernel);
	refused("extern int later(void); static int new(void) { return later(); }\n"
		"FUNCS(f, {\"old\", new}); PATCH({\"b\", f}, {\"m\"}, {\"a\"})",
		-ENOENT,
		"symbol 'later' is not in the kernel, and may be of the modules b, a, which are "
		"not "
		"loaded: say which with SUTURE_SYMBOL(a, later, 0)");
}

/* Tables of pointers, callbacks, and a function that calls another that calls itself. */
static void test_follows_through_data(void **state)
{
	(void)state;
	taken("extern int m_func(void), m_data;\n"
	      "static noinline int deep(int n) { return n ? deep(n - 1) + n : m_func(); }\n"
	      "struct ops { int (*call)(void); int *data; int (*other)(int); };\n"
	      "static const struct ops ops = { m_func, &m_data, deep };\n"
	      "static const struct ops *volatile use = &ops;\n"
	      "static int new(void) { return use->call() + use->other(3); }\n"
	      "static int pre(void *o) { return m_data; }\n"
	      "FUNCS(f, {\"old\", new});\n"
	      "PATCH({\"m\", f, {.pre_patch = pre}})");
	assert_int_equal(late_count(&kernel, "m", "m_func"), 2);
	assert_int_equal(late_count(&kernel, "m", "m_data"), 2);
	assert_int_equal(kernel.late.nr_holds, 0);
}

/* ---- what holds it ---- */

static void held(const char *source)
{
	taken(source);
	assert_true(is_held(&kernel, "m"));
	assert_int_equal(kernel.late.nr_relocs, 0);
	absolute("m_func", 0xffffffffa0000010);
	free(payload.bytes);
	kernel_free(&kernel);

	/* and is refused if it is not there */
	kernel.modules = " n ";
	kernel.nr_symbols = 0;
	refused(source, -ENOENT, "load 'm' first: '");
	assert_non_null(
		strstr(failure.text, "', which also runs without it, uses its symbol 'm_func'"));
}

#define TWO_OBJECTS                                                                                \
	"FUNCS(f, {\"old\", new}); FUNCS(g, {\"o\", kernel}); PATCH({\"m\", f}, {.funcs = g})"

static void test_held_by_vmlinux(void **state)
{
	(void)state;
	held("extern int m_func(void);\n"
	     "static int new(void) { return 0; }\n"
	     "static int kernel(void) { return m_func(); }\n" TWO_OBJECTS);
	assert_non_null(strstr(failure.text, "'kernel'"));
}

static void test_held_by_shared(void **state)
{
	(void)state;
	held("extern int m_func(void);\n"
	     "static noinline int shared(void) { return m_func() + 1; }\n"
	     "static int new(void) { return shared(); }\n"
	     "static int kernel(void) { return shared() + 1; }\n" TWO_OBJECTS);
	assert_non_null(strstr(failure.text, "'shared'"));
}

/* The assembler resolves what stays within the section: such calls have no relocation. */
static void test_held_by_call(void **state)
{
	static const char *const calls[] = {
		"call new",	      "jmp new",	   "jz new", "lea new(%rip), %rax",
		".skip 200; jmp new", ".skip 200; jnz new"};
	char source[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		kernel.modules = " m n ";
		kernel.nr_symbols = ARRAY_SIZE(all);
		snprintf(
			source, sizeof(source),
			"extern int m_func(void);\n"
			"static int new(void) { return m_func(); }\n"
			"static int kernel(void) { asm volatile(\"%s\"); return 1; }\n" TWO_OBJECTS,
			calls[i]);
		held(source);
		assert_non_null(strstr(failure.text, "'new'"));
		free(payload.bytes);
		payload.bytes = NULL;
	}
}

static void test_held_by_shared_table(void **state)
{
	(void)state;
	held("extern int m_func(void);\n"
	     "static int (*table[4])(void) = { m_func };\n"
	     "static int new(int n) { return table[n](); }\n"
	     "static int kernel(int n) { return table[n - 5](); }\n" TWO_OBJECTS);
	assert_non_null(strstr(failure.text, "'table'"));
}

static void test_held_by_init(void **state)
{
	(void)state;
	held("extern int m_func(void);\n"
	     "static int new(void) { return 0; }\n" M_PATCH "\n"
	     "__attribute__((section(\".init.text\"))) int setup(void) { return m_func(); }\n");
	assert_non_null(strstr(failure.text, "'setup'"));
}

static void test_held_by_state(void **state)
{
	(void)state;
	held("extern int m_func(void);\n"
	     "static int new(void) { return 0; }\n"
	     "static int pre(void) { return m_func(); }\n"
	     "static struct klp_state states[] = { {.id = 1, .callbacks = {pre}}, { } };\n"
	     "FUNCS(f, {\"old\", new});\n"
	     "static struct klp_object objs[] = { {\"m\", f}, { } };\n"
	     "static struct klp_patch patch = { .objs = objs, .states = states };\n"
	     "int init_module(void) { ENABLE(&patch); return 0; }\n");
	assert_non_null(strstr(failure.text, "'pre'"));
}

/* Nobody is seen to call it. */
static void test_held_by_unknown(void **state)
{
	(void)state;
	held("extern int m_func(void);\n"
	     "int lonely(void) { return m_func(); }\n"
	     "static int new(void) { return 0; }\n" M_PATCH);
}

static void test_held_by_percpu(void **state)
{
	(void)state;
	held("extern int m_func(void);\n"
	     "__attribute__((section(\".data..percpu\"))) int (*pointer)(void) = m_func;\n"
	     "static int new(void) { return pointer(); }\n" M_PATCH);
}

/* The loader writes other instructions over the call when it has been relocated. */
static void test_held_by_alternative(void **state)
{
	static const char *const kinds[] = {
		".word 3;.byte 5, 5",	  /* 12 bytes */
		".word 3;.byte 5, 5, 0",  /* 13 */
		".long 3;.byte 5, 5",	  /* 14 */
		".long 3, 3, 3, 3, 3, 3", /* not known */
	};
	char source[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(source, sizeof(source),
			 "static int new(void) { asm volatile(\"661: call m_func;"
			 ".pushsection .altinstructions,\\\"a\\\";"
			 ".long 661b - .;.long 663f - .;%s;.popsection;"
			 ".pushsection .altinstr_replacement,\\\"ax\\\";663: call printk_;"
			 ".popsection\"); return 0; }\n" M_PATCH,
			 kinds[i]);
		taken(source);
		assert_true(is_held(&kernel, "m"));
		assert_int_equal(kernel.late.nr_relocs, 0);
		free(payload.bytes);
		payload.bytes = NULL;
		kernel_free(&kernel);
	}
}

/* A module that is no object of the patch. */
static void test_held_other(void **state)
{
	(void)state;
	taken("extern int n_func(void); static int new(void) { return n_func(); }\n" M_PATCH);
	assert_true(is_held(&kernel, "n") && !is_held(&kernel, "m"));
	absolute("n_func", 0xffffffffa0100010);
}

/* A reference that holds the module does so for all of its symbols. */
static void test_held_all(void **state)
{
	(void)state;
	taken("extern int m_func(void), m_data;\n"
	      "static int new(void) { return m_data; }\n"
	      "static int kernel(void) { return m_func(); }\n" TWO_OBJECTS);
	absolute("m_data", 0xffffffffa0002010);
	assert_int_equal(kernel.late.nr_relocs, 0);
}

/* ---- tables of the loader ---- */

#define JUMP(key, site)                                                                            \
	"static int new(void) { asm volatile(\"661: nop\\n662:\\n"                                 \
	".pushsection __jump_table,\\\"aw\\\"\\n.long " site " - .\\n.long 662b - .\\n"            \
	".quad " key " + 1 - .\\n.popsection\"); return 0; }\n" M_PATCH
#define CALL(key, site)                                                                            \
	"static int new(void) { asm volatile(\"661: call printk_\\n"                               \
	".pushsection .static_call_sites,\\\"aw\\\"\\n.long " site " - .\\n"                       \
	".long " key " + 1 - .\\n.popsection\"); return 0; }\n" M_PATCH

static void test_static_keys(void **state)
{
	(void)state;
	taken(JUMP("key_rw", "661b"));
	absolute("key_rw", 0xffffffff82100000);
	free(payload.bytes);
	refused(JUMP("key_ro", "661b"), -EINVAL,
		"static key 'key_ro' is read-only after boot, and this kernel's loader would write "
		"to "
		"it: use static_key_enabled() instead");
	free(payload.bytes);
	refused(JUMP("key_ro_exported", "661b"), -EINVAL, "static key 'key_ro_exported'");
	free(payload.bytes);
	refused(JUMP("m_key_ro", "661b"), -EINVAL, "static key 'm_key_ro'");
	free(payload.bytes);
	refused(JUMP("key_rw", "hidden"), -EINVAL,
		"section __jump_table leads to 'hidden', which is not in the payload");
	free(payload.bytes);
	taken(JUMP("m_data", "661b"));
	assert_true(is_held(&kernel, "m"));
	kernel_free(&kernel);
	free(payload.bytes);
	kernel.flags = SUTURE_KERNEL_SEALED_KEYS;
	taken(JUMP("key_ro", "661b"));
}

static void test_static_calls(void **state)
{
	(void)state;
	taken(CALL("__SCK__rw", "661b"));
	free(payload.bytes);
	taken(CALL("__SCT__some", "661b"));
	free(payload.bytes);
	kernel.flags = SUTURE_KERNEL_SEALED_KEYS;
	refused(CALL("__SCK__ro", "661b"), -EINVAL, "key of a static call '__SCK__ro'");
	free(payload.bytes);
	refused(CALL("__SCK__rw", "hidden"), -EINVAL, "leads to 'hidden'");
	free(payload.bytes);
	taken(CALL("m_data", "661b"));
	assert_true(is_held(&kernel, "m"));
}

/* ---- sections of kpatch-build and klp-build ---- */

/*
 * Give the relocations of section .text.klp to livepatch, as section .klp.rela.OBJECT..text.klp.
 * The source has a section of that name, which gets theirs.
 */
static void to_livepatch(const char *name)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)payload.bytes;
	Elf64_Shdr *s = (Elf64_Shdr *)(payload.bytes + h->e_shoff);
	char *names = (char *)payload.bytes + s[h->e_shstrndx].sh_offset;
	Elf64_Shdr *relocs = NULL, *named = NULL;

	for (unsigned int i = 0; i < h->e_shnum; i++) {
		if (!strcmp(names + s[i].sh_name, ".rela.text.klp"))
			relocs = &s[i];
		if (!strcmp(names + s[i].sh_name, name))
			named = &s[i];
		for (size_t n = 0;
		     s[i].sh_type == SHT_SYMTAB && n < s[i].sh_size / sizeof(Elf64_Sym); n++) {
			Elf64_Sym *sym = (Elf64_Sym *)(payload.bytes + s[i].sh_offset) + n;
			const char *strings = (char *)payload.bytes + s[s[i].sh_link].sh_offset;

			if (!strncmp(strings + sym->st_name, ".klp.sym.", 9))
				sym->st_shndx = 0xff20; /* SHN_LIVEPATCH */
		}
	}
	assert_non_null(relocs);
	assert_non_null(named);
	relocs->sh_name = named->sh_name;
	relocs->sh_flags |= SHF_ALLOC | 0x00100000;
	named->sh_name = 0;
}

#define KLP(object, symbol)                                                                        \
	"asm(\".section .text.klp,\\\"ax\\\"\\n.type klpfunc,@function\\nklpfunc: call "           \
	"\\\"" symbol "\\\"\\n.size klpfunc, .-klpfunc\\n\"\n"                                     \
	"\".section .klp.rela." object "..text.klp,\\\"\\\"\\n.byte 0\\n\");\n"                    \
	"int init_module(void) { return 0; }\n"

static int try_klp(const char *source, const char *section)
{
	payload = payload_make(source);
	to_livepatch(section);
	return payload_prepare(&payload, &kernel, &failure);
}

static void test_klp_rela(void **state)
{
	(void)state;
	assert_int_equal(
		try_klp(KLP("vmlinux", ".klp.sym.vmlinux.twice,2"), ".klp.rela.vmlinux..text.klp"),
		0);
	absolute(".klp.sym.vmlinux.twice,2", 0xffffffff81000040);
	assert_int_equal(relocations(R_X86_64_NONE), 0);
	free(payload.bytes);

	assert_int_equal(try_klp(KLP("m", ".klp.sym.m.m_func,0"), ".klp.rela.m..text.klp"), 0);
	absolute(".klp.sym.m.m_func,0", 0);
	assert_int_equal(relocations(R_X86_64_NONE), 1);
	assert_int_equal(late_count(&kernel, "m", "m_func"), 1);
	free(payload.bytes);
	kernel_free(&kernel);

	assert_int_equal(try_klp(KLP("absent", ".klp.sym.absent.what.part.0,1"),
				 ".klp.rela.absent..text.klp"),
			 0);
	assert_int_equal(late_count(&kernel, "absent", "what.part.0"), 1);
	free(payload.bytes);
	kernel_free(&kernel);

	/* a symbol of another module than the section's holds that */
	assert_int_equal(try_klp(KLP("m", ".klp.sym.n.n_func,0"), ".klp.rela.m..text.klp"), 0);
	assert_true(is_held(&kernel, "n"));
	absolute(".klp.sym.n.n_func,0", 0xffffffffa0100010);
	free(payload.bytes);
	kernel_free(&kernel);

	assert_int_equal(try_klp(KLP("m", ".klp.sym.m"), ".klp.rela.m..text.klp"), -EINVAL);
	assert_non_null(strstr(failure.text, "is not OBJECT.NAME,POSITION"));
}

/* ---- sizes ---- */

static void test_large(void **state)
{
	struct timespec from, to;
	char *source = malloc(8 << 20), *end = source;
	const int count = 20000;

	(void)state;
	end += sprintf(end, "extern int m_func(void);\nasm(\"");
	/* each calls the one before it: the worst order for a walk */
	for (int i = 0; i < count; i++) {
		end += sprintf(end, ".type f%d,@function;f%d: call ", i, i);
		end += i ? sprintf(end, "f%d", i - 1) : sprintf(end, "m_func");
		end += sprintf(end, ";.size f%d,.-f%d\\n", i, i);
	}
	end += sprintf(end,
		       "\");\nextern int f%d(void);\nFUNCS(f, {\"old\", f%d}); PATCH({\"m\", f})",
		       count - 1, count - 1);
	payload = payload_make(source);
	free(source);
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(payload_prepare(&payload, &kernel, &failure), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_int_equal(late_count(&kernel, "m", "m_func"), 1);
	assert_int_equal(kernel.late.nr_holds, 0);
	print_message("a chain of %d functions: %ld ms\n", count,
		      (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000);
}

static void test_too_many(void **state)
{
	char *source = malloc(1 << 20), *end = source;

	(void)state;
	for (int i = 0; i <= (int)SUTURE_MAX_SYMBOLS; i++)
		end += sprintf(end, "asm(\".long s%d\");\n", i);
	refused(source, -E2BIG, "undefined symbols, at most 4096 can be");
	free(source);
}

/* ---- files that are none ---- */

static const char rich[] =
	"extern int printk_(void), hidden(void), m_func(void), m_data, n_func(void);\n"
	"extern int later(void);\n"
	"static int (*table[])(void) = { m_func, hidden };\n"
	"static noinline int shared(int n) { return table[n]() + printk_(); }\n"
	"static int new(int n) { return shared(n) + m_data; }\n"
	"static int absent(void) { return later(); }\n"
	"static int kernel(void) { asm volatile(\"661: nop\\n.pushsection "
	"__jump_table,\\\"aw\\\"\\n\"\n"
	"\".long 661b - .\\n.long 661b - .\\n.quad key_rw - .\\n.popsection\\n\"\n"
	"\".pushsection .altinstructions,\\\"a\\\"\\n.long 661b - .\\n.long 661b - .\\n\"\n"
	"\".word 1\\n.byte 1, 1\\n.popsection\"); return n_func(); }\n"
	"static int pre(void) { return 0; }\n"
	"static struct klp_state states[] = { {.id = 1, .callbacks = {pre}}, { } };\n"
	"FUNCS(f, {\"old\", new}); FUNCS(g, {\"o\", kernel}); FUNCS(h, {\"a\", absent});\n"
	"static struct klp_object objs[] = { {\"m\", f, {pre}}, {.funcs = g}, {\"absent\", h}, { } "
	"};\n"
	"static struct klp_patch patch = { .objs = objs, .states = states };\n"
	"int init_module(void) { ENABLE(&patch); return 0; }\n";

static void attempt(struct payload *p, unsigned int counts[2])
{
	struct kernel k;
	int err;

	kernel_init(&k, all, ARRAY_SIZE(all), " m n ");
	failure.text[0] = 0;
	err = payload_prepare(p, &k, &failure);
	assert_true(err <= 0);
	assert_true(!err || *failure.text);
	counts[err != 0]++;
	kernel_free(&k);
	free(p->bytes);
}

static void test_truncated(void **state)
{
	unsigned int counts[2] = {0};

	(void)state;
	payload = payload_make(rich);
	for (size_t size = 0; size < payload.size; size++) {
		struct payload cut = payload_copy(&payload, size);

		attempt(&cut, counts);
	}
	assert_int_equal(counts[0], 0);
	print_message("%u lengths: each refused\n", counts[1]);
}

static void test_bit_flips(void **state)
{
	unsigned int counts[2] = {0};

	(void)state;
	payload = payload_make(rich);
	for (size_t bit = 0; bit < payload.size * 8; bit++) {
		struct payload bad = payload_copy(&payload, payload.size);

		bad.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		attempt(&bad, counts);
	}
	assert_true(counts[0] && counts[1]);
	print_message("%u bits changed: %u taken, %u refused\n", counts[0] + counts[1], counts[0],
		      counts[1]);
}

static void test_random(void **state)
{
	static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff, 0xf2, 0xf1, 8};
	unsigned int counts[2] = {0};

	(void)state;
	srand(4711);
	payload = payload_make(rich);
	for (int i = 0; i < 10000; i++) {
		struct payload bad = payload_copy(&payload, payload.size);

		for (int n = 1 + rand() % 6; n; n--)
			bad.bytes[(size_t)rand() % bad.size] =
				values[(size_t)rand() % sizeof(values)];
		attempt(&bad, counts);
	}
	print_message("10000 mutants: %u taken, %u refused\n", counts[0], counts[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_vmlinux),
		TEST(test_not_one),
		TEST(test_init_memory),
		TEST(test_exported),
		TEST(test_follows),
		TEST(test_absent),
		TEST(test_follows_through_data),
		TEST(test_held_by_vmlinux),
		TEST(test_held_by_shared),
		TEST(test_held_by_call),
		TEST(test_held_by_shared_table),
		TEST(test_held_by_init),
		TEST(test_held_by_state),
		TEST(test_held_by_unknown),
		TEST(test_held_by_percpu),
		TEST(test_held_by_alternative),
		TEST(test_held_other),
		TEST(test_held_all),
		TEST(test_static_keys),
		TEST(test_static_calls),
		TEST(test_klp_rela),
		TEST(test_large),
		TEST(test_too_many),
		TEST(test_truncated),
		TEST(test_bit_flips),
		TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
