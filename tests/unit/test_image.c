/* SPDX-License-Identifier: BSD-2-Clause */
/* `suture build` reads an arm64 Image, which has no sections, and functions' entries. */
#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../ctl/ctl.h"
#include "../../ctl/entry.h"
#include "../../ctl/image.h"

#include <setjmp.h>
#include <cmocka.h>
#undef fail /* the command has one of its own */
#include <suture/bundle.h>

#define SIZE	(1u << 20)
#define NOTE	0x20010
#define VDSO	0x30000
#define BTF	0x40004
#define TYPES	0x18000u
#define STRINGS 0x100u
#define ENTRY	0x12340u

/* ---- what of ctl/main.c is called ---- */

static char said[256];

int fail(enum exit_code code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
	return code;
}

void *read_file(const char *path, size_t max, size_t *size)
{
	FILE *f = fopen(path, "r");
	char *data = malloc(2 * SIZE);

	assert_non_null(f);
	assert_true(max >= 2 * SIZE);
	*size = fread(data, 1, 2 * SIZE, f);
	fclose(f);
	return data;
}

/* ---- a made-up Image ---- */

static unsigned char bytes[SIZE];

static void put32(size_t at, uint32_t word)
{
	memcpy(bytes + at, &word, sizeof(word));
}

static void put_note(size_t at, unsigned char first)
{
	put32(at, 4);
	put32(at + 4, 20);
	put32(at + 8, NT_GNU_BUILD_ID);
	memcpy(bytes + at + 12, "GNU", 4);
	memset(bytes + at + 16, 0xab, 20);
	bytes[at + 16] = first;
}

/* A whole ELF file with a note in it, as the kernel carries for its processes. */
static void put_vdso(void)
{
	Elf64_Ehdr eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64}, .e_shoff = 0x900};

	memcpy(bytes + VDSO, &eh, sizeof(eh));
	put_note(VDSO + 0x200, 0x22);
}

static void put_btf(void)
{
	put32(BTF, 0x1eb9f);
	put32(BTF + 4, 24);
	put32(BTF + 8, 0);
	put32(BTF + 12, TYPES);
	put32(BTF + 16, TYPES);
	put32(BTF + 20, STRINGS);
}

static int setup(void **state)
{
	(void)state;
	memset(bytes, 0, sizeof(bytes));
	put32(0, 0xfa405a4d);
	put32(4, 0x14000000 | (ENTRY - 4) / 4);
	memcpy(bytes + 56, "ARM\x64", 4);
	put_note(NOTE, 0x11);
	put_vdso();
	put_btf();
	said[0] = 0;
	return 0;
}

/* image_open() of the bytes, through a file; `pack`: a command that packs it. */
static int open_image(struct image *i, const char *pack)
{
	char path[] = "/tmp/image.XXXXXX", command[128];
	int fd = mkstemp(path), r;

	assert_int_equal(write(fd, bytes, SIZE), SIZE);
	close(fd);
	if (pack) {
		snprintf(command, sizeof(command), "%s <%s >%s.packed && mv %s.packed %s", pack,
			 path, path, path, path);
		assert_int_equal(system(command), 0);
	}
	r = image_open(i, path);
	unlink(path);
	i->path = "Image";
	return r;
}

static void check_parts(const struct image *i)
{
	unsigned char id[32];
	struct extent e;

	assert_int_equal(i->machine, SUTURE_MACHINE_ARM64);
	assert_int_equal(i->size, SIZE);
	assert_int_equal(image_build_id(i, id), 20);
	assert_int_equal(id[0], 0x11);
	assert_int_equal(id[19], 0xab);
	e = image_section(i, ".BTF");
	assert_int_equal(e.address, BTF);
	assert_int_equal(e.size, 24 + TYPES + STRINGS);
	assert_int_equal(image_section(i, ".rodata").size, SIZE);
	/* where they end is not known */
	e = image_section(i, ".BTF_ids");
	assert_in_range(e.address, BTF + 24 + TYPES + STRINGS, BTF + 24 + TYPES + STRINGS + 3);
	assert_int_equal(e.size, 0x10000);
	assert_int_equal(image_entry(i), ENTRY);
	assert_int_equal(image_bytes(i, SIZE - 8, 100).size, 8);
	assert_int_equal(image_bytes(i, SIZE, 1).size, 0);
	assert_int_equal(*image_bytes(i, 56, 4).data, 'A');
}

