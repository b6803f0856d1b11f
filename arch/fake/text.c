/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fake's modules: relocations of data (1) and of calls (2), no veneers, and two tables of
 * places that its kernel writes to: it puts a0h, or a1h, before the eight bytes of a reference.
 */
#include "arch/text.h"
#include "lib/errno.h"
#include "lib/string.h"

int arch_text_field(u32 type, u64 at, const u8 code[TEXT_FIELD_MAX], struct text_field *f)
{
	(void)at;
	*f = (struct text_field){.size = 8, .bits = ~0ull, .known = ~0ull, .is_code = type == 2};
	memcpy(&f->value, code, sizeof(f->value));
	return type == 1 || type == 2 ? 0 : -EOPNOTSUPP;
}

u64 arch_text_veneer(const u8 code[TEXT_VENEER_LEN], u64 at)
{
	(void)code;
	(void)at;
	return 0;
}

u32 arch_text_filler(const u8 *code, size_t left, u64 at)
{
	(void)at;
	return left && !code[0];
}

static const struct text_table tables[] = {
	{".first_sites", 0, 8, 0, false, false},
	{".second_sites", 1, 8, 0, false, false},
};

const struct text_table *arch_text_tables(u32 *count)
{
	*count = ARRAY_SIZE(tables);
	return tables;
}

#define SITE_LEN 9u

u32 arch_text_site_len(const struct text_site *s)
{
	return MIN(s->left, SITE_LEN);
}

bool arch_text_site_fits(const struct text_site *s)
{
	u8 own[SITE_LEN];

	if (!s->expect(s, 0, own, s->len))
		return false;
	return s->now[0] == 0xa0 + s->kind || !memcmp(own, s->now, s->len);
}

bool arch_text_is_probe(const u8 *text, u64 at, u64 size)
{
	return at < size && text[at] == 0xcc;
}

bool arch_text_counts_calls(const u8 code[TEXT_CALLED_LEN])
{
	return code[0] == 0x65;
}
