/* SPDX-License-Identifier: GPL-2.0-only */
/* A payload's tables that the kernel's loader reads, and what kpatch-build and klp-build leave in
 * it. */
#include "helper_rig.h"

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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, helper_setup, helper_teardown)
	const struct CMUnitTest tests[] = {
		T(test_static_keys),
		T(test_static_calls),
		T(test_klp_rela),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
