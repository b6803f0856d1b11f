/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts that the compiler split off functions: a task in a part is in its function. */
#include "lib/errno.h"
#include "lib/sort.h"
#include "patch/engine/types.h"

static u32 count_parts(const struct patch *p)
{
	u32 i, n = 0;

	for (i = 0; i < p->nr_parts; i++)
		n += p->parts[i].size != 0;
	return n;
}

void engine_free_parts(struct engine *e, struct patch *p)
{
	if (p->parts)
		e->ops.free(e->ops.ctx, p->parts, p->parts_size);
	p->parts = NULL;
	p->nr_parts = 0;
}

/* Reuse the room of parts whose module is gone: a module may come and go without end. */
int engine_grow_parts(struct engine *e, struct patch *p, u32 more)
{
	u32 i, n = 0;
	size_t size = (count_parts(p) + more) * sizeof(struct part);
	struct part *parts;

	if (!more)
		return 0;
	parts = e->ops.alloc(e->ops.ctx, size);
	if (!parts)
		return -ENOMEM;
	for (i = 0; i < p->nr_parts; i++)
		if (p->parts[i].size)
			parts[n++] = p->parts[i];
	engine_free_parts(e, p);
	p->parts = parts;
	p->parts_size = size;
	p->nr_parts = n;
	return 0;
}

void patch_forget_parts(struct patch *p, const struct object *o)
{
	u32 i;

	for (i = 0; i < p->nr_parts; i++)
		if (!p->parts[i].is_new && &p->objects[p->funcs[p->parts[i].func].object] == o)
			p->parts[i].size = 0;
}

static int by_func(const void *a, const void *b, const void *arg)
{
	const struct part *x = a, *y = b;

	(void)arg;
	return x->func < y->func ? -1 : x->func > y->func;
}

void patch_sort_parts(struct patch *p)
{
	heap_sort(p->parts, p->nr_parts, sizeof(*p->parts), by_func, NULL);
}

u32 patch_first_part(const struct patch *p, u32 func)
{
	u32 low = 0, high = p->nr_parts;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (p->parts[middle].func < func)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->nr_parts && p->parts[low].func == func ? low : p->nr_parts;
}
