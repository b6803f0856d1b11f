/* SPDX-License-Identifier: BSD-2-Clause */
/* What the API and the guest's sysfs show of patches. */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/types.h"

const char *patch_phase_name(enum patch_phase p)
{
	static const char *const names[] = {
		[PHASE_UPLOADED] = "uploaded",	       [PHASE_LOADING] = "loading",
		[PHASE_ENABLING] = "enabling",	       [PHASE_PATCHING] = "patching",
		[PHASE_COMPLETING] = "completing",     [PHASE_APPLIED] = "applied",
		[PHASE_DISABLING] = "disabling",       [PHASE_UNPATCHING] = "unpatching",
		[PHASE_UNCOMPLETING] = "uncompleting", [PHASE_DISABLED] = "disabled",
		[PHASE_RETURNING] = "returning",       [PHASE_UNLOADING] = "unloading",
		[PHASE_REVERTED] = "reverted",	       [PHASE_FAILED] = "failed",
	};

	return (unsigned int)p < ARRAY_SIZE(names) ? names[p] : "?";
}

static const struct patch *nth_patch(const struct engine *e, u32 i)
{
	const struct patch *p = e->patches;

	while (p && i--)
		p = p->next;
	return p;
}

static u32 count_not_in_force(const struct patch *p)
{
	u32 i, count = 0;

	for (i = 0; i < p->nr_funcs; i++)
		count += func_not_in_force(&p->funcs[i])[0] != 0;
	return count;
}

static u32 stack_order(const struct engine *e, const struct patch *p)
{
	const struct patch *q;
	u32 order = 1;

	for (q = e->patches; q != p; q = q->next)
		order += q->installed;
	return p->installed ? order : 0;
}

int engine_patch_info(const struct engine *e, u32 i, struct patch_info *info)
{
	const struct patch *p = nth_patch(e, i);

	if (!p)
		return -ENOENT;
	*info = (struct patch_info){
		.phase = p->phase,
		.replace = p->replace,
		.from_bundle = p->from_bundle,
		.forced = p->forced,
		.stack_order = stack_order(e, p),
		.error = p->error,
		.changed_us = p->changed_us,
		.nr_cves = p->nr_cves,
		.stuck = p->stuck,
		.nr_objects = p->nr_objects,
		.nr_funcs = p->nr_funcs,
		.nr_not_in_force = count_not_in_force(p),
		.nr_states = p->nr_states,
		.nr_clones = p->nr_clones,
		.more_clones = patch_more_clones(p),
		.apply = p->apply,
		.revert = p->revert,
	};
	memcpy(info->digest, p->digest, sizeof(info->digest));
	str_copy(info->name, p->name, sizeof(info->name));
	str_copy(info->version, p->version, sizeof(info->version));
	str_copy(info->why, p->why, sizeof(info->why));
	return 0;
}

const char *engine_patch_cve(const struct engine *e, u32 i, u32 cve)
{
	const struct patch *p = nth_patch(e, i);

	return p && cve < p->nr_cves ? p->cves[cve] : NULL;
}

int engine_patch_func(const struct engine *e, u32 i, u32 func, struct patch_func_info *info)
{
	const struct patch *p = nth_patch(e, i), *owner;
	const struct func *f;

	if (!p || func >= p->nr_funcs)
		return -ENOENT;
	f = &p->funcs[func];
	*info = (struct patch_func_info){
		.old_addr = f->old_addr,
		.old_size = f->old_size,
		.new_addr = f->new_addr,
		.redirected = f->on,
		.uncalled = patch_is_uncalled(p, func),
	};
	if (f->on && engine_active(e, f->old_addr, &owner) != f)
		str_copy(info->covered_by, owner->name, sizeof(info->covered_by));
	str_copy(info->not_in_force, func_not_in_force(f), sizeof(info->not_in_force));
	str_copy(info->object, p->objects[f->object].name, sizeof(info->object));
	str_copy(info->name, f->name, sizeof(info->name));
	return 0;
}

int engine_patch_object(const struct engine *e, u32 i, u32 object, struct patch_object_info *info)
{
	const struct patch *p = nth_patch(e, i);
	const struct object *o;

	if (!p || object >= p->nr_objects)
		return -ENOENT;
	o = &p->objects[object];
	*info = (struct patch_object_info){
		.loaded = o->loaded,
		.patched = o->patched,
	};
	str_copy(info->name, o->name, sizeof(info->name));
	return 0;
}

int engine_patch_state(const struct engine *e, u32 i, u32 state, struct patch_state_info *info)
{
	const struct patch *p = nth_patch(e, i), *owner;
	const struct state *st;

	if (!p || state >= p->nr_states)
		return -ENOENT;
	st = &p->states[state];
	owner = state_owner(e, st->id, NULL);
	*info = (struct patch_state_info){
		.id = st->id,
		.version = st->version,
		.is_shadow = st->is_shadow,
		.block_disable = st->block_disable,
	};
	str_copy(info->owner, owner ? owner->name : "", sizeof(info->owner));
	return 0;
}

int engine_query(struct engine *e, const char *name, struct suture_patch_state *reply)
{
	struct patch *p = engine_find(e, name);
	u32 i;

	engine_hear(e);
	reply->enabled = reply->transition = reply->forced = reply->stack_order = 0;
	reply->patched = 0;
	if (!p)
		return -ENOENT;
	reply->enabled = p->enabled;
	/* An unfinished script counts as transition too: Linux runs it under its mutex. */
	reply->transition = e->transition == p || (e->run.kind != SCRIPT_NONE && e->run.patch == p);
	reply->forced = p->forced;
	reply->stack_order = stack_order(e, p);
	for (i = 0; i < p->nr_objects; i++)
		reply->patched |= (u64)p->objects[i].patched << i;
	return 0;
}
