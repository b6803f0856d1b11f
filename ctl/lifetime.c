/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modpost looks for the same ("section mismatch"), but not in everything: see Documentation of
 * scripts/mod/modpost.c, sectioncheck[]. Tables that the kernel itself drops with the code that
 * they are about (alternatives, jump labels, ORC, ...) may refer to it.
 */
#include "lifetime.h"

#include <string.h>
#include <suture/payload.h>

#define RO_AFTER_INIT ".data..ro_after_init"

/* struct kernel_param of linux/moduleparam.h */
#define PARAM_SIZE 40
#define PARAM_PERM 24
#define PARAM_ARG  32

#define MAX_SAID 4u

struct reference {
	struct ko_symbol from, to;
	const char *from_section;
	const GElf_Rela *rela;
	Elf_Data *bytes; /* of from_section */
	bool from_named;
};

static bool starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* ---- the referring place ---- */

/* Code that may run as long as the module is loaded. */
static bool is_code(const char *section, const GElf_Shdr *sh)
{
	return sh->sh_flags & SHF_EXECINSTR && !ko_is_init(section) && !ko_is_exit(section) &&
	       !starts(section, ".ref") && !starts(section, ".altinstr") &&
	       !starts(section, ".static_call") && !starts(section, ".discard");
}

static bool is_data(const char *section)
{
	return starts(section, ".data") || starts(section, ".rodata");
}

/* ---- the target ---- */

static bool is_pc32(const struct reference *r)
{
	GElf_Xword type = GELF_R_TYPE(r->rela->r_info);

	return type == R_X86_64_PC32 || type == R_X86_64_PLT32;
}

/* Is the byte before the opcode no part of it, and the operand at a PC-relative address? */
static const unsigned char *pc_relative(const struct reference *r)
{
	const unsigned char *p = r->bytes ? r->bytes->d_buf : NULL;
	size_t at = r->rela->r_offset;

	if (!is_pc32(r) || !p || at < 3 || at > r->bytes->d_size || (p[at - 1] & 0xc7) != 0x05 ||
	    p[at - 3] == 0x0f)
		return NULL;
	return p + at - 2;
}

/* Bytes of a constant behind an x86 instruction's address. */
static GElf_Addr constant_size(const struct reference *r)
{
	const unsigned char *opcode = pc_relative(r);

	if (!opcode)
		return 0;
	if (opcode[0] == 0xc7 || opcode[0] == 0x81)
		return opcode[-1] == 0x66 ? 2 : 4;
	return opcode[0] == 0xc6 || opcode[0] == 0x80 || opcode[0] == 0x83;
}

/* PC-relative fields count from the instruction's end. */
static GElf_Addr target_offset(const struct reference *r)
{
	GElf_Addr offset = r->to.sym.st_value + (GElf_Addr)r->rela->r_addend;

	if (is_pc32(r))
		offset += 4 + constant_size(r);
	return offset;
}

/* False: the target is not in this file. A section's symbol is replaced by the symbol of the
 * target. */
static bool find_target(const struct ko *ko, struct reference *r)
{
	struct ko_symbol named;

	if (!ko_symbol(ko, GELF_R_SYM(r->rela->r_info), &r->to) || !*r->to.section)
		return false;
	if (!*r->to.name && ko_symbol_at(ko, r->to.sym.st_shndx, target_offset(r), &named))
		r->to = named;
	return true;
}

static const char *name_of(const struct ko_symbol *s)
{
	return *s->name ? s->name : s->section;
}

/* ---- the rules ---- */

static void check_init(const struct reference *r, const char *from, struct verdict *v)
{
	verdict_fatal(v,
		      "%s uses %s, which is in %s and gone once module_init() has returned: remove "
		      "its __init (__initdata, __initconst)",
		      from, name_of(&r->to), r->to.section);
}

static void check_exit(const struct reference *r, const char *from, struct verdict *v)
{
	verdict_fatal(v,
		      "%s uses %s, which is in %s and there only for module_exit(): remove its "
		      "__exit",
		      from, name_of(&r->to), r->to.section);
}

/*
 * Is it the operand of an arm64 instruction that writes memory? Arm ARM, "Load/store register
 * (unsigned immediate)": with opc 0 it stores, and with opc 2 the 16 bytes of a vector register.
 */
static bool is_store(const struct reference *r)
{
	uint32_t insn, opc;

	switch (GELF_R_TYPE(r->rela->r_info)) {
	case R_AARCH64_LDST8_ABS_LO12_NC:
	case R_AARCH64_LDST16_ABS_LO12_NC:
	case R_AARCH64_LDST32_ABS_LO12_NC:
	case R_AARCH64_LDST64_ABS_LO12_NC:
	case R_AARCH64_LDST128_ABS_LO12_NC:
		break;
	default:
		return false;
	}
	if (!r->bytes || r->rela->r_offset + sizeof(insn) > r->bytes->d_size)
		return false;
	memcpy(&insn, (const unsigned char *)r->bytes->d_buf + r->rela->r_offset, sizeof(insn));
	opc = insn >> 22 & 3;
	return !opc || (opc == 2 && insn >> 26 & 1);
}

