/* SPDX-License-Identifier: BSD-2-Clause */
#include "match.h"

#include <stdlib.h>
#include <string.h>

static bool is_code(const struct ko_symbol *s)
{
	return ko_is_func(s) && ko_is_defined(s) && s->sym.st_size;
}

static struct place shifted(struct place base, uint64_t by)
{
	return (struct place){base.section, base.at + by};
}

static bool same_place(struct place a, struct place b)
{
	return a.section == b.section && a.at == b.at;
}

/* ---- code ---- */

static const unsigned char *code_of(const struct ko *obj, const struct ko_symbol *f)
{
	Elf_Data *d = elf_getdata(elf_getscn(obj->elf, f->sym.st_shndx), NULL);

	if (!d || !d->d_buf || f->sym.st_value > d->d_size ||
	    f->sym.st_size > d->d_size - f->sym.st_value)
		return NULL;
	return (const unsigned char *)d->d_buf + f->sym.st_value;
}

/* The function's code is at that place in the target, but for the fields of relocations. */
static bool is_at(const struct match *m, const struct ko_symbol *f, struct place place)
{
	uint64_t size = f->sym.st_size, at = 0, start = f->sym.st_value;
	const unsigned char *own = code_of(m->obj, f), *have = target_bytes(m->target, place, size);
	const struct field *field = fields_from(&m->fields, f->sym.st_shndx, start);

	if (!own || !have)
		return false;
	for (; field && field->offset < start + size;
	     field = fields_next(&m->fields, f->sym.st_shndx, field)) {
		unsigned n = fields_size(m->target->machine, field->type);
		uint64_t offset = field->offset - start;

		if (!n)
			continue;
		if (offset < at || offset + n > size || memcmp(own + at, have + at, offset - at) ||
		    !target_has_field(m->target, shifted(place, offset), n))
			return false;
		at = offset + n;
	}
	return !memcmp(own + at, have + at, size - at);
}

/* ---- where sections of code are ---- */

static unsigned count_at(const struct match *m, size_t section, struct place base)
{
	unsigned n = 0;
	struct ko_symbol f;

	for (size_t i = 1; ko_symbol(m->obj, i, &f); i++)
		if (f.sym.st_shndx == section && is_code(&f) &&
		    is_at(m, &f, shifted(base, f.sym.st_value)))
			n++;
	return n;
}

/* Every place of a function's name is a vote for its section; the one with most functions wins. */
static void find_base(struct match *m, size_t section)
{
	unsigned best = 0, all = 0;
	struct base *base = &m->bases[section];
	struct ko_symbol f;

	for (size_t i = 1; ko_symbol(m->obj, i, &f); i++)
		all += f.sym.st_shndx == section && is_code(&f);
	for (size_t i = 1; ko_symbol(m->obj, i, &f) && best * 2 <= all; i++) {
		struct target_symbol s = {0};

		if (f.sym.st_shndx != section || !is_code(&f))
			continue;
		while (target_next(m->target, f.name, &s)) {
			struct place at = shifted(s.place, -f.sym.st_value);
			unsigned n = base->known && same_place(at, base->place) ? 0
				     : is_at(m, &f, s.place) ? count_at(m, section, at)
							     : 0;

			base->several = n == best ? base->several || n : n < best && base->several;
			if (n <= best)
				continue;
			*base = (struct base){.known = true, .place = at};
			best = n;
		}
	}
}

/* ---- what the code refers to ---- */

static bool is_merged(const struct match *m, size_t section)
{
	GElf_Shdr sh;

	ko_section(m->obj, section, &sh);
	return sh.sh_flags & SHF_MERGE;
}

/* A symbol of the object itself, that no other object can have replaced. */
static bool is_local(const struct ko_symbol *s)
{
	return s->sym.st_shndx != SHN_UNDEF && s->sym.st_shndx < SHN_LORESERVE &&
	       GELF_ST_BIND(s->sym.st_info) == STB_LOCAL;
}

/* The name stands for that place, or is not in the target's table at all. */
static bool is_named(const struct match *m, const char *name, const struct reference *r)
{
	unsigned count;

	if (r->name)
		return !strcmp(r->name, name);
	return target_position(m->target, name, r->place, &count) || !count;
}

