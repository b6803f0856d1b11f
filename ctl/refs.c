/* SPDX-License-Identifier: BSD-2-Clause */
#include "refs.h"
#include "refs_scan.h"

#include <stdlib.h>
#include <string.h>
#include <suture/bundle.h>

/* Where modules are; any address would do that a sign-extended 32-bit word can name. */
#define MODULE_BASE 0xffffffffa0000000ull

/* ---- the areas that are scanned ---- */

/* Unwind tables, and lists of places for tracers and mitigations: no function is called by them. */
static bool is_list(const char *name)
{
	static const char *const lists[] = {
		".orc_unwind_ip",
		".orc_unwind",
		".orc_header",
		".BTF",
		".BTF_ids",
		".notes",
		".ibt_endbr_seal",
		".return_sites",
		".retpoline_sites",
		".call_sites",
		".cfi_sites",
		"__mcount_loc",
		"__patchable_function_entries",
		"_kprobe_blacklist",
		"_error_injection_whitelist",
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (!strcmp(name, lists[i]))
			return true;
	return false;
}

/* The same in a vmlinux, where they are within other sections. */
static const struct {
	const char *start, *end;
} kernel_lists[] = {
	{"__start_mcount_loc", "__stop_mcount_loc"},
	{"__start_kprobe_blacklist", "__stop_kprobe_blacklist"},
	{"__start_error_injection_whitelist", "__stop_error_injection_whitelist"},
};

#define NR_CUTS (sizeof(kernel_lists) / sizeof(kernel_lists[0]) + 1)

static void add_area(struct areas *a, struct area area)
{
	if (a->count == AREAS_MAX)
		a->full = true;
	else if (area.size)
		a->list[a->count++] = area;
}

void refs_add_cut(struct areas *a, struct area area, const struct span *cuts, size_t nr_cuts)
{
	uint64_t end = area.address + area.size;
	struct area before = area;

	for (; nr_cuts; cuts++, nr_cuts--) {
		if (cuts->start < area.address || cuts->end > end || cuts->start >= cuts->end)
			continue;
		before.size = cuts->start - area.address;
		refs_add_cut(a, before, cuts + 1, nr_cuts - 1);
		area.data += cuts->end - area.address;
		area.size = end - cuts->end;
		area.address = cuts->end;
		refs_add_cut(a, area, cuts + 1, nr_cuts - 1);
		return;
	}
	add_area(a, area);
}

/* The parts of sections that areas_of_kernel() leaves out. */
static void find_cuts(const struct kallsyms *syms, struct span cuts[NR_CUTS])
{
	for (size_t i = 0; i < NR_CUTS - 1; i++)
		cuts[i] = (struct span){kallsyms_address(syms, kernel_lists[i].start),
					kallsyms_address(syms, kernel_lists[i].end)};
	cuts[NR_CUTS - 1] = (struct span){syms->table, syms->table_end};
}

/* Code that alternatives copy into the kernel's text lies in memory that is freed. */
static bool is_init(const char *name, uint64_t address, uint64_t init, uint64_t end)
{
	return address >= init && address < end && strcmp(name, ".altinstr_replacement") != 0;
}

int areas_of_kernel(struct areas *a, const struct kernel *k)
{
	uint64_t init = kallsyms_address(&k->syms, "__init_begin");
	uint64_t init_end = kallsyms_address(&k->syms, "__init_end");
	struct span cuts[NR_CUTS];
	size_t strings = 0;
	Elf_Scn *scn = NULL;
	const char *name;
	GElf_Shdr sh;

	*a = (struct areas){.machine = k->image.machine};
	find_cuts(&k->syms, cuts);
	if (!k->image.elf)
		return refs_arm64_image(a, k, cuts, NR_CUTS);
	if (elf_getshdrstrndx(k->image.elf, &strings))
		return -1;
	while ((scn = elf_nextscn(k->image.elf, scn)) != NULL) {
		if (!gelf_getshdr(scn, &sh) || sh.sh_type == SHT_NOBITS ||
		    !(sh.sh_flags & SHF_ALLOC) || sh.sh_offset > k->image.size ||
		    sh.sh_size > k->image.size - sh.sh_offset)
			continue;
		name = elf_strptr(k->image.elf, strings, sh.sh_name);
		if (!name || is_list(name))
			continue;
		refs_add_cut(a,
			     (struct area){.data = (unsigned char *)k->image.data + sh.sh_offset,
					   .size = sh.sh_size,
					   .address = sh.sh_addr,
					   .code = sh.sh_flags & SHF_EXECINSTR,
					   .init = is_init(name, sh.sh_addr, init, init_end)},
			     cuts, NR_CUTS);
	}
	return a->full ? -1 : 0;
}

/* ---- a module's file, linked ---- */

uint64_t areas_address(const struct areas *a, size_t section, uint64_t offset)
{
	for (unsigned i = 0; i < a->count; i++)
		if (a->list[i].section == section)
			return a->list[i].address + offset;
	return 0;
}

static struct area *area_of(struct areas *a, size_t section)
{
	for (unsigned i = 0; i < a->count; i++)
		if (a->list[i].section == section)
			return &a->list[i];
	return NULL;
}

static void x86_relocate(const struct area *area, const GElf_Rela *r, uint64_t value)
{
	uint64_t place = area->address + r->r_offset;
	size_t size = 4;

	switch (GELF_R_TYPE(r->r_info)) {
	case R_X86_64_64:
		size = 8;
		break;
	case R_X86_64_PC64:
		size = 8;
		value -= place;
		break;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		value -= place;
		break;
	}
	if (r->r_offset <= area->size && size <= area->size - r->r_offset)
		memcpy(area->data + r->r_offset, &value, size);
}

/* References out of the module are not changed. */
static void relocate_section(struct areas *a, const struct ko *ko, Elf_Scn *scn,
			     const GElf_Shdr *sh)
{
	struct area *area = area_of(a, sh->sh_info);
	Elf_Data *d = elf_getdata(scn, NULL);
	struct ko_symbol s;
	uint64_t value;
	GElf_Rela r;

	for (int i = 0; area && d && gelf_getrela(d, i, &r); i++) {
		if (!ko_symbol(ko, GELF_R_SYM(r.r_info), &s))
			continue;
		value = areas_address(a, s.sym.st_shndx, s.sym.st_value);
		if (value && a->machine == SUTURE_MACHINE_ARM64)
			refs_arm64_relocate(area, &r, value + (uint64_t)r.r_addend);
		else if (value)
			x86_relocate(area, &r, value + (uint64_t)r.r_addend);
	}
}

static bool is_scanned(const GElf_Shdr *sh, const char *name)
{
	return sh->sh_flags & SHF_ALLOC && sh->sh_size && !is_list(name);
}

/* Give each section its place; into `copy` if it is not NULL. Returns the bytes of all. */
static size_t lay_out(struct areas *a, const struct ko *ko, unsigned char *copy)
{
	Elf_Scn *scn = NULL;
	const char *name;
	size_t at = 0;
	GElf_Shdr sh;
	Elf_Data *d;

	while ((scn = elf_nextscn(ko->elf, scn)) != NULL) {
		name = ko_section(ko, elf_ndxscn(scn), &sh);
		if (!is_scanned(&sh, name))
			continue;
		d = elf_getdata(scn, NULL);
		if (copy && d && d->d_buf)
			memcpy(copy + at, d->d_buf,
			       d->d_size < sh.sh_size ? d->d_size : sh.sh_size);
		if (copy)
			add_area(a, (struct area){.data = copy + at,
						  .size = sh.sh_size,
						  .address = MODULE_BASE + at,
						  .code = sh.sh_flags & SHF_EXECINSTR,
						  .init = ko_is_init(name),
						  .section = elf_ndxscn(scn)});
		at = (at + sh.sh_size + 63) & ~(size_t)63;
	}
	return at;
}

int areas_of_module(struct areas *a, const struct ko *ko)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	*a = (struct areas){.machine = ko->machine};
	a->copy = calloc(1, lay_out(a, ko, NULL) + 1);
	if (!a->copy)
		return -1;
	lay_out(a, ko, a->copy);
	while ((scn = elf_nextscn(ko->elf, scn)) != NULL)
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_RELA)
			relocate_section(a, ko, scn, &sh);
	return a->full ? -1 : 0;
}