/* Is it the operand of an x86 instruction that writes memory? */
static bool is_write(const struct reference *r)
{
	static const unsigned char writes[] = {0x00, 0x01, 0x08, 0x09, 0x20, 0x21, 0x28,
					       0x29, 0x30, 0x31, 0x88, 0x89, 0xc6, 0xc7};
	const unsigned char *opcode = pc_relative(r);

	if (!opcode)
		return false;
	if (memchr(writes, opcode[0], sizeof(writes)))
		return true;
	/* arithmetic with a constant, but for CMP; INC and DEC */
	if (opcode[0] == 0x80 || opcode[0] == 0x81 || opcode[0] == 0x83)
		return opcode[1] >> 3 != 7;
	return (opcode[0] == 0xfe || opcode[0] == 0xff) && opcode[1] >> 3 < 2;
}

static void check_code(const struct reference *r, struct verdict *v)
{
	const char *from = r->from_named ? r->from.name : r->from_section;

	if (ko_is_init(r->to.section))
		check_init(r, from, v);
	else if (ko_is_exit(r->to.section))
		check_exit(r, from, v);
	else if (!strcmp(r->to.section, RO_AFTER_INIT) && (is_write(r) || is_store(r)))
		verdict_fatal(v,
			      "%s writes to %s, which is __ro_after_init and read-only by then: "
			      "make it __read_mostly",
			      from, name_of(&r->to));
}

/* A parameter that sysfs shows is read and written at any time. */
static void check_param(const struct reference *r, struct verdict *v)
{
	const unsigned char *p = r->bytes ? r->bytes->d_buf : NULL;
	size_t start = r->rela->r_offset / PARAM_SIZE * PARAM_SIZE;

	if (r->rela->r_offset % PARAM_SIZE != PARAM_ARG || !ko_is_init(r->to.section) || !p ||
	    start + PARAM_SIZE > r->bytes->d_size ||
	    !(p[start + PARAM_PERM] | p[start + PARAM_PERM + 1]))
		return;
	verdict_fatal(
		v,
		"the module parameter in %s is in sysfs, but its variable is gone once "
		"module_init() has returned: remove its __initdata, or give the parameter mode 0",
		name_of(&r->to));
}

static void check_reference(const struct reference *r, const GElf_Shdr *sh, struct verdict *v)
{
	const char *section = r->from_section;

	if (is_code(section, sh))
		check_code(r, v);
	else if (ko_is_exit(section) && ko_is_init(r->to.section))
		check_init(r, r->from_named ? r->from.name : section, v);
	else if (!strcmp(section, SUTURE_PATCH_SECTION) && ko_is_init(r->to.section))
		check_init(r, "klp_enable_patch()", v);
	else if (is_data(section) && r->from_named && ko_is_init(r->to.section))
		/* what has no name is the compiler's: tables for switch in functions that are
		 * __init */
		check_init(r, r->from.name, v);
	else if (!strcmp(section, "__param"))
		check_param(r, v);
}

static bool same_reference(const struct reference *a, const struct reference *b)
{
	return !strcmp(name_of(&a->to), name_of(&b->to)) &&
	       !strcmp(a->from_section, b->from_section) && a->from_named == b->from_named &&
	       (!a->from_named || !strcmp(a->from.name, b->from.name));
}

/* What was said last of a section: one line for what several relocations refer to, in turns. */
struct said {
	struct reference references[MAX_SAID];
	unsigned count;
};

static bool was_said(const struct said *said, const struct reference *r)
{
	for (unsigned i = 0; i < said->count && i < MAX_SAID; i++)
		if (same_reference(r, &said->references[i]))
			return true;
	return false;
}

static void check_section(const struct ko *ko, const GElf_Shdr *relas_sh, Elf_Data *relas,
			  struct verdict *v)
{
	struct said said = {0};
	struct reference r = {0};
	GElf_Rela rela;
	GElf_Shdr sh;

	r.from_section = ko_section(ko, relas_sh->sh_info, &sh);
	if (!(sh.sh_flags & SHF_ALLOC))
		return;
	r.bytes = elf_getdata(elf_getscn(ko->elf, relas_sh->sh_info), NULL);
	r.rela = &rela;
	for (int i = 0; relas && gelf_getrela(relas, i, &rela); i++) {
		unsigned before = v->errors;

		if (!find_target(ko, &r))
			continue;
		r.from_named = ko_symbol_at(ko, relas_sh->sh_info, rela.r_offset, &r.from);
		if (was_said(&said, &r))
			continue;
		check_reference(&r, &sh, v);
		if (v->errors != before)
			said.references[said.count++ % MAX_SAID] = r;
	}
}

void lifetime_check(const struct ko *ko, struct verdict *v)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	while ((scn = elf_nextscn(ko->elf, scn)) != NULL)
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_RELA)
			check_section(ko, &sh, elf_getdata(scn, NULL), v);
}
