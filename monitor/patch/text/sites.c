/* SPDX-License-Identifier: BSD-2-Clause */
/* The places in a payload's code that the kernel writes to, by the payload's own tables. */
#include "guest/kernel.h"
#include "guest/mem.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "patch/text/image.h"

/* Of a byte, in text_image.judged: it belongs to a site; a table has judged it. */
enum { OPEN = 1, SETTLED = 2 };

/* A site while the architecture looks at it. */
struct look {
	struct text_image *im;
	const struct text_ref *refs[2]; /* of the table's entry; the second may be NULL */
	u32 section;			/* of the site */
	u64 offset;
};

#define LOOK(s) ((const struct look *)(s)->arg)

/* ---- what the architecture may ask ---- */

static bool place_of(const struct look *l, u32 reference, u32 *section, u64 *offset)
{
	if (!reference) {
		*section = l->section;
		*offset = l->offset;
		return true;
	}
	return l->refs[reference] && text_target(l->im, l->refs[reference], section, offset);
}

/*
 * The field of a reference within the bytes that are compared: as memory has it if that is right,
 * else another value than that. A place that another table has settled has the file's bytes.
 */
static void take_field(const struct text_site *s, const struct text_ref *r, u32 at, u8 *buf,
		       u32 len)
{
	struct text_image *im = LOOK(s)->im;
	struct text_field f;

	if (im->judged[s->at + at - im->q->start] == SETTLED)
		return;
	if (text_field(im, r, s->at + at, s->now + at, s->left - at, &f) || f.size > len - at ||
	    !text_agrees(im, r, &f, true)) {
		buf[at] = (u8)~s->now[at];
		return;
	}
	for (u32 i = 0; i < f.size; i++) {
		u8 bits = (u8)(f.bits >> 8 * i);

		buf[at + i] = (u8)((buf[at + i] & ~bits) | (s->now[at + i] & bits));
	}
}

static bool expect_bytes(const struct text_site *s, u32 reference, u8 *buf, u32 len)
{
	const struct look *l = LOOK(s);
	struct elf_section file;
	u32 section, i;
	u64 offset;

	if (!place_of(l, reference, &section, &offset) || !l->im->at[section])
		return false;
	file = elf_section(&l->im->elf, section);
	if (offset > file.size || len > file.size - offset)
		return false;
	memcpy(buf, text_own(l->im, &file) + offset, len);
	for (i = text_find_ref(l->im, section, offset); i < l->im->nr_refs; i++) {
		const struct text_ref *r = &l->im->refs[i];

		if (r->section != section || r->offset >= offset + len)
			break;
		take_field(s, r, (u32)(r->offset - offset), buf, len);
	}
	return true;
}

static bool refers_to(const struct text_site *s, u32 reference, u32 at, u64 value)
{
	const struct look *l = LOOK(s);
	struct text_field f = {.value = value, .known = ~0ull};
	u32 section, i;
	u64 offset;

	if (!place_of(l, reference, &section, &offset))
		return false;
	i = text_find_ref(l->im, section, offset + at);
	return i < l->im->nr_refs && l->im->refs[i].section == section &&
	       l->im->refs[i].offset == offset + at &&
	       text_agrees(l->im, &l->im->refs[i], &f, true);
}

static u64 site_address(const struct text_site *s, u32 reference)
{
	u32 section;
	u64 offset;

	return place_of(LOOK(s), reference, &section, &offset) && LOOK(s)->im->at[section]
		       ? LOOK(s)->im->at[section] + offset
		       : 0;
}

static const char *site_symbol(const struct text_site *s)
{
	const struct look *l = LOOK(s);
	u32 i = text_find_ref(l->im, l->section, l->offset);
	struct elf_symbol sym;

	if (i == l->im->nr_refs || l->im->refs[i].section != l->section ||
	    l->im->refs[i].offset >= l->offset + s->len)
		return "";
	sym = elf_symbol(&l->im->elf, l->im->refs[i].symbol);
	return elf_symbol_name(&l->im->elf, &sym);
}

static bool is_code(u64 va)
{
	return guest_is_kernel_text(va, 1) || guest_is_module_text(va, 1);
}

static int read_guest(u64 va, u8 *buf, size_t len)
{
	return guest_read(GVA(va), buf, len);
}

static bool is_first(const struct text_site *s, u64 value)
{
	struct text_image *im = LOOK(s)->im;
	struct text_known *k = &im->known[im->elf.nr_sections + im->elf.nr_symbols + s->kind];

	if (!k->bits)
		*k = (struct text_known){value, ~0ull};
	return k->value == value;
}

/* ---- the tables ---- */

struct table {
	const struct text_table *t;
	struct elf_section section;
	u32 index;
	u32 first, count; /* references */
	u32 entry, used;  /* bytes */
};

/* False: the payload has no such table. */
static bool find_table(const struct text_image *im, const struct text_table *t, struct table *out)
{
	for (u32 i = 1; i < im->elf.nr_sections; i++) {
		struct elf_section s = elf_section(&im->elf, i);

		if (s.type == ELF_NOBITS || s.type == ELF_RELA || !s.size ||
		    strcmp(elf_section_name(&im->elf, &s), t->section) != 0)
			continue;
		*out = (struct table){.t = t, .section = s, .index = i, .entry = t->entry};
		out->first = text_find_ref(im, i, 0);
		out->count = text_find_ref(im, i + 1, 0) - out->first;
		if (!out->entry && out->count >= 2)
			out->entry = (u32)MIN(s.size / (out->count / 2), (u64)UINT32_MAX);
		out->used = t->used ? t->used : out->entry;
		return true;
	}
	return false;
}

