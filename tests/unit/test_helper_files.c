/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that are too large, damaged, or no payloads: the helper refuses them, and reads only their
 * bytes.
 */
#include "helper_rig.h"

#include <time.h>

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
	refused(source, -E2BIG, "undefined symbols, at most 16384 can be");
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

	kernel_init(&k, all_symbols, NR_SYMBOLS, " m n ");
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, helper_setup, helper_teardown)
	const struct CMUnitTest tests[] = {
		T(test_large),	   T(test_too_many), T(test_truncated),
		T(test_bit_flips), T(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
