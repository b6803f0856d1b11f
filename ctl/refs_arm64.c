/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References in code of arm64 (Arm ARM DDI 0487, C4.1; ELF for the Arm 64-bit Architecture, 5.7).
 * An address is formed by ADRP and ADD, is a word that the kernel relocates when it starts, or is
 * the distance from its place.
 */
#include "refs_scan.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

static uint32_t insn_at(const struct area *a, size_t at)
{
	uint32_t insn;

	memcpy(&insn, a->data + at, sizeof(insn));
	return insn;
}

static uint64_t word_at(const void *data, size_t at)
{
	uint64_t word;

	memcpy(&word, (const unsigned char *)data + at, sizeof(word));
	return word;
}

/* ---- the parts of an Image ---- */

/* Linux places its Image at a multiple of that, for modules' sake, and it is smaller. */
#define KERNEL_ALIGN (128ull << 20)

#define RELOCATIONS_MIN 1000u /* fewer are none of a kernel */

/* Entries of .rela.dyn. */
struct relocations {
	size_t start; /* in the Image */
	size_t count;
	uint64_t base; /* what address the Image is linked to */
};

static bool is_relative(const struct image *i, size_t at, uint64_t base)
{
	uint64_t place;

	if (at + sizeof(Elf64_Rela) > i->size || word_at(i->data, at + 8) != R_AARCH64_RELATIVE)
		return false;
	place = word_at(i->data, at);
	return base ? place - base <= i->size - 8 : place >> 47 == 0x1ffff;
}

/* The Image has one such table; what follows one another in another way is none. */
static bool find_relocations(const struct image *i, struct relocations *r)
{
	for (size_t at = 0; at + sizeof(Elf64_Rela) <= i->size; at += 8) {
		if (!is_relative(i, at, 0))
			continue;
		*r = (struct relocations){.start = at,
					  .base = word_at(i->data, at) & ~(KERNEL_ALIGN - 1)};
		while (is_relative(i, at + r->count * sizeof(Elf64_Rela), r->base))
			r->count++;
		if (r->count > RELOCATIONS_MIN)
			return true;
	}
	return false;
}

static Elf64_Rela relocation(const struct image *i, const struct relocations *r, size_t n)
{
	Elf64_Rela rela;

	memcpy(&rela, (const unsigned char *)i->data + r->start + n * sizeof(rela), sizeof(rela));
	rela.r_offset -= r->base;
	return rela;
}

static bool is_in(const struct span *span, uint64_t at)
{
	return at >= span->start && at < span->end;
}

#define LIST_MIN 64u /* functions: more than any table of callbacks in init data has */

/*
 * The lists that name functions and are no use of them, as runs of addresses of code in init data:
 * ftrace's sites, which are the entries of functions where these have no landing pad, and the
 * functions that kprobes refuse. An Image has no symbol for them unless CONFIG_KALLSYMS_ALL is set.
 * Linux's linker script puts .init.data between .init.text and .rela.dyn.
 */
static size_t find_lists(const struct image *i, const struct relocations *r,
			 const struct span *text, const struct span *init,
			 struct span cuts[IMAGE_CUTS], size_t nr_cuts)
{
	struct span run = {0}, data = {init->end, r->start};

	for (size_t n = 0; n <= r->count; n++) {
		Elf64_Rela rela = n < r->count ? relocation(i, r, n) : (Elf64_Rela){0};
		uint64_t to = (uint64_t)rela.r_addend - r->base;
		bool listed = is_in(&data, rela.r_offset) && (is_in(text, to) || is_in(init, to));

		if (listed && rela.r_offset == run.end) {
			run.end += 8;
			continue;
		}
		if (run.end - run.start >= 8 * LIST_MIN && nr_cuts < IMAGE_CUTS)
			cuts[nr_cuts++] = run;
		run = listed ? (struct span){rela.r_offset, rela.r_offset + 8} : (struct span){0};
	}
	return nr_cuts;
}

static void apply(struct areas *a, const struct image *i, const struct relocations *r)
{
	memcpy(a->copy, i->data, i->size);
	for (size_t n = 0; n < r->count; n++) {
		Elf64_Rela rela = relocation(i, r, n);

		memcpy((unsigned char *)a->copy + rela.r_offset, &rela.r_addend, 8);
	}
}

static void add_part(struct areas *a, const struct span *part, bool code, bool init,
		     const struct span *cuts, size_t nr_cuts)
{
	if (part->start < part->end)
		refs_add_cut(a,
			     (struct area){.data = (unsigned char *)a->copy + part->start,
					   .size = part->end - part->start,
					   .address = part->start,
					   .code = code,
					   .init = init},
			     cuts, nr_cuts);
}

