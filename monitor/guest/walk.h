/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading structures and lists of the guest: shared by task.c, queue.c and hooks.c. */
#ifndef GUEST_WALK_H
#define GUEST_WALK_H

#include "arch/time.h"
#include "guest/mem.h"
#include "lib/errno.h"
#include "lib/string.h"

/*
 * A window on the guest's memory, which moves only when an address lies outside of it. Task
 * structures lie in large pages, so that one translation serves many reads.
 */
struct window {
	u64 va;
	const u8 *at;
	size_t len;
};

static inline bool in_window(const struct window *w, u64 va, size_t len)
{
	return va - w->va < w->len && w->len - (va - w->va) >= len;
}

static inline void move_window(struct window *w, u64 va)
{
	w->va = va;
	w->at = guest_at(GVA(va), &w->len);
	if (!w->at)
		w->len = 0;
}

/* Inline, so that a copy of constant length is a load. */
static inline __attribute__((always_inline)) int read_at(struct window *w, u64 va, void *buf,
							 size_t len)
{
	if (!in_window(w, va, len)) {
		move_window(w, va);
		if (w->len < len)
			return guest_read(GVA(va), buf, len);
	}
	memcpy(buf, w->at + (va - w->va), len);
	return 0;
}

static inline int read_u64(struct window *w, u64 va, u64 *v)
{
	return read_at(w, va, v, sizeof(*v));
}

struct guest_task;

struct walk {
	struct window window;
	u32 left;     /* how many more entries may follow, in all lists together */
	u64 until_us; /* and until when */
	int (*fn)(const struct guest_task *t, void *arg);
	void *arg;
};

/* Entries between two looks at the clock: they take less than a tenth of a millisecond. */
#define ENTRIES_PER_LOOK 64u

/*
 * The entry after `at`, a struct list_head { next, prev }. -ELOOP if its `prev` does not lead back:
 * the list is being changed, or it is no list. -ETIMEDOUT: there is no time left for more.
 */
static inline int list_next(struct walk *walk, u64 at, u64 *next)
{
	u64 back;

	if (read_u64(&walk->window, at, next) || read_u64(&walk->window, *next + 8, &back))
		return -EFAULT;
	if (back != at || !walk->left)
		return -ELOOP;
	if (walk->left-- % ENTRIES_PER_LOOK == 0 && arch_time_us() >= walk->until_us)
		return -ETIMEDOUT;
	return 0;
}

#endif
