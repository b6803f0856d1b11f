/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine's memory in one piece: it can be put back as it was. */
#include "engine_model.h"

#define FREED 0x6b

static struct {
	u32 top;	  /* nothing is used from here on */
	u16 used[CHUNKS]; /* at the first of an allocation: its number of chunks */
	u8 bytes[CHUNKS * CHUNK] __attribute__((aligned(16)));
} arena;

static u32 chunks(size_t size)
{
	return (u32)((size + CHUNK - 1) / CHUNK);
}

static void *arena_alloc(struct rig *rig, size_t size)
{
	u32 at = 0, i = 0, n = chunks(size);

	(void)rig;
	while (i < at + n) {
		assert_true(at + n <= CHUNKS);
		if (arena.used[i])
			at = i = i + arena.used[i];
		else
			i++;
	}
	arena.used[at] = (u16)n;
	if (arena.top < at + n)
		arena.top = at + n;
	memset(arena.bytes + (size_t)at * CHUNK, 0, (size_t)n * CHUNK);
	return arena.bytes + (size_t)at * CHUNK;
}

/* Freed memory is overwritten: if the engine uses it, it differs from the model. */
static void arena_free(struct rig *rig, void *p, size_t size)
{
	u32 at = (u32)((u8 *)p - arena.bytes) / CHUNK;

	(void)rig;
	assert_int_equal(arena.used[at], chunks(size));
	memset(p, FREED, (size_t)arena.used[at] * CHUNK);
	arena.used[at] = 0;
}

void rig_keep(struct snapshot *s, const struct rig *rig)
{
	memcpy(&s->rig, rig, sizeof(*rig));
	s->top = arena.top;
	memcpy(s->used, arena.used, arena.top * sizeof(arena.used[0]));
	memcpy(s->bytes, arena.bytes, (size_t)arena.top * CHUNK);
}

void rig_put_back(const struct snapshot *s, struct rig *rig)
{
	memcpy(rig, &s->rig, sizeof(*rig));
	memset(arena.used, 0, arena.top * sizeof(arena.used[0]));
	memcpy(arena.used, s->used, s->top * sizeof(arena.used[0]));
	memcpy(arena.bytes, s->bytes, (size_t)s->top * CHUNK);
	arena.top = s->top;
}

bool rig_is_unchanged(const struct snapshot *s)
{
	return !memcmp(arena.bytes, s->bytes, (size_t)s->top * CHUNK) &&
	       !memcmp(arena.used, s->used, s->top * sizeof(arena.used[0]));
}

void rig_in_arena(struct rig *rig)
{
	memset(arena.used, 0, sizeof(arena.used));
	memset(arena.bytes, FREED, sizeof(arena.bytes));
	arena.top = 0;
	rig->alloc = arena_alloc;
	rig->free = arena_free;
}