static void test_raw(void **state)
{
	struct image i;

	(void)state;
	assert_int_equal(open_image(&i, NULL), 0);
	check_parts(&i);
	image_close(&i);
}

static void test_gzip(void **state)
{
	struct image i;

	(void)state;
	assert_int_equal(open_image(&i, "gzip -1"), 0);
	check_parts(&i);
	image_close(&i);
}

static void test_no_image(void **state)
{
	struct image i;

	(void)state;
	bytes[56] = 'a';
	assert_int_equal(open_image(&i, NULL), -1);
	assert_non_null(strstr(said, "not a vmlinux, bzImage or arm64 Image"));
	image_close(&i);
	assert_int_equal(open_image(&i, "gzip -1"), -1);
	image_close(&i);
	bytes[56] = 'A';
	assert_int_equal(open_image(&i, "(gzip -1 | head -c 500)"), -1);
	image_close(&i);
}

/* Which of two is the kernel's cannot be told. */
static void test_two_ids(void **state)
{
	unsigned char id[32];
	struct image i;

	(void)state;
	put_note(0x80000, 0x33);
	assert_int_equal(open_image(&i, NULL), 0);
	assert_int_equal(image_build_id(&i, id), -1);
	assert_non_null(strstr(said, "give --build-id HEX"));
	image_close(&i);
}

static void test_ends_in_the_middle(void **state)
{
	unsigned char id[32];
	struct image i;

	(void)state;
	memset(bytes + NOTE, 0, 64);
	put32(SIZE - 16, 4);
	put32(SIZE - 12, 20);
	put32(SIZE - 8, NT_GNU_BUILD_ID);
	memcpy(bytes + SIZE - 4, "GNU", 4);
	put32(BTF + 20, SIZE);
	assert_int_equal(open_image(&i, NULL), 0);
	assert_int_equal(image_build_id(&i, id), -1);
	assert_int_equal(image_section(&i, ".BTF").size, 0);
	image_close(&i);
}

/* ---- entries ---- */

#define BTI_C	0xd503245fu
#define NOP	0xd503201fu
#define PACIASP 0xd503233fu

static struct entry arm64(const uint32_t *code, size_t words)
{
	return entry_read(SUTURE_MACHINE_ARM64, (const unsigned char *)code, words * 4);
}

static void test_arm64_entry(void **state)
{
	static const uint32_t plain[] = {PACIASP, NOP, NOP, NOP}, site[] = {NOP, NOP, PACIASP},
			      bti[] = {BTI_C, NOP, NOP, PACIASP}, one[] = {BTI_C, NOP, PACIASP};
	struct entry e;

	(void)state;
	e = arm64(plain, 4);
	assert_false(e.site);
	assert_int_equal(e.at, 0);
	assert_int_equal(e.size, 4);
	e = arm64(site, 3);
	assert_true(e.site);
	assert_int_equal(e.at, 8);
	e = arm64(bti, 4);
	assert_true(e.site);
	assert_int_equal(e.at, 12);
	e = arm64(one, 3);
	assert_false(e.site);
	assert_int_equal(e.at, 4);
	assert_false(arm64(bti, 2).site);
	assert_int_equal(arm64(bti, 0).at, 0);
}

static void test_x86_entry(void **state)
{
	static const unsigned char code[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x1f, 0x44, 0, 0};
	struct entry e = entry_read(SUTURE_MACHINE_X86_64, code, sizeof(code));

	(void)state;
	assert_true(e.site);
	assert_int_equal(e.at, 9);
	assert_int_equal(e.size, 5);
	assert_false(entry_read(SUTURE_MACHINE_X86_64, code, 8).site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_raw, setup),
		cmocka_unit_test_setup(test_gzip, setup),
		cmocka_unit_test_setup(test_no_image, setup),
		cmocka_unit_test_setup(test_two_ids, setup),
		cmocka_unit_test_setup(test_ends_in_the_middle, setup),
		cmocka_unit_test(test_arm64_entry),
		cmocka_unit_test(test_x86_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