/* False: the field refers to something else than the object's. */
static bool take_reference(struct match *m, const struct field *field, const struct reference *r,
			   const struct ko_symbol *s)
{
	struct base *base;
	struct place place;

	if (!is_local(s)) {
		m->symbols[field->symbol] = (struct base){.known = !r->name, .place = r->place};
		return !*s->name || is_named(m, s->name, r);
	}
	base = &m->bases[s->sym.st_shndx];
	if (is_merged(m, s->sym.st_shndx) || r->name)
		return true;
	place = shifted(r->place, -s->sym.st_value);
	if (!base->known)
		*base = (struct base){.known = true, .place = place};
	return same_place(base->place, place);
}

static bool check_references(struct match *m, const struct ko_symbol *f, struct place place,
			     const char **other)
{
	size_t section = f->sym.st_shndx;
	uint64_t start = f->sym.st_value, end = start + f->sym.st_size;
	const struct field *field = fields_from(&m->fields, section, start);

	for (; field && field->offset < end; field = fields_next(&m->fields, section, field)) {
		struct reference r;
		struct ko_symbol s;

		if (!ko_symbol(m->obj, field->symbol, &s) ||
		    !target_reference(m->target, shifted(place, field->offset - start), field, &r))
			continue;
		*other = *s.name ? s.name : s.section;
		if (!take_reference(m, field, &r, &s))
			return false;
	}
	return true;
}

/* ---- the verdict on each function ---- */

static enum match_state judge(struct match *m, const struct ko_symbol *f, const char **other)
{
	const struct base *base = &m->bases[f->sym.st_shndx];
	struct place place = shifted(base->place, f->sym.st_value);
	unsigned count;
	bool named = target_position(m->target, f->name, place, &count);

	if (!count)
		return MATCH_ABSENT;
	if (!base->known || base->several || !is_at(m, f, place))
		return MATCH_DIFFERS;
	if (!named)
		return MATCH_ELSEWHERE;
	return check_references(m, f, place, other) ? MATCH_SAME : MATCH_REFERS;
}

int match_read(struct match *m, const struct target *t, const struct ko *obj)
{
	struct ko_symbol f;
	GElf_Shdr sh;

	*m = (struct match){.target = t, .obj = obj};
	if (fields_read(&m->fields, obj))
		return -1;
	m->bases = calloc(m->fields.count, sizeof(*m->bases));
	m->symbols = calloc(obj->count + 1, sizeof(*m->symbols));
	m->states = calloc(obj->count + 1, sizeof(*m->states));
	m->others = calloc(obj->count + 1, sizeof(*m->others));
	if (!m->bases || !m->symbols || !m->states || !m->others)
		return -1;
	for (size_t i = 1; i < m->fields.count; i++) {
		ko_section(obj, i, &sh);
		if (sh.sh_flags & SHF_EXECINSTR)
			find_base(m, i);
	}
	for (size_t i = 1; ko_symbol(obj, i, &f); i++) {
		if (!is_code(&f))
			continue;
		m->states[i] = (unsigned char)judge(m, &f, &m->others[i]);
		m->functions++;
		m->same += m->states[i] == MATCH_SAME;
		m->known += m->states[i] != MATCH_ABSENT;
	}
	return 0;
}

void match_free(struct match *m)
{
	fields_free(&m->fields);
	free(m->bases);
	free(m->symbols);
	free(m->states);
	free(m->others);
	*m = (struct match){0};
}

/* ---- questions ---- */

enum match_state match_state(const struct match *m, const char *name)
{
	struct ko_symbol f;
	size_t i = 0;

	while ((i = ko_next_named(m->obj, name, i, &f)) != 0)
		if (is_code(&f))
			return (enum match_state)m->states[i];
	return MATCH_ABSENT;
}

static bool is_only(const struct match *m, const char *name, struct place *place)
{
	struct target_symbol t = {0};

	if (!target_next(m->target, name, &t))
		return false;
	*place = t.place;
	return !target_next(m->target, name, &t);
}

bool match_place(const struct match *m, const char *name, struct place *place)
{
	struct ko_symbol s;
	size_t i = ko_next_named(m->obj, name, 0, &s);
	const struct base *base;

	if (i && is_code(&s) && m->states[i] != MATCH_SAME)
		return false;
	if (i && s.sym.st_shndx < SHN_LORESERVE) {
		base = s.sym.st_shndx ? &m->bases[s.sym.st_shndx] : &m->symbols[i];
		*place = shifted(base->place, s.sym.st_shndx ? s.sym.st_value : 0);
		if (base->known && !base->several && target_position(m->target, name, *place, NULL))
			return true;
	}
	return is_only(m, name, place);
}