void areas_free(struct areas *a)
{
	free(a->copy);
	*a = (struct areas){0};
}

/* ---- the scan ---- */

static int by_address(const void *key, const void *entry)
{
	const uint64_t *a = key, *b = entry;

	return *a < *b ? -1 : *a > *b;
}

void refs_look(const struct scan *s, uint64_t address, const struct ref *ref)
{
	const uint64_t *found = NULL;

	if (s->heads[address % HEADS])
		found = bsearch(&address, s->targets, s->count, sizeof(*found), by_address);
	while (found && found > s->targets && found[-1] == address)
		found--;
	for (; found && found < s->targets + s->count && *found == address; found++)
		s->fn(s->data, (unsigned)(found - s->targets), ref);
}

/* The length of the opcode of a call, jmp or jcc whose 32-bit displacement is there; or 0. */
static unsigned opcode_length(const unsigned char *data, size_t at)
{
	if (at >= 1 && (data[at - 1] & 0xfe) == 0xe8)
		return 1;
	return at >= 2 && data[at - 2] == 0x0f && (data[at - 1] & 0xf0) == 0x80 ? 2 : 0;
}

/* A displacement that ends the instruction: of a branch, or of LEA, RIP-relative. */
static void look_relative(const struct scan *s, const struct area *a, size_t at, int32_t word)
{
	unsigned opcode = opcode_length(a->data, at);
	struct ref ref = {a->address + at - opcode, opcode, a->init};

	refs_look(s, a->address + at + 4 + (uint64_t)(int64_t)word, &ref);
}