int refs_arm64_image(struct areas *a, const struct kernel *k, const struct span *cuts,
		     size_t nr_cuts)
{
	const struct image *i = &k->image;
	struct span text = {kallsyms_address(&k->syms, "_stext"),
			    kallsyms_address(&k->syms, "_etext")};
	struct span init = {kallsyms_address(&k->syms, "_sinittext"),
			    kallsyms_address(&k->syms, "_einittext")};
	struct span all[IMAGE_CUTS];
	struct relocations r;

	if (text.start >= text.end || text.end > init.start || init.start >= init.end ||
	    init.end > i->size || nr_cuts + 3 > IMAGE_CUTS || !find_relocations(i, &r))
		return -1;
	a->copy = malloc(i->size);
	if (!a->copy)
		return -1;
	a->base = r.base;
	apply(a, i, &r);
	memcpy(all, cuts, nr_cuts * sizeof(*cuts));
	all[nr_cuts++] = (struct span){r.start, r.start + r.count * sizeof(Elf64_Rela)};
	nr_cuts = find_lists(i, &r, &text, &init, all, nr_cuts);
	add_part(a, &(struct span){0, text.start}, false, false, all, nr_cuts);
	add_part(a, &text, true, false, all, nr_cuts);
	add_part(a, &(struct span){text.end, init.start}, false, false, all, nr_cuts);
	add_part(a, &init, true, true, all, nr_cuts);
	add_part(a, &(struct span){init.end, i->size}, false, false, all, nr_cuts);
	return a->full ? -1 : 0;
}

/* ---- relocations of a module ---- */

static uint32_t adrp(uint32_t insn, uint64_t pages)
{
	return (insn & 0x9f00001f) | (uint32_t)(pages & 3) << 29 |
	       (uint32_t)(pages >> 2 & 0x7ffff) << 5;
}

void refs_arm64_relocate(const struct area *area, const GElf_Rela *r, uint64_t value)
{
	uint64_t place = area->address + r->r_offset, word = value;
	unsigned type = GELF_R_TYPE(r->r_info);
	size_t size = type == R_AARCH64_ABS64 || type == R_AARCH64_PREL64 ? 8 : 4;
	uint32_t insn;

	if (r->r_offset > area->size || size > area->size - r->r_offset)
		return;
	insn = insn_at(area, r->r_offset);
	switch (type) {
	case R_AARCH64_PREL64:
	case R_AARCH64_PREL32:
		word = value - place;
		break;
	case R_AARCH64_CALL26:
	case R_AARCH64_JUMP26:
		word = (insn & 0xfc000000) | ((value - place) >> 2 & 0x3ffffff);
		break;
	case R_AARCH64_ADR_PREL_PG_HI21:
	case R_AARCH64_ADR_PREL_PG_HI21_NC:
		word = adrp(insn, (value >> 12) - (place >> 12));
		break;
	case R_AARCH64_ADD_ABS_LO12_NC:
		word = (insn & 0xffc003ff) | (uint32_t)(value & 0xfff) << 10;
		break;
	case R_AARCH64_ABS64:
		break;
	default:
		return;
	}
	memcpy(area->data + r->r_offset, &word, size);
}

/* ---- the scan ---- */

/* A signed field of `bits` bits from `low` on, in units of `unit`. */
static uint64_t field(uint32_t insn, unsigned low, unsigned bits, unsigned unit)
{
	int64_t value = (int64_t)((uint64_t)insn << (64 - low - bits)) >> (64 - bits);

	return (uint64_t)(value * unit);
}

/* Where the branch leads: B, BL, B.cond, CBZ, CBNZ, TBZ, TBNZ. False: it is none. */
static bool branch_target(uint32_t insn, uint64_t place, uint64_t *to)
{
	if ((insn & 0x7c000000) == 0x14000000)
		*to = place + field(insn, 0, 26, 4);
	else if ((insn & 0xff000000) == 0x54000000 || (insn & 0x7e000000) == 0x34000000)
		*to = place + field(insn, 5, 19, 4);
	else if ((insn & 0x7e000000) == 0x36000000)
		*to = place + field(insn, 5, 14, 4);
	else
		return false;
	return true;
}

/* What ADRP has put into registers, and how long ago. */
struct pages {
	uint64_t page[32];
	size_t at[32];
};

#define ADRP_WINDOW 256u /* bytes of code in which the ADD is looked for */

static void look_formed(const struct scan *s, struct pages *p, uint32_t insn, size_t at,
			const struct ref *ref)
{
	unsigned rd = insn & 31, rn = insn >> 5 & 31;
	uint64_t imm = field(insn, 5, 19, 4) | (insn >> 29 & 3);

	if ((insn & 0x9f000000) == 0x90000000) { /* ADRP */
		p->page[rd] = (ref->place & ~0xfffull) + (imm << 12);
		p->at[rd] = at;
	} else if ((insn & 0x9f000000) == 0x10000000) { /* ADR */
		refs_look(s, ref->place + imm, ref);
	} else if ((insn & 0xffc00000) == 0x91000000 && p->page[rn] &&
		   at - p->at[rn] <= ADRP_WINDOW) { /* ADD, 64 bits */
		refs_look(s, p->page[rn] + (insn >> 10 & 0xfff), ref);
	}
}

void refs_arm64_scan(const struct scan *s, const struct area *a)
{
	struct pages pages = {{0}, {0}};

	for (size_t at = 0; at + 4 <= a->size; at += 4) {
		struct ref ref = {.place = a->address + at, .init = a->init};
		uint32_t insn = insn_at(a, at);
		uint64_t to;

		/* an address, of 64 bits */
		if (ref.place % 8 == 0 && at + 8 <= a->size)
			refs_look(s, word_at(a->data, at) - s->areas->base, &ref);
		if (a->code)
			look_formed(s, &pages, insn, at, &ref);
		else
			refs_look(s, ref.place + (uint64_t)(int64_t)(int32_t)insn, &ref);
		/* in data as well: what alternatives copy into the text */
		if (branch_target(insn, ref.place, &to)) {
			ref.branch = true;
			refs_look(s, to, &ref);
		}
	}
}
