/* SPDX-License-Identifier: GPL-2.0-only */
/* Payloads of arm64: clang compiles for it on any host. */
#include "helper_rig.h"

#define VENEERS                                                                                    \
	"asm(\".pushsection .suture.veneers, \\\"ax\\\", @nobits\\n\"\n"                           \
	"    \".balign 16\\nsuture_veneers:\\n.skip 16\\n.popsection\");\n"
#define MODINFO(text)                                                                              \
	"static const char info[] __attribute__((used, section(\".modinfo\"))) = " text ";\n"

static const struct suture_late_reloc *late_of(uint32_t type)
{
	for (uint32_t i = 0; i < kernel.late.nr_relocs; i++) {
		if (kernel.relocs[i].type == type)
			return &kernel.relocs[i];
	}
	fail_msg("no late relocation of type %u", type);
	return NULL;
}

static void test_vmlinux(void **state)
{
	(void)state;
	taken("extern int hidden(void), key_rw;\n"
	      "static int new(void) { return hidden() + key_rw; }\n"
	      "FUNCS(f, {\"old\", new}); PATCH({0, f})");
	absolute("hidden", 0xffffffff81000020);
	absolute("key_rw", 0xffffffff82100000);
	/* the kernel's loader applies them, and makes what branches need to reach */
	assert_int_equal(relocations(R_AARCH64_CALL26) + relocations(R_AARCH64_JUMP26), 1);
	assert_int_equal(kernel.late.nr_relocs, 0);
}

static void test_follows(void **state)
{
	const struct suture_late_reloc *call;

	(void)state;
	taken(VENEERS "extern int m_func(void), m_data;\n"
		      "int pad(void) { return 1; }\n"
		      "static noinline int helper(void) { return m_func() + 1; }\n"
		      "static int new(void) { return helper() + m_data; }\n" M_PATCH);
	assert_int_equal(late_count(&kernel, "m", "m_func"), 1);
	assert_int_equal(late_count(&kernel, "m", "m_data"), 2);
	assert_int_equal(kernel.late.nr_holds, 0);
	absolute("m_func", 0);
	assert_int_equal(relocations(R_AARCH64_NONE), 3);
	call = late_of(R_AARCH64_CALL26);
	assert_int_equal(call->addend, 0);
	assert_true(call->offset >= symbol("helper")->st_value &&
		    call->offset < symbol("helper")->st_value + symbol("helper")->st_size);
	late_of(R_AARCH64_ADR_PREL_PG_HI21);
	late_of(R_AARCH64_LDST32_ABS_LO12_NC);
}

/* A veneer for each symbol, in memory that the kernel's loader reserves. */
static void test_veneers(void **state)
{
	(void)state;
	taken(VENEERS
	      "extern int m_func(void), m_exported(void);\n"
	      "static int new(void) { return m_func() + m_exported() + m_func(); }\n" M_PATCH);
	assert_int_equal(kernel.late.nr_symbols, 2);
	assert_int_equal(kernel.late.nr_sections, 2);
	assert_int_equal(kernel.late.veneers, 1);
	assert_int_equal(kernel.sections[1].value, symbol("suture_veneers")->st_value);
	assert_int_equal(section(".suture.veneers")->sh_size, 2 * 16);
	assert_int_equal(section(".suture.veneers")->sh_type, SHT_NOBITS);
}

static void test_no_veneers(void **state)
{
	(void)state;
	taken("extern int m_data; static int new(void) { return m_data; }\n" M_PATCH);
	assert_int_equal(kernel.late.veneers, kernel.late.nr_sections);
	free(payload.bytes);
	kernel_free(&kernel);
	refused("extern int m_func(void); static int new(void) { return m_func(); }\n" M_PATCH,
		-ENOEXEC, "the payload has no section .suture.veneers");
}

