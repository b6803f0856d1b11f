/* SPDX-License-Identifier: GPL-2.0-only */
/* The changes that the agent's helper makes to a payload before the kernel's loader gets it. */
#include "helper_rig.h"

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

/* The functions that are replaced are looked up with the symbols that are used. */
static void test_one_pass(void **state)
{
	(void)state;
	taken("extern int hidden(void);\n"
	      "static int new(void) { return hidden(); }\n"
	      "FUNCS(f, {\"old\", new}, {\"other\", new}); FUNCS(g, {\"m_func\", new});\n"
	      "PATCH({.funcs = f}, {\"m\", g})");
	assert_int_equal(kernel.nr_requests, 1);
	assert_string_equal(kernel.functions, " old other ");
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
		kernel.nr_symbols = NR_SYMBOLS;
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

/* No caller is found. */
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

/*
 * The field of a jump out of the payload is zero, as if it led to what follows; functions that the
 * compiler takes for cold follow each other without a gap.
 */
static void test_follows_behind_a_jump(void **state)
{
	(void)state;
	taken("extern int new(void), kernel(void);\n"
	      "asm(\".text;.type kernel, @function;kernel: jmp printk_;.size kernel, . - "
	      "kernel;\"\n"
	      "    \".type new, @function;new: jmp m_func;.size new, . - new;\");\n" TWO_OBJECTS);
	assert_int_equal(late_count(&kernel, "m", "m_func"), 1);
	assert_false(is_held(&kernel, "m"));
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, helper_setup, helper_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_vmlinux),
		TEST(test_one_pass),
		TEST(test_not_one),
		TEST(test_init_memory),
		TEST(test_exported),
		TEST(test_follows),
		TEST(test_absent),
		TEST(test_follows_through_data),
		TEST(test_follows_behind_a_jump),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
