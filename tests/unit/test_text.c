/* SPDX-License-Identifier: BSD-2-Clause */
/* A payload's text in the simulated guest, compared with the module that its bundle has. */
#include <stdlib.h>
#include "switch_rig.h"
#include "patch/text/elf.h"
#include "patch/text/text.h"

#define TEXT	   NEW_A
#define TEXT_SIZE  64u
#define SPAN	   0x100u /* of the declared text: zeros are behind the code */
#define CALLEE	   (SYN_TEXT + 0x2340)
#define FIRST_REF  8u
#define SECOND_REF 40u
#define FUNC	   16u /* where the new function is */
#define ABS64	   1u  /* the fake's relocations */
#define CALL64	   2u

/* the tables of sites come last: only one test has them */
enum {
	S_NULL,
	S_TEXT,
	S_RELA,
	S_INIT,
	S_SYMTAB,
	S_STRTAB,
	S_FIRST,
	S_FIRST_RELA,
	S_SECOND,
	S_SECOND_RELA,
	NR_SECTIONS
};
enum { SYM_NULL, SYM_CALLEE, SYM_TEXT, NR_SYMBOLS };

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

static struct file {
	struct elf_header header;
	struct elf_section sections[NR_SECTIONS];
	u8 text[TEXT_SIZE];
	struct elf_reloc relocs[2];
	struct elf_symbol symbols[NR_SYMBOLS];
	u8 sites[2][8];
	struct elf_reloc site_relocs[2];
	char strings[64];
} file;

static struct suture_manifest_func manifest_func;
static struct suture_manifest_symbol manifest_symbol;
static struct bundle bundle;
static struct text_func declared;
static struct text_query query;
static char why[256];

static void put_section(u32 i, u32 type, u64 flags, const void *bytes, u64 size)
{
	file.sections[i] = (struct elf_section){.type = type,
						.flags = flags,
						.offset = (u64)((const u8 *)bytes - (u8 *)&file),
						.size = size,
						.align = 16};
}

static void make_file(void)
{
	static const u8 ident[16] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

	memset(&file, 0, sizeof(file));
	memcpy(file.header.ident, ident, sizeof(ident));
	file.header.shoff = offsetof(struct file, sections);
	file.header.shentsize = sizeof(struct elf_section);
	file.header.shnum = S_FIRST;
	file.header.shstrndx = S_STRTAB;
	memcpy(file.strings, "\0.text\0.init.text", 18);
	put_section(S_TEXT, 1, ELF_ALLOC | ELF_EXEC, file.text, sizeof(file.text));
	put_section(S_RELA, ELF_RELA, 0, file.relocs, sizeof(file.relocs));
	put_section(S_INIT, 1, ELF_ALLOC | ELF_EXEC, file.text, 16);
	put_section(S_SYMTAB, 2, 0, file.symbols, sizeof(file.symbols));
	put_section(S_STRTAB, 3, 0, file.strings, sizeof(file.strings));
	file.sections[S_TEXT].name = 1;
	file.sections[S_INIT].name = 7;
	file.sections[S_RELA].info = S_TEXT;
	file.sections[S_SYMTAB].link = S_STRTAB;
	for (u32 i = 0; i < TEXT_SIZE; i++)
		file.text[i] = (u8)(i + 1);
	file.relocs[0] = (struct elf_reloc){SECOND_REF, (u64)SYM_CALLEE << 32 | ABS64, 0};
	file.relocs[1] = (struct elf_reloc){FIRST_REF, (u64)SYM_CALLEE << 32 | ABS64, 4};
}

/* As the guest's loader does. */
static void load(void)
{
	u64 value = CALLEE + 4;
	u8 *text = syn_at(TEXT);

	memset(text, 0, SPAN);
	memcpy(text, file.text, TEXT_SIZE);
	memcpy(text + FIRST_REF, &value, 8);
	value -= 4;
	memcpy(text + SECOND_REF, &value, 8);
}