/*
 * The site of the entry at an offset of the table. 0; 1: it is in code that does not stay; -ENOEXEC
 * with `why`.
 */
static int open_entry(struct text_image *im, const struct table *t, u64 at, struct look *l,
		      struct text_site *s)
{
	u32 i = text_find_ref(im, t->index, at), end = t->first + t->count;
	struct elf_section code;
	u32 left;

	*l = (struct look){.im = im, .section = t->index, .offset = at};
	if (!t->t->is_code) {
		if (i == end || im->refs[i].offset != at)
			return 1;
		l->refs[0] = &im->refs[i];
		if (i + 1 < end && im->refs[i + 1].offset < at + t->entry)
			l->refs[1] = &im->refs[i + 1];
		if (!text_target(im, l->refs[0], &l->section, &l->offset))
			return 1;
	}
	if (!im->at[l->section])
		return 1;
	code = elf_section(&im->elf, l->section);
	left = (u32)MIN(code.size - l->offset, (u64)UINT32_MAX);
	*s = (struct text_site){
		.kind = t->t->kind,
		.at = im->at[l->section] + l->offset,
		.own = text_own(im, &code) + l->offset,
		.left = left,
		.entry = text_own(im, &t->section) + at,
		.entry_size = t->entry,
		.expect = expect_bytes,
		.refers = refers_to,
		.address = site_address,
		.symbol = site_symbol,
		.is_code = is_code,
		.read = read_guest,
		.is_first = is_first,
		.arg = l,
	};
	if (l->offset < code.size)
		s->len = arch_text_site_len(s);
	if (!s->len || s->len > s->left || s->len > TEXT_SITE_MAX)
		return text_refuse(im, -ENOEXEC,
				   "entry %llu of the payload's table %s is not "
				   "understood",
				   at / t->entry, t->t->section);
	s->now = im->now + (s->at - im->q->start);
	return 0;
}

/* The site that begins with the entry at *at: all entries for its place. */
struct group {
	u64 from, to; /* offsets in the table */
	u64 place;
	u32 len;
};

static int next_group(struct text_image *im, const struct table *t, struct group *g)
{
	struct text_site s;
	struct look l;
	int r;

	*g = (struct group){.from = g->to, .to = g->to};
	for (; g->to + t->used <= t->section.size; g->to += t->entry) {
		r = open_entry(im, t, g->to, &l, &s);
		if (r < 0)
			return r;
		if (g->len && (r || !t->t->grouped || s.at != g->place))
			return 0;
		if (r) {
			g->from = g->to + t->entry;
			continue;
		}
		g->place = s.at;
		g->len = MAX(g->len, s.len);
	}
	return 0;
}

/*
 * Give a place that has a value of this table's the file's bytes. One that has none may have that
 * of another table: on x86 an alternative of a paravirtual call stands in .parainstructions, too.
 */
static void settle_group(struct text_image *im, const struct table *t, const struct group *g)
{
	u64 place = g->place - im->q->start;
	struct text_site s;
	struct look l;

	for (u64 at = g->from; at < g->to; at += t->entry) {
		if (open_entry(im, t, at, &l, &s))
			continue;
		s.len = MIN(g->len, s.left);
		if (!arch_text_site_fits(&s))
			continue;
		memcpy(im->now + place, s.own, s.len);
		memset(im->judged + place, SETTLED, s.len);
		return;
	}
}

static bool is_settled(const struct text_image *im, const struct group *g)
{
	for (u32 i = 0; i < g->len; i++)
		if (im->judged[g->place - im->q->start + i] != SETTLED)
			return false;
	return true;
}

/* 0 if a table has settled the place; -EBADMSG with `why`. */
static int confirm_group(struct text_image *im, const struct table *t, const struct group *g)
{
	const char *words = "";
	struct text_site s;
	struct look l;

	if (is_settled(im, g))
		return 0;
	if (!open_entry(im, t, g->from, &l, &s))
		words = text_probe_words(im, g->place - im->q->start, MIN(g->len, s.left), s.own,
					 0);
	return text_refuse(im, -EBADMSG,
			   "the guest's kernel has at %#llx, which %s names, none of "
			   "the values that it gives it%s",
			   g->place, t->t->section, words);
}

static void mark_group(struct text_image *im, const struct group *g)
{
	memset(im->judged + (g->place - im->q->start), OPEN, g->len);
}

enum pass { MARK, SETTLE, CONFIRM };

static int walk_table(struct text_image *im, const struct table *t, enum pass pass)
{
	struct group g = {0};
	int r = t->entry ? 0
			 : text_refuse(im, -ENOEXEC,
				       "the payload's table %s has no "
				       "relocations",
				       t->t->section);

	while (!r) {
		r = next_group(im, t, &g);
		if (r || !g.len)
			break;
		if (pass == MARK)
			mark_group(im, &g);
		else if (pass == SETTLE)
			settle_group(im, t, &g);
		else
			r = confirm_group(im, t, &g);
	}
	return r;
}

static int walk_tables(struct text_image *im, enum pass pass)
{
	struct table t;
	u32 count;
	const struct text_table *tables = arch_text_tables(&count);
	int r = 0;

	for (u32 i = 0; !r && i < count; i++)
		if (find_table(im, &tables[i], &t))
			r = walk_table(im, &t, pass);
	return r;
}

int text_mark_sites(struct text_image *im)
{
	return walk_tables(im, MARK);
}

int text_judge_sites(struct text_image *im)
{
	int r = walk_tables(im, SETTLE);

	return r ? r : walk_tables(im, CONFIRM);
}