/* A branch without a relocation, of a kind that no compiler uses between functions. */
static void test_held_by_branch(void **state)
{
	static const char *const branches[] = {"b target",	     "bl target",
					       "b.eq target",	     "cbz x0, target",
					       "tbnz x0, 3, target", "adr x0, target"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(branches); i++) {
		char source[1024];

		snprintf(source, sizeof(source),
			 VENEERS "extern int m_func(void);\n"
				 "int pad(void) { return 1; }\n"
				 "static noinline int target(void) asm(\"target\");\n"
				 "static noinline int target(void) { return m_func() + 1; }\n"
				 "static int new(void) { return target(); }\n"
				 "static int other(void) { asm volatile(\"%s\"); return 1; }\n"
				 "FUNCS(f, {\"old\", new}); FUNCS(g, {\"old\", other});\n"
				 "PATCH({\"m\", f}, {\"n\", g})",
			 branches[i]);
		taken(source);
		assert_true(is_held(&kernel, "m"));
		absolute("m_func", 0xffffffffa0000010);
		helper_teardown(NULL);
		helper_setup_arm64(NULL);
	}
}

/* Where the loader may turn an ADRP into a branch, what needs one is not left to the agent. */
static void test_rewritten_pages(void **state)
{
	(void)state;
	kernel.flags = SUTURE_KERNEL_REWRITES_PAGES;
	taken("extern int m_data; static int new(void) { return m_data; }\n" M_PATCH);
	assert_true(is_held(&kernel, "m"));
	assert_int_equal(relocations(R_AARCH64_ADR_PREL_PG_HI21), 1);
}

/* What ftrace reads makes nobody call the function. */
static void test_ftrace_sites(void **state)
{
	(void)state;
	taken(VENEERS "extern int m_func(void);\n"
		      "__attribute__((patchable_function_entry(2)))\n"
		      "static int new(void) { return m_func(); }\n" M_PATCH);
	assert_int_equal(late_count(&kernel, "m", "m_func"), 1);
	assert_int_equal(kernel.late.nr_holds, 0);
}

#define ALTERNATIVE(at, with)                                                                      \
	"static int new(void) { asm volatile(\"661: nop;"                                          \
	".pushsection .altinstructions,\\\"a\\\";.word " at " - .;.word " with " - .;"             \
	".hword 0x8005;.byte 4, 0;.popsection\"); return 0; }\n" M_PATCH

/* Of an alternative the loader may call a function of the kernel's, which writes to the payload. */
static void test_alternative_callback(void **state)
{
	(void)state;
	taken(ALTERNATIVE("661b", "hidden"));
	absolute("hidden", 0xffffffff81000020);
	free(payload.bytes);
	kernel_free(&kernel);
	refused(ALTERNATIVE("hidden", "661b"), -EINVAL,
		"section .altinstructions leads to 'hidden', which is not in the payload");
}

static void test_livepatch_info(void **state)
{
	static const char source[] = MODINFO("\"livepatch=Y\\0license=GPL\\0livepatch_no=1\"") //
		"extern int hidden(void); static int new(void) { return hidden(); }\n" M_PATCH;
	const char *info;

	(void)state;
	taken(source);
	info = (const char *)payload.bytes + section(".modinfo")->sh_offset;
	assert_string_equal(info, "livepatch=Y");
	helper_teardown(NULL);
	helper_setup_arm64(NULL);
	kernel.flags = SUTURE_KERNEL_NO_LIVEPATCH;
	taken(source);
	info = (const char *)payload.bytes + section(".modinfo")->sh_offset;
	assert_string_equal(info, "");
	assert_string_equal(info + sizeof("livepatch=Y"), "license=GPL");
	assert_string_equal(info + sizeof("livepatch=Y") + sizeof("license=GPL"), "livepatch_no=1");
}

#define test(name) cmocka_unit_test_setup_teardown(name, helper_setup_arm64, helper_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_vmlinux),	 test(test_follows),	    test(test_veneers),
		test(test_no_veneers),	 test(test_held_by_branch), test(test_rewritten_pages),
		test(test_ftrace_sites), test(test_livepatch_info), test(test_alternative_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
