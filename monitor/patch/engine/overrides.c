/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions that another user in the guest overrides, as the agent reports them: their redirect is
 * on, but other code than the new one runs. Shown to operators; no decision depends on it.
 */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/types.h"

_Static_assert(SUTURE_TEXT_LEN > SUTURE_WHO_LEN + 32, "struct func: overridden");

static bool is_sound(const struct suture_override *list, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (!list[i].who[0] || !memchr(list[i].who, 0, sizeof(list[i].who)) ||
		    (i && list[i].func <= list[i - 1].func))
			return false;
	return true;
}

static const struct suture_override *find_override(const struct suture_override *list, u32 count,
						   u64 func)
{
	u32 low = 0, high = count;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (list[middle].func < func)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && list[low].func == func ? &list[low] : NULL;
}

static void set_override(const struct patch *p, struct func *f, const struct suture_override *o)
{
	char who[SUTURE_WHO_LEN], text[sizeof(f->overridden)] = "";

	if (o) {
		copy_text(who, sizeof(who), o->who, sizeof(o->who));
		format(text, sizeof(text), "overridden by %s", who);
	}
	if (!strcmp(text, f->overridden))
		return;
	str_copy(f->overridden, text, sizeof(f->overridden));
	log_limited(LOG_PATCH, o ? LOG_WARN : LOG_INFO, "patch '%s': function '%s' is %s", p->name,
		    f->name, o ? text : "no longer overridden");
}

int engine_overridden(struct engine *e, const struct suture_overridden *m)
{
	const struct suture_override *list = (const void *)(m + 1);
	struct patch *p;
	u32 i;

	engine_hear(e);
	if (m->count > SUTURE_MAX_OVERRIDDEN ||
	    m->msg.size != sizeof(*m) + m->count * sizeof(*list))
		return -EMSGSIZE;
	if (!is_sound(list, m->count))
		return -EINVAL;
	for (p = e->patches; p; p = p->next) {
		if (!p->installed || p->orphan)
			continue;
		for (i = 0; i < p->nr_funcs; i++)
			set_override(p, &p->funcs[i],
				     p->funcs[i].old_addr
					     ? find_override(list, m->count, p->funcs[i].old_addr)
					     : NULL);
	}
	if (m->more)
		log_limited(LOG_PATCH, LOG_WARN,
			    "so are %u more functions of patches, which are not told", m->more);
	return 0;
}

void patch_forget_overrides(struct patch *p)
{
	u32 i;

	for (i = 0; i < p->nr_funcs; i++)
		p->funcs[i].overridden[0] = 0;
}
