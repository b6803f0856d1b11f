/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions in an order, so that one of thousands is found without a look at each. */
#include "lib/sort.h"
#include "lib/string.h"
#include "patch/engine/types.h"

static int compare_numbers(u64 a, u64 b)
{
	return a < b ? -1 : a > b;
}

/* ---- of a patch, by address ---- */

static int by_address(const void *a, const void *b, const void *funcs)
{
	const struct func *f = funcs;
	u32 i = *(const u32 *)a, j = *(const u32 *)b;
	int order = compare_numbers(f[i].old_addr, f[j].old_addr);

	return order ? order : compare_numbers(i, j);
}

void patch_sort_funcs(struct patch *p)
{
	for (u32 i = 0; i < p->nr_funcs; i++)
		p->by_addr[i] = i;
	heap_sort(p->by_addr, p->nr_funcs, sizeof(*p->by_addr), by_address, p->funcs);
}

struct func *patch_func_at(const struct patch *p, u64 addr)
{
	u32 low = 0, high = p->nr_funcs;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (p->funcs[p->by_addr[middle]].old_addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->nr_funcs && p->funcs[p->by_addr[low]].old_addr == addr
		       ? &p->funcs[p->by_addr[low]]
		       : NULL;
}

const struct func *patch_same_original(const struct patch *p, const struct func **other)
{
	for (u32 i = 1; i < p->nr_funcs; i++) {
		const struct func *f = &p->funcs[p->by_addr[i]];

		*other = &p->funcs[p->by_addr[i - 1]];
		if (f->old_addr && f->old_addr == (*other)->old_addr)
			return f;
	}
	return NULL;
}

/* ---- of a message, by name ---- */

static int compare_decl(const struct suture_decl_func *f, u32 object, const char *name, u32 sympos)
{
	int order = compare_numbers(f->object, object);

	if (!order)
		order = strcmp(f->name, name);
	return order ? order : compare_numbers(f->sympos, sympos);
}

bool decl_is_same(const struct suture_decl_func *f, const struct suture_decl_func *other)
{
	return !compare_decl(f, other->object, other->name, other->sympos);
}

static int by_name(const void *a, const void *b, const void *funcs)
{
	const struct suture_decl_func *f = funcs;
	u32 i = *(const u32 *)a, j = *(const u32 *)b;
	int order = compare_decl(&f[i], f[j].object, f[j].name, f[j].sympos);

	return order ? order : compare_numbers(i, j);
}

static int by_old_addr(const void *a, const void *b, const void *funcs)
{
	const struct suture_decl_func *f = funcs;
	u32 i = *(const u32 *)a, j = *(const u32 *)b;
	int order = compare_numbers(f[i].old_addr, f[j].old_addr);

	return order ? order : compare_numbers(i, j);
}

static void decl_sort(u32 *order, const struct suture_decl_func *funcs, u32 count,
		      int (*compare)(const void *a, const void *b, const void *funcs))
{
	for (u32 i = 0; i < count; i++)
		order[i] = i;
	heap_sort(order, count, sizeof(*order), compare, funcs);
}

void decl_by_name(u32 *order, const struct suture_decl_func *funcs, u32 count)
{
	decl_sort(order, funcs, count, by_name);
}

void decl_by_addr(u32 *order, const struct suture_decl_func *funcs, u32 count)
{
	decl_sort(order, funcs, count, by_old_addr);
}

u32 decl_find(const u32 *order, const struct suture_decl_func *funcs, u32 count, u32 object,
	      const char *name, u32 sympos)
{
	u32 low = 0, high = count;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (compare_decl(&funcs[order[middle]], object, name, sympos) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && !compare_decl(&funcs[order[low]], object, name, sympos) ? low : count;
}
