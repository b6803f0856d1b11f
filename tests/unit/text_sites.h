/* SPDX-License-Identifier: BSD-2-Clause */
/* Sites of a payload's tables, for tests of arch_text_site_fits(): one site, and a replacement. */
#ifndef TEXT_SITES_H
#define TEXT_SITES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "arch/text.h"

#define SITE	    0xffffffffa0001000ull
#define REPLACEMENT 0xffffffffa0001100ull
#define KERNEL	    0xffffffff9c000000ull /* all of it is code, to +1 MiB */

static const u8 *own, *replacement;
static u32 replacement_len;
static u64 first, referred;
static const char *symbol_name = "";
static u8 thunk[16];

static bool stub_expect(const struct text_site *s, u32 reference, u8 *buf, u32 len)
{
	(void)s;
	if (reference && (!replacement || len > replacement_len))
		return false;
	memcpy(buf, reference ? replacement : own, len);
	return true;
}

static bool stub_refers(const struct text_site *s, u32 reference, u32 offset, u64 value)
{
	(void)s;
	return reference == 1 && offset == 1 && value == referred;
}

static u64 stub_address(const struct text_site *s, u32 reference)
{
	return reference ? REPLACEMENT : s->at;
}

static const char *stub_symbol(const struct text_site *s)
{
	(void)s;
	return symbol_name;
}

static bool stub_is_code(u64 va)
{
	return va - KERNEL < 1u << 20;
}

static int stub_read(u64 va, u8 *buf, size_t len)
{
	(void)va;
	memcpy(buf, thunk, len < sizeof(thunk) ? len : sizeof(thunk));
	return 0;
}

static bool stub_is_first(const struct text_site *s, u64 value)
{
	(void)s;
	first = first ? first : value;
	return first == value;
}

static u32 kind_of(const char *section)
{
	u32 count;
	const struct text_table *t = arch_text_tables(&count);

	for (u32 i = 0; i < count; i++)
		if (!strcmp(t[i].section, section))
			return t[i].kind;
	fail_msg("no table %s", section);
	return 0;
}

/* Does the site fit, with these bytes in the file and those in memory? entry: of the table. */
static bool fits(const char *section, const u8 *entry, u32 entry_size, const u8 *file,
		 const u8 *memory, u32 size)
{
	struct text_site s = {.kind = kind_of(section),
			      .at = SITE,
			      .own = file,
			      .now = memory,
			      .left = size,
			      .entry = entry,
			      .entry_size = entry_size,
			      .expect = stub_expect,
			      .refers = stub_refers,
			      .address = stub_address,
			      .symbol = stub_symbol,
			      .is_code = stub_is_code,
			      .read = stub_read,
			      .is_first = stub_is_first};

	own = file;
	s.len = arch_text_site_len(&s);
	assert_int_equal(s.len, size);
	return arch_text_site_fits(&s);
}

#endif
