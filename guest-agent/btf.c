// SPDX-License-Identifier: GPL-2.0-only
/* Offsets of structure members that no header has, from the kernel's own type information. */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/string.h>
#include "agent.h"
#include "compat.h"

struct btf_view {
	const char *types, *types_end;
	const char *names;
	u32 names_len;
};

/* What every kernel's has; from 7.1 on the headers know more than the tables of most have. */
#define HEADER_SIZE offsetofend(struct btf_header, str_len)

static bool btf_open(struct btf_view *v)
{
	const char *start = (const char *)compat_symbol("__start_BTF");
	const char *stop = (const char *)compat_symbol("__stop_BTF");
	const struct btf_header *h = (const void *)start;
	u64 left;

	if (!start || stop - start < (long)HEADER_SIZE || h->magic != BTF_MAGIC ||
	    h->hdr_len < HEADER_SIZE || h->hdr_len > stop - start)
		return false;
	left = stop - start - h->hdr_len;
	if ((u64)h->type_off + h->type_len > left || (u64)h->str_off + h->str_len > left ||
	    !h->str_len)
		return false;
	v->types = start + h->hdr_len + h->type_off;
	v->types_end = v->types + h->type_len;
	v->names = start + h->hdr_len + h->str_off;
	v->names_len = h->str_len;
	return !v->names[v->names_len - 1];
}

static const char *btf_name(const struct btf_view *v, u32 offset)
{
	return offset < v->names_len ? v->names + offset : "";
}

/* Bytes that follow a type of the kind; negative: the kind is not known. */
static long btf_tail(const struct btf_type *t)
{
	u32 n = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return sizeof(u32);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return n * sizeof(struct btf_enum);
	case BTF_KIND_FUNC_PROTO:
		return n * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return n * sizeof(struct btf_var_secinfo);
	case BTF_KIND_ENUM64:
		return n * sizeof(struct btf_enum64);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	default:
		return -1;
	}
}

static u32 member_offset(const struct btf_view *v, const struct btf_type *t, const char *member)
{
	const struct btf_member *m = (const void *)(t + 1);
	u32 i, bits;

	for (i = 0; i < BTF_INFO_VLEN(t->info); i++) {
		if (strcmp(btf_name(v, m[i].name_off), member))
			continue;
		bits = BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BIT_OFFSET(m[i].offset) : m[i].offset;
		return bits % 8 ? SUTURE_NONE : bits / 8;
	}
	return SUTURE_NONE;
}

/* Where the variable is in the section that the type describes. */
static u32 variable_offset(const struct btf_view *v, const struct btf_type *section, u32 variable)
{
	const struct btf_var_secinfo *s = (const void *)(section + 1);
	u32 i;

	for (i = 0; i < BTF_INFO_VLEN(section->info); i++) {
		if (s[i].type == variable)
			return s[i].offset;
	}
	return SUTURE_NONE;
}

/* The variable comes before its section. */
u32 btf_percpu_offset(const char *name)
{
	struct btf_view v;
	const char *at;
	u32 id = 1, variable = 0;

	if (!btf_open(&v))
		return SUTURE_NONE;
	for (at = v.types; v.types_end - at >= (long)sizeof(struct btf_type); id++) {
		const struct btf_type *t = (const void *)at;
		long tail = btf_tail(t);

		at += sizeof(*t);
		if (tail < 0 || tail > v.types_end - at)
			return SUTURE_NONE;
		at += tail;
		if (BTF_INFO_KIND(t->info) == BTF_KIND_VAR &&
		    !strcmp(btf_name(&v, t->name_off), name))
			variable = id;
		else if (BTF_INFO_KIND(t->info) == BTF_KIND_DATASEC && variable &&
			 !strcmp(btf_name(&v, t->name_off), ".data..percpu"))
			return variable_offset(&v, t, variable);
	}
	return SUTURE_NONE;
}

u32 btf_offset(const char *name, const char *member)
{
	u32 found = SUTURE_NONE, offset;
	struct btf_view v;
	const char *at;

	if (!btf_open(&v))
		return SUTURE_NONE;
	for (at = v.types; v.types_end - at >= (long)sizeof(struct btf_type);) {
		const struct btf_type *t = (const void *)at;
		long tail = btf_tail(t);

		at += sizeof(*t);
		if (tail < 0 || tail > v.types_end - at)
			return SUTURE_NONE;
		at += tail;
		if (BTF_INFO_KIND(t->info) != BTF_KIND_STRUCT ||
		    strcmp(btf_name(&v, t->name_off), name))
			continue;
		offset = member_offset(&v, t, member);
		/* structures of one name that differ: which one is meant is not known */
		if (offset == SUTURE_NONE || (found != SUTURE_NONE && found != offset))
			return SUTURE_NONE;
		found = offset;
	}
	return found;
}
