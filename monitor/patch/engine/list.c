/* SPDX-License-Identifier: BSD-2-Clause */
/* Making the engine, and its list of patches. */
#include "core/audit.h"
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/engine/types.h"

/* Records of finished patches that are kept for their reports: the last, and so many and so much.
 */
#define FINISHED_MAX   16u
#define FINISHED_BYTES (1u << 20)

struct engine *engine_create(const struct engine_ops *ops, const struct engine_config *config)
{
	struct engine *e = ops->alloc(ops->ctx, sizeof(*e));

	if (!e)
		return NULL;
	e->ops = *ops;
	e->config = *config;
	return e;
}

void patch_free_bundle(struct patch *p)
{
	if (!p->has_bundle)
		return;
	p->has_bundle = p->loading = false;
	p->ops->free(p->ops->ctx, (void *)p->bundle.data, p->bundle.size);
}

static void free_patch(struct engine *e, struct patch *p)
{
	struct patch **link = &e->patches, *q;

	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	for (q = e->patches; q; q = q->next)
		if (q->replaced_by == p)
			q->replaced_by = NULL;
	patch_free_bundle(p);
	if (p->cves)
		e->ops.free(e->ops.ctx, p->cves, p->nr_cves * sizeof(*p->cves));
	if (p->objects)
		e->ops.free(e->ops.ctx, p->objects, p->tables_size);
	engine_free_parts(e, p);
	engine_free_clones(e, p);
	e->ops.free(e->ops.ctx, p, sizeof(*p));
}

const struct engine_config *engine_config(const struct engine *e)
{
	return &e->config;
}

void engine_destroy(struct engine *e)
{
	while (e->patches)
		free_patch(e, e->patches);
	e->ops.free(e->ops.ctx, e, sizeof(*e));
}

struct patch *engine_find(struct engine *e, const char *name)
{
	struct patch *p;

	for (p = e->patches; p; p = p->next)
		if (!strcmp(p->name, name))
			return p;
	return NULL;
}

bool patch_is_finished(const struct patch *p)
{
	return p->phase == PHASE_REVERTED || p->phase == PHASE_FAILED;
}

/* The script under way may refer to a record whose patch is finished already. */
static bool in_use(const struct engine *e, const struct patch *p)
{
	const struct script *s = &e->run;

	return !patch_is_finished(p) || (s->kind != SCRIPT_NONE && (s->patch == p || s->p == p));
}

/* The oldest record if there are too many; or NULL. */
static struct patch *find_superfluous(const struct engine *e)
{
	struct patch *p, *oldest = NULL;
	size_t bytes = 0;
	u32 count = 0;

	for (p = e->patches; p; p = p->next) {
		if (in_use(e, p))
			continue;
		count++;
		bytes += p->tables_size;
		if (!oldest)
			oldest = p;
	}
	return count > FINISHED_MAX || (count > 1 && bytes > FINISHED_BYTES) ? oldest : NULL;
}

static void forget_oldest(struct engine *e)
{
	struct patch *p;

	while ((p = find_superfluous(e)) != NULL)
		free_patch(e, p);
}

struct patch *engine_add_patch(struct engine *e, const char *name)
{
	struct patch *p = engine_find(e, name), *fresh, **link = &e->patches;

	if (p && in_use(e, p))
		return NULL;
	fresh = e->ops.alloc(e->ops.ctx, sizeof(*fresh));
	if (!fresh)
		return NULL;
	if (p)
		free_patch(e, p);
	forget_oldest(e);
	fresh->ops = &e->ops;
	fresh->changed_us = engine_now(e);
	str_copy(fresh->name, name, sizeof(fresh->name));
	format(fresh->text_name, sizeof(fresh->text_name), "the text of payload %s", fresh->name);
	while (*link)
		link = &(*link)->next;
	*link = fresh;
	return fresh;
}

int engine_clear(struct engine *e, const char *name, char *why, size_t why_size)
{
	struct patch *p = name ? engine_find(e, name) : e->patches, *next;
	int count = 0;

	if (name && !p) {
		format(why, why_size, "no patch '%s' is known; `suture list` shows those that are",
		       name);
		return -ENOENT;
	}
	if (name && in_use(e, p)) {
		format(why, why_size,
		       "patch '%s' is %s: only what is reverted or failed can be cleared", name,
		       patch_phase_name(p->phase));
		return -EBUSY;
	}
	for (; p; p = name ? NULL : next) {
		next = p->next;
		if (in_use(e, p))
			continue;
		log_limited(LOG_OPERATOR, LOG_INFO, "patch '%s': record cleared (%s)", p->name,
			    patch_phase_name(p->phase));
		free_patch(e, p);
		count++;
	}
	return count;
}

void engine_move_last(struct engine *e, struct patch *p)
{
	struct patch **link = &e->patches;

	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	p->next = NULL;
	while (*link)
		link = &(*link)->next;
	*link = p;
}

bool patch_is_older(const struct patch *p, const struct patch *than)
{
	while (p && p != than)
		p = p->next;
	return p;
}

/* What a guest does by itself is not told: it could displace the records of requests. */
static void tell_end(struct patch *p)
{
	const struct transition_report *r = p->asked;
	char what[AUDIT_TEXT], hash[AUDIT_HASH] = "";

	/* failed without an error: engine_forget(), on the way to the end */
	if (!r || (p->phase == PHASE_FAILED && !p->error) ||
	    (!patch_is_finished(p) && p->phase != PHASE_APPLIED && p->phase != PHASE_DISABLED))
		return;
	p->asked = NULL;
	if (p->from_bundle)
		audit_hash(hash, p->digest);
	format(what, sizeof(what), "END %s %s%s%s attempts %u pause_max_us %llu%s", p->name,
	       patch_phase_name(p->phase), p->error ? " " : "",
	       p->error ? errno_name(p->error) : "", r->attempts, r->pause_max_us, hash);
	if (p->ops->ended && !MUTATION(end_is_told))
		p->ops->ended(p->ops->ctx, what);
}

void patch_set_phase(struct patch *p, enum patch_phase phase)
{
	if (p->phase != phase)
		log_limited(LOG_PATCH, LOG_DEBUG, "patch '%s': %s", p->name,
			    patch_phase_name(phase));
	if (p->phase != phase)
		p->changed_us = p->ops->now_us(p->ops->ctx);
	p->phase = phase;
	tell_end(p);
	if (patch_is_finished(p))
		patch_free_bundle(p);
}

void patch_blame(struct patch *p, int error, const char *fmt, ...)
{
	va_list ap;

	if (p->error)
		return;
	p->error = error;
	va_start(ap, fmt);
	vformat(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	log_limited(LOG_PATCH, LOG_WARN, "patch '%s': %s (%s)", p->name, p->why, errno_name(error));
}

void copy_text(char *dst, size_t dst_size, const char *src, size_t src_size)
{
	size_t i;

	for (i = 0; i + 1 < dst_size && i < src_size && src[i]; i++)
		dst[i] = (unsigned char)src[i] < ' ' || src[i] == 0x7f ? '?' : src[i];
	dst[i] = 0;
	if (i + 1 == dst_size && i < src_size && src[i] && i > 3)
		memcpy(dst + i - 3, "...", 3);
}

struct object *patch_object(struct patch *p, const char *name)
{
	u32 i;

	for (i = 0; i < p->nr_objects; i++)
		if (!strcmp(p->objects[i].name, name))
			return &p->objects[i];
	return NULL;
}
