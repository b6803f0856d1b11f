/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of scripts/kallsyms.c in each layout that `suture build` reads. */
#include "../../ctl/kallsyms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SIZE	 0x20000u
#define TEXT	 0xffffffff81000000ull
#define RODATA	 0xffffffff82000000ull
#define STEP	 16u /* bytes from a symbol to the next */
#define SEQ_SIZE 3u

static unsigned char bytes[SIZE];
static size_t used;

/* ---- what of ctl/image.c is called ---- */

struct extent image_section(const struct image *i, const char *name)
{
	(void)i;
	if (!strcmp(name, ".rodata"))
		return (struct extent){bytes, used, RODATA};
	return (struct extent){bytes, used, TEXT};
}

uint64_t image_entry(const struct image *i)
{
	(void)i;
	return 0;
}

/* ---- a made-up .rodata ---- */

static void put(const void *data, size_t size)
{
	memcpy(bytes + used, data, size);
	used += size;
}

static void put32(uint32_t n)
{
	put(&n, sizeof(n));
}

static void align_to(size_t to)
{
	while (used % to)
		bytes[used++] = 0;
}

static void name_of(uint32_t i, char name[16])
{
	snprintf(name, 16, i ? "Tsym_%05u" : "T_text", i);
}

/* num_syms, names, markers; a token is a character here */
static void put_names(uint32_t count)
{
	uint32_t markers[64], nr = 0;
	size_t start;
	char name[16];

	align_to(8);
	put32(count);
	align_to(8);
	start = used;
	for (uint32_t i = 0; i < count; i++) {
		unsigned char len;

		if (i % 256 == 0)
			markers[nr++] = (uint32_t)(used - start);
		name_of(i, name);
		len = (unsigned char)strlen(name);
		put(&len, 1);
		put(name, len);
	}
	align_to(8);
	put(markers, nr * sizeof(*markers));
}

/* Kernels of 6.2 and later, and stable ones: the ends of the numbers are no zeros. */
static void put_seqs(uint32_t count)
{
	align_to(8);
	memset(bytes + used, '9', count * SEQ_SIZE);
	used += count * SEQ_SIZE;
}

static void put_tokens(const char *first)
{
	uint16_t index[256];
	size_t start;

	align_to(8);
	start = used;
	for (unsigned i = 0; i < 256; i++) {
		char text[] = {(char)i, 0};

		index[i] = (uint16_t)(used - start);
		if (!i)
			put(first, strlen(first) + 1);
		else
			put(text, 2);
	}
	align_to(8);
	put(index, sizeof(index));
}

static void put_offsets(uint32_t count, bool negative)
{
	align_to(8);
	for (uint32_t i = 0; i < count; i++)
		put32(negative ? ~(i * STEP) : i * STEP);
}

static void put_base(void)
{
	uint64_t base = TEXT;

	align_to(8);
	put(&base, sizeof(base));
}

static void until_6_3(uint32_t count, const char *first)
{
	put_offsets(count, true);
	put_base();
	put_names(count);
	put_seqs(count);
	put_tokens(first);
}

static void until_6_14(uint32_t count, const char *first)
{
	put_names(count);
	put_tokens(first);
	put_offsets(count, true);
	put_base();
	put_seqs(count);
}

static void since_6_15(uint32_t count, const char *first)
{
	put_names(count);
	put_tokens(first);
	put_offsets(count, false);
	put_base();
	put_seqs(count);
}

static void from_itself(uint32_t count, const char *first)
{
	put_names(count);
	put_tokens(first);
	align_to(4);
	for (uint32_t i = 0, place; i < count; i++) {
		place = (uint32_t)(RODATA + used);
		put32((uint32_t)TEXT + i * STEP - place);
	}
}

/* ---- tests ---- */

static void check_layout(void (*make)(uint32_t count, const char *first), uint32_t count,
			 const char *first)
{
	struct image image = {0};
	struct kallsyms k;
	char name[16];

	used = 64;
	memset(bytes, 'x', used);
	make(count, first);
	assert_int_equal(kallsyms_read(&k, &image), 0);
	assert_int_equal(k.count, count);
	for (uint32_t i = 0; i < count; i++) {
		name_of(i, name);
		assert_int_equal(k.syms[i].type, 'T');
		assert_string_equal(k.syms[i].name, name + 1);
		assert_int_equal(kallsyms_address(&k, name + 1), TEXT + i * STEP);
	}
	kallsyms_free(&k);
}

/*
 * What is in front of the tables ends everywhere between two aligned addresses: where it ends at
 * one, no zero separates it from the first token.
 */
static void check_counts(void (*make)(uint32_t count, const char *first))
{
	static const char *const firsts[] = {"", "T", "Tp", "\x01\x02\x03\x04\x05\x06\x07\x08\x09"};

	for (uint32_t count = 1000; count < 1008; count++)
		for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
			check_layout(make, count, firsts[i]);
}

static void test_until_6_3(void **state)
{
	(void)state;
	check_counts(until_6_3);
}

static void test_until_6_14(void **state)
{
	(void)state;
	check_counts(until_6_14);
}

static void test_since_6_15(void **state)
{
	(void)state;
	check_counts(since_6_15);
}

static void test_from_itself(void **state)
{
	(void)state;
	check_counts(from_itself);
}

/* A table that is cut off is none. */
static void test_cut_off(void **state)
{
	struct image image = {0};
	struct kallsyms k;

	(void)state;
	used = 64;
	until_6_3(1000, "T");
	used -= 8;
	assert_int_equal(kallsyms_read(&k, &image), -1);
	kallsyms_free(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_until_6_3),  cmocka_unit_test(test_until_6_14),
		cmocka_unit_test(test_since_6_15), cmocka_unit_test(test_from_itself),
		cmocka_unit_test(test_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