static int begin(void **state)
{
	int err = setup(state);

	make_file();
	load();
	manifest_func = (struct suture_manifest_func){
		.new_section = S_TEXT, .new_offset = FUNC, .old_offset = A - SYN_TEXT};
	manifest_symbol =
		(struct suture_manifest_symbol){.index = SYM_CALLEE, .offset = CALLEE - SYN_TEXT};
	bundle = (struct bundle){.payload = (u8 *)&file,
				 .payload_size = sizeof(file),
				 .funcs = (u8 *)&manifest_func,
				 .symbols = (u8 *)&manifest_symbol,
				 .strings = "f",
				 .manifest = {.nr_funcs = 1}};
	declared = (struct text_func){A, TEXT + FUNC};
	query = (struct text_query){&bundle, TEXT, TEXT + SPAN, &declared};
	return err;
}

static int look(void)
{
	why[0] = 0;
	return text_check(&query, why, sizeof(why));
}

static void assert_differs(const char *text)
{
	assert_int_equal(look(), -EBADMSG);
	if (!strstr(why, text))
		fail_msg("\"%s\" does not say \"%s\"", why, text);
}

static void the_same(void **state)
{
	struct pool_stats s;

	(void)state;
	if (look())
		fail_msg("%s", why);
	pool_stats(&s);
	assert_int_equal(s.used_pages, pool_before.used_pages);
}

static void every_byte(void **state)
{
	u8 *text = syn_at(TEXT);

	(void)state;
	for (u32 i = 0; i < SPAN; i++) {
		text[i] ^= 0x40;
		assert_int_equal(look(), -EBADMSG);
		text[i] ^= 0x40;
	}
	text[TEXT_SIZE - 1]++;
	assert_differs(".text+0x3f) is 41 in the guest, 40 in the bundle");
	text[TEXT_SIZE - 1]--;
	text[TEXT_SIZE + 1]++;
	assert_differs("the guest has code at 0xffffffff81008041, where the bundle has none");
}

static void add_table(u32 section, const char *name, u32 at)
{
	u32 n = (section - S_FIRST) / 2;

	memcpy(file.strings + at, name, strlen(name) + 1);
	put_section(section, 1, ELF_ALLOC, file.sites[n], sizeof(file.sites[n]));
	put_section(section + 1, ELF_RELA, 0, &file.site_relocs[n], sizeof(file.site_relocs[n]));
	file.sections[section].name = at;
	file.sections[section + 1].info = section;
	file.site_relocs[n] = (struct elf_reloc){0, (u64)SYM_TEXT << 32 | ABS64, FIRST_REF - 1};
	file.symbols[SYM_TEXT].section = S_TEXT;
	file.header.shnum = NR_SECTIONS;
}

/* A place that two tables name may have a value of either, and else what the file has, relocated.
 */
static void two_tables(void **state)
{
	u8 *text = syn_at(TEXT);

	(void)state;
	add_table(S_FIRST, ".first_sites", 20);
	add_table(S_SECOND, ".second_sites", 40);
	assert_int_equal(look(), 0);
	text[FIRST_REF - 1] = 0xa0;
	assert_int_equal(look(), 0);
	text[FIRST_REF - 1] = 0xa1;
	assert_int_equal(look(), 0);
	text[FIRST_REF - 1] = 0xa2;
	assert_differs("at 0xffffffff81008007, which .first_sites names, none of the values");
	load();
	memcpy(text + FIRST_REF, file.text + FIRST_REF, 8);
	assert_differs("at 0xffffffff81008007, which .first_sites names, none of the values");
}