/* Within a source file the assembler makes branches short where it can: jmp, jcc. */
static void look_short(const struct scan *s, const struct area *a, size_t at)
{
	struct ref ref = {a->address + at, true, a->init};
	int8_t displacement = (int8_t)a->data[at + 1];

	if (a->data[at] == 0xeb || (a->data[at] & 0xf0) == 0x70)
		refs_look(s, ref.place + 2 + (uint64_t)(int64_t)displacement, &ref);
}

static void x86_scan(const struct scan *s, const struct area *a)
{
	struct ref ref = {.init = a->init};

	for (size_t at = 0; at + 4 <= a->size; at++) {
		int32_t word;

		memcpy(&word, a->data + at, sizeof(word));
		ref.place = a->address + at;
		/* an address, or the low half of one */
		refs_look(s, (uint64_t)(int64_t)word, &ref);
		if (a->code) {
			look_relative(s, a, at, word);
			look_short(s, a, at);
		} else if (ref.place % 4 == 0) {
			refs_look(s, ref.place + (uint64_t)(int64_t)word, &ref);
		}
	}
}

void refs_find(const struct areas *a, const uint64_t *targets, unsigned count, refs_fn fn,
	       void *data)
{
	static struct scan s;

	s = (struct scan){.areas = a, .targets = targets, .count = count, .fn = fn, .data = data};
	for (unsigned i = 0; i < count; i++)
		s.heads[targets[i] % HEADS] = 1;
	for (unsigned i = 0; i < a->count; i++)
		if (a->machine == SUTURE_MACHINE_ARM64)
			refs_arm64_scan(&s, &a->list[i]);
		else
			x86_scan(&s, &a->list[i]);
}
