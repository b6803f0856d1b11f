/* SPDX-License-Identifier: BSD-2-Clause */
#include "types.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* libbpf 1.1 (Debian 12) does not export btf__new_split(): the bytes go through a file in memory.
 */
static struct btf *open_split(const void *data, size_t size, struct btf *base)
{
	int fd = memfd_create("btf", MFD_CLOEXEC);
	struct btf *btf = NULL;
	char path[32];

	if (fd >= 0 && write(fd, data, size) == (ssize_t)size) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		btf = btf__parse_raw_split(path, base);
	}
	if (fd >= 0)
		close(fd);
	return btf;
}

struct btf *types_open(const void *data, size_t size, struct btf *base)
{
	struct btf *btf;

	libbpf_set_print(NULL);
	btf = base ? open_split(data, size, base) : btf__new(data, (uint32_t)size);
	return libbpf_get_error(btf) ? NULL : btf;
}

static enum type_kind kind_of(const struct btf_type *t)
{
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return TYPE_INT;
	case BTF_KIND_FLOAT:
		return TYPE_FLOAT;
	case BTF_KIND_STRUCT:
		return TYPE_STRUCT;
	case BTF_KIND_UNION:
		return TYPE_UNION;
	case BTF_KIND_FWD:
		return BTF_INFO_KFLAG(t->info) ? TYPE_UNION : TYPE_STRUCT;
	case BTF_KIND_ARRAY:
		return TYPE_ARRAY;
	case BTF_KIND_FUNC_PROTO:
		return TYPE_FUNC;
	default:
		return TYPE_UNKNOWN;
	}
}

static void end_type(const struct btf *btf, const struct btf_type *t, struct type *out)
{
	enum type_kind kind = kind_of(t);
	bool sized = kind != TYPE_ARRAY && kind != TYPE_FUNC && btf_kind(t) != BTF_KIND_FWD;

	type_end(out, kind, btf__name_by_offset(btf, t->name_off), sized ? t->size : 0);
}

static void read_type(const struct btf *btf, uint32_t id, struct type *out)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	for (; t && id; id = t->type, t = btf__type_by_id(btf, id)) {
		if (btf_is_ptr(t)) {
			type_add_pointer(out);
		} else if (btf_is_typedef(t)) {
			type_add_alias(out, btf__name_by_offset(btf, t->name_off));
		} else if (!btf_is_mod(t) && btf_kind(t) != BTF_KIND_TYPE_TAG) {
			end_type(btf, t, out);
			return;
		}
	}
	type_end(out, t ? TYPE_VOID : TYPE_UNKNOWN, NULL, 0);
}

static bool read_prototype(const struct btf *btf, const struct btf_type *func, struct prototype *p)
{
	const struct btf_type *proto = btf__type_by_id(btf, func->type);
	const struct btf_param *param;

	*p = (struct prototype){0};
	if (!proto || !btf_is_func_proto(proto))
		return false;
	param = btf_params(proto);
	read_type(btf, proto->type, &p->result);
	for (unsigned i = 0; i < btf_vlen(proto); i++) {
		p->variadic |= !param[i].type;
		if (!param[i].type)
			continue;
		if (p->count == PROTOTYPE_PARAMS)
			return false;
		read_type(btf, param[i].type, &p->params[p->count++]);
	}
	return true;
}

unsigned types_compare(const struct btf *btf, const char *name, const struct prototype *own,
		       bool *matches, struct prototype *found)
{
	const struct btf *base = btf__base_btf(btf);
	unsigned count = 0;
	struct prototype p;

	*matches = false;
	for (uint32_t id = base ? btf__type_cnt(base) : 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (!btf_is_func(t) || strcmp(btf__name_by_offset(btf, t->name_off), name) != 0 ||
		    !read_prototype(btf, t, &p))
			continue;
		*matches |= prototype_matches(&p, own);
		if (!count++)
			*found = p;
	}
	return count;
}