/* What a guest does to a payload's code itself is named, with the way out. */
static void named_causes(void **state)
{
	static const u8 counts[] = {0x65};
	u8 *text = syn_at(TEXT);
	u64 value = CALLEE + 4 - 10;

	(void)state;
	text[2] = 0xcc;
	assert_differs(
		"03 in the bundle: a kprobe does this; remove it (/sys/kernel/debug/kprobes/list");
	load();
	/* it has written over a reference, too */
	bundle.manifest.nr_symbols = 1;
	memset(text + FIRST_REF - 1, 0xcc, 5);
	assert_differs("which the bundle does not: a kprobe does this");
	load();
	file.relocs[1].info = (u64)SYM_CALLEE << 32 | CALL64;
	memcpy(text + FIRST_REF, &value, 8);
	memcpy(syn_at(value), counts, sizeof(counts));
	assert_differs("which the bundle does not: the kernel counts calls; boot it with another "
		       "value of retbleed=");
}

/* Both references lead elsewhere, to code too. */
static void another_symbol(void **state)
{
	u8 *text = syn_at(TEXT);
	u64 value = CALLEE + 4 + 16;

	(void)state;
	memcpy(text + FIRST_REF, &value, 8);
	assert_differs("refers to");
	value -= 4;
	memcpy(text + SECOND_REF, &value, 8);
	assert_int_equal(look(), 0); /* the bundle does not tell where it is */
	bundle.manifest.nr_symbols = 1;
	assert_differs("the payload's text at 0xffffffff81008008 refers to 0xffffffff81002354");
	load();
	assert_int_equal(look(), 0);
}

static void the_declaration(void **state)
{
	(void)state;
	declared.new_addr += 16;
	assert_differs("declares the new 'f' at 0xffffffff81008020");
	declared.new_addr -= 16;
	declared.old_addr += 16;
	assert_differs("declares 'f' at 0xffffffff81001010, where the kernel has something else");
	manifest_func.old_offset = SUTURE_MANIFEST_UNKNOWN;
	assert_int_equal(look(), 0);
	manifest_func.new_section = S_INIT;
	assert_int_equal(look(), -ENOEXEC);
	query.funcs = NULL;
	assert_int_equal(look(), 0);
	query.end = query.start + TEXT_SIZE - 1;
	assert_differs("fewer than in the bundle");
	query.end = query.start;
	assert_differs("a payload's text of 0 bytes");
}

static void unmapped_text(void **state)
{
	(void)state;
	syn_unmap(ALIGN_DOWN(TEXT, PAGE_SIZE));
	assert_int_equal(look(), -EFAULT);
	assert_non_null(strstr(why, "does not map the payload's text"));
}

/* What is not understood is refused, and no byte outside of the file is read. */
static void damaged_files(void **state)
{
	const struct file good = file;
	u32 seed = 1;

	(void)state;
	for (size_t size = 0; size < sizeof(file); size++) {
		u8 *copy = malloc(size + 1);

		memcpy(copy, &file, size);
		bundle.payload = copy;
		bundle.payload_size = size;
		look();
		free(copy);
	}
	bundle.payload = (u8 *)&file;
	bundle.payload_size = sizeof(file);
	for (u32 i = 0; i < 4000; i++) {
		for (u32 n = 0; n < 1 + i % 3; n++) {
			seed = seed * 1103515245 + 12345;
			((u8 *)&file)[(seed >> 8) % offsetof(struct file, strings)] ^=
				(u8)(1u << (seed >> 4 & 7));
		}
		look();
		file = good;
	}
	assert_int_equal(look(), 0);
	file.relocs[0].info = (u64)SYM_CALLEE << 32 | 99;
	assert_int_equal(look(), -ENOEXEC);
	assert_non_null(strstr(why, "a relocation of type 99"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_same, begin, teardown),
		cmocka_unit_test_setup_teardown(every_byte, begin, teardown),
		cmocka_unit_test_setup_teardown(two_tables, begin, teardown),
		cmocka_unit_test_setup_teardown(named_causes, begin, teardown),
		cmocka_unit_test_setup_teardown(another_symbol, begin, teardown),
		cmocka_unit_test_setup_teardown(the_declaration, begin, teardown),
		cmocka_unit_test_setup_teardown(unmapped_text, begin, teardown),
		cmocka_unit_test_setup_teardown(damaged_files, begin, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
