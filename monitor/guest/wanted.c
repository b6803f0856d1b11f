/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/wanted.h"
#include "core/checkpoint.h"
#include "lib/errno.h"
#include "lib/string.h"

static struct {
	u32 count;
	struct wanted list[SUTURE_WANTED_MAX];
} all;

static struct wanted *find_wanted(const char *name)
{
	for (u32 i = 0; i < all.count; i++)
		if (!strcmp(all.list[i].name, name))
			return &all.list[i];
	return NULL;
}

static void remove_wanted(struct wanted *w)
{
	size_t behind = (size_t)(all.list + all.count - (w + 1));

	memmove(w, w + 1, behind * sizeof(*w));
	all.count--;
}

int wanted_tell(const struct suture_wanted *m)
{
	struct wanted *w = find_wanted(m->name);

	if (!*m->name || m->state >= SUTURE_WANTED_STATES)
		return -EINVAL;
	if (m->state == SUTURE_WANTED_ASK)
		return 0;
	if (m->state == SUTURE_WANTED_GONE) {
		if (w)
			remove_wanted(w);
		return 0;
	}
	if (!w && all.count == SUTURE_WANTED_MAX)
		return -ENOSPC;
	if (!w)
		w = &all.list[all.count++];
	str_copy(w->name, m->name, sizeof(w->name));
	w->state = m->state;
	memcpy(w->text, m->text, sizeof(w->text));
	w->text[sizeof(w->text) - 1] = 0;
	return 0;
}

const struct wanted *wanted_get(u32 i)
{
	return i < all.count ? &all.list[i] : NULL;
}

const char *wanted_name(u32 state)
{
	static const char *const names[SUTURE_WANTED_STATES] = {
		[SUTURE_WANTED_OFFERED] = "offered", [SUTURE_WANTED_WAITS] = "waits",
		[SUTURE_WANTED_LOCKED] = "locked",   [SUTURE_WANTED_OFF] = "off",
		[SUTURE_WANTED_REFUSED] = "refused",
	};

	return state < ARRAY_SIZE(names) && names[state] ? names[state] : "";
}

void wanted_forget(void)
{
	all.count = 0;
}

int wanted_keep(void)
{
	return checkpoint_static(&all, sizeof(all));
}
