/* SPDX-License-Identifier: BSD-2-Clause */
/* The payload's text in the guest, compared with its bundle: patch/text/. */
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/types.h"

int patch_compare_text(const struct engine *e, const struct patch *p, const struct text_func *funcs,
		       char *why, size_t why_size)
{
	const struct text_query q = {
		.bundle = &p->bundle, .start = p->text_start, .end = p->text_end, .funcs = funcs};

	if (!e->config.compare_text || !e->ops.check_text || !p->has_bundle)
		return 0;
	return e->ops.check_text(e->ops.ctx, &q, why, why_size);
}

int engine_patch_text(const struct engine *e, const char *name, char *why, size_t why_size)
{
	const struct patch *p;

	for (p = e->patches; p && strcmp(p->name, name) != 0; p = p->next)
		;
	if (!p) {
		format(why, why_size, "no such patch: %s", name);
		return -ENOENT;
	}
	if (!e->ops.check_text || !p->has_bundle || !p->text_end || patch_is_finished(p)) {
		format(why, why_size, "patch '%s' is %s: there is no text to compare with a bundle",
		       name, p->from_bundle ? patch_phase_name(p->phase) : "the guest's own");
		return -ENODEV;
	}
	return e->ops.check_text(e->ops.ctx,
				 &(struct text_query){.bundle = &p->bundle,
						      .start = p->text_start,
						      .end = p->text_end},
				 why, why_size);
}
