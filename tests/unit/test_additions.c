/* SPDX-License-Identifier: BSD-2-Clause */
/* Which changes of a header change no file that does not use them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../ctl/diff/additions.h"

#define GUARD(text) "#ifndef H\n#define H\n" text "#endif /* H */\n"
#define STRUCT	    "struct a {\n\tint x; /* a } */\n};\n"
#define INLINE	    "static inline int f(struct a *a)\n{\n\tif (a->x)\n\t\treturn '}';\n\treturn 0;\n}\n"
#define BEFORE	    GUARD(STRUCT "\n" INLINE)

static void test_added(void **state)
{
	(void)state;
	assert_true(additions_only(BEFORE, BEFORE));
	assert_true(additions_only(BEFORE, GUARD("/* new */\n" STRUCT "int g(void);\n" INLINE)));
	assert_true(additions_only(BEFORE, GUARD(STRUCT INLINE "static inline int g(void)\n{\n"
							       "\treturn \"}\"[0];\n}\n")));
	/* as diff shows a function behind another: the brace of the one before is in it */
	assert_true(
		additions_only(BEFORE, GUARD(STRUCT "static inline int e(void)\n{\n\treturn 0;\n"
						    "}\n\n" INLINE)));
	assert_true(additions_only(BEFORE, GUARD(STRUCT INLINE "#ifdef CONFIG_A\nint g(void);\n"
							       "#else\nint h(void);\n#endif\n")));
	assert_true(additions_only(BEFORE, GUARD(STRUCT INLINE "struct b {\n\tint y;\n};\n"
							       "enum { A, B };\n")));
}

static void test_changed(void **state)
{
	static const char *const others[] = {
		/* a member, a statement, what is gone, a macro, an include */
		GUARD("struct a {\n\tint x;\n\tint y;\n};\n" INLINE),
		GUARD(STRUCT "static inline int f(struct a *a)\n{\n\tif (a->x)\n\t\treturn '}';\n"
			     "\ta->x = 1;\n\treturn 0;\n}\n"),
		GUARD(STRUCT),
		GUARD(STRUCT "#define f(a) 1\n" INLINE),
		GUARD("#include \"b.h\"\n" STRUCT INLINE),
		/* what was there gets a condition, an attribute, another order */
		GUARD(STRUCT "#ifdef CONFIG_A\n" INLINE "#endif\n"),
		GUARD("struct a {\n\tint x;\n} __packed;\n" INLINE),
		GUARD("static\n" STRUCT INLINE),
		GUARD(INLINE STRUCT),
		/* no C */
		GUARD(STRUCT INLINE "}\n"),
		GUARD(STRUCT INLINE "int g(void)\n"),
		GUARD(STRUCT INLINE "/* "),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(additions_only(BEFORE, others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_added),
		cmocka_unit_test(test_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
