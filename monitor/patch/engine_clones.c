/* SPDX-License-Identifier: BSD-2-Clause */
/* Code that a patch does not reach: clones of its functions that others call directly. */
#include "patch/engine_types.h"
#include "core/errno.h"
#include "core/lib/format.h"
#include "core/lib/string.h"
#include "core/log.h"

void engine_free_clones(struct engine *e, struct patch *p)
{
	if (p->clones)
		e->ops.free(e->ops.ctx, p->clones, p->nr_clones * sizeof(*p->clones));
	p->clones = NULL;
	p->nr_clones = p->more_clones = 0;
}

int engine_take_clones(struct engine *e, struct patch *p, const struct suture_decl_clone *clones,
		       u32 count, u32 more)
{
	u32 i, j;

	engine_free_clones(e, p);
	p->more_clones = more;
	if (!count)
		return 0;
	p->clones = e->ops.alloc(e->ops.ctx, count * sizeof(*p->clones));
	if (!p->clones)
		return -ENOMEM;
	p->nr_clones = count;
	for (i = 0; i < count; i++) {
		struct suture_decl_clone *c = &p->clones[i];

		c->func = clones[i].func;
		c->nr_callers = clones[i].nr_callers;
		copy_text(c->name, sizeof(c->name), clones[i].name, sizeof(clones[i].name));
		for (j = 0; j < MIN(c->nr_callers, SUTURE_MAX_CALLERS); j++)
			copy_text(c->callers[j], sizeof(c->callers[j]), clones[i].callers[j],
				  sizeof(clones[i].callers[j]));
		log_limited(
			LOG_PATCH, LOG_WARN,
			"patch '%s': %s is not replaced; %u functions call it directly, %s first",
			p->name, c->name, c->nr_callers, c->callers[0]);
	}
	return 0;
}

int engine_patch_clone(const struct engine *e, u32 i, u32 clone, struct patch_clone_info *info)
{
	const struct patch *p = e->patches;
	const struct suture_decl_clone *c;
	u32 n;

	while (p && i--)
		p = p->next;
	if (!p || clone >= p->nr_clones)
		return -ENOENT;
	c = &p->clones[clone];
	*info = (struct patch_clone_info){
		.nr_callers = c->nr_callers,
		.nr_named = MIN(c->nr_callers, SUTURE_MAX_CALLERS),
	};
	str_copy(info->object, p->objects[p->funcs[c->func].object].name, sizeof(info->object));
	str_copy(info->func, p->funcs[c->func].name, sizeof(info->func));
	str_copy(info->name, c->name, sizeof(info->name));
	for (n = 0; n < info->nr_named; n++)
		str_copy(info->callers[n], c->callers[n], sizeof(info->callers[n]));
	return 0;
}
