/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * New code that may not run: other functions call clones of its function directly, or nothing calls
 * the function.
 */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/types.h"

static bool is_terminated(const char *s, size_t size)
{
	return s[0] && memchr(s, 0, size);
}

bool clone_is_sane(const struct suture_decl_clone *c, u32 nr_funcs)
{
	bool good = c->func < nr_funcs && c->nr_callers && is_terminated(c->name, sizeof(c->name));
	u32 i;

	for (i = 0; good && i < MIN(c->nr_callers, SUTURE_MAX_CALLERS); i++)
		good = is_terminated(c->callers[i], sizeof(c->callers[i]));
	return good;
}

void engine_free_clones(struct engine *e, struct patch *p)
{
	if (p->clones)
		e->ops.free(e->ops.ctx, p->clones, p->clones_size);
	p->clones = NULL;
	p->nr_clones = p->more_clones = 0;
}

static void copy_clone(const struct patch *p, struct suture_decl_clone *to,
		       const struct suture_decl_clone *from, u32 func)
{
	u32 i;

	*to = (struct suture_decl_clone){.func = func, .nr_callers = from->nr_callers};
	copy_text(to->name, sizeof(to->name), from->name, sizeof(from->name));
	for (i = 0; i < MIN(to->nr_callers, SUTURE_MAX_CALLERS); i++)
		copy_text(to->callers[i], sizeof(to->callers[i]), from->callers[i],
			  sizeof(from->callers[i]));
	log_limited(LOG_PATCH, LOG_WARN,
		    "patch '%s': %s is not replaced; %u functions call it directly, %s first",
		    p->name, to->name, to->nr_callers, to->callers[0]);
}

/* Make room for that many more behind p->nr_clones. */
static int grow_clones(struct engine *e, struct patch *p, u32 more)
{
	struct suture_decl_clone *old = p->clones;
	u32 count = p->nr_clones;

	if (!more)
		return 0;
	p->clones = e->ops.alloc(e->ops.ctx, (count + more) * sizeof(*old));
	if (!p->clones) {
		p->clones = old;
		return -ENOMEM;
	}
	if (old) {
		memcpy(p->clones, old, count * sizeof(*old));
		e->ops.free(e->ops.ctx, old, p->clones_size);
	}
	p->clones_size = (count + more) * sizeof(*old);
	return 0;
}

int engine_take_clones(struct engine *e, struct patch *p, const struct suture_decl_clone *clones,
		       u32 count, u32 more)
{
	u32 i;

	engine_free_clones(e, p);
	p->more_clones = more;
	if (grow_clones(e, p, count))
		return -ENOMEM;
	for (i = 0; i < count; i++)
		copy_clone(p, &p->clones[p->nr_clones++], &clones[i], clones[i].func);
	return 0;
}

/* ---- of modules that come and go ---- */

void engine_add_clone(struct engine *e, struct patch *p, u32 i,
		      const struct suture_decl_clone *clone)
{
	if (p->nr_clones >= SUTURE_MAX_CLONES || grow_clones(e, p, 1))
		p->objects[p->funcs[i].object].more_clones++;
	else
		copy_clone(p, &p->clones[p->nr_clones++], clone, i);
}

void patch_forget_clones(struct patch *p, struct object *o)
{
	u32 i, n = 0;

	for (i = 0; i < p->nr_clones; i++)
		if (&p->objects[p->funcs[p->clones[i].func].object] != o)
			p->clones[n++] = p->clones[i];
	p->nr_clones = n;
	o->more_clones = 0;
}

u32 patch_more_clones(const struct patch *p)
{
	u32 i, more = p->more_clones;

	for (i = 0; i < p->nr_objects; i++)
		more += p->objects[i].more_clones;
	return more;
}

/* ---- functions without callers ---- */

bool patch_is_uncalled(const struct patch *p, u32 func)
{
	return p->uncalled[func / 64] >> func % 64 & 1;
}

void patch_take_uncalled(struct patch *p, const u64 uncalled[SUTURE_MAX_FUNCS / 64])
{
	u32 i;

	memcpy(p->uncalled, uncalled, sizeof(p->uncalled));
	for (i = 0; i < p->nr_funcs; i++)
		if (patch_is_uncalled(p, i))
			log_limited(
				LOG_PATCH, LOG_WARN,
				"patch '%s': nobody calls %s of '%s' or holds its address: its new "
				"code may never run",
				p->name, p->funcs[i].name, p->objects[p->funcs[i].object].name);
}

/* ---- clones and functions without callers ---- */

bool patch_is_doubtful(const struct patch *p, char *why, size_t size)
{
	u32 i;

	if (p->nr_clones) {
		format(why, size,
		       "%s is called by %s directly: patch that one as well, or apply without "
		       "--strict",
		       p->clones[0].name, p->clones[0].callers[0]);
		return true;
	}
	for (i = 0; i < p->nr_funcs; i++) {
		if (!patch_is_uncalled(p, i))
			continue;
		format(why, size,
		       "nobody calls %s or holds its address: patch its callers, or apply without "
		       "--strict",
		       p->funcs[i].name);
		return true;
	}
	return false;
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
	*info = (struct patch_clone_info){.nr_callers = c->nr_callers};
	info->nr_named = MIN(c->nr_callers, SUTURE_MAX_CALLERS);
	str_copy(info->object, p->objects[p->funcs[c->func].object].name, sizeof(info->object));
	str_copy(info->func, p->funcs[c->func].name, sizeof(info->func));
	str_copy(info->name, c->name, sizeof(info->name));
	for (n = 0; n < info->nr_named; n++)
		str_copy(info->callers[n], c->callers[n], sizeof(info->callers[n]));
	return 0;
}
