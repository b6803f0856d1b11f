/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/shadow_set.h"
#include "arch/memory.h"
#include "arch/publish.h"
#include "lib/mutate.h"
#include "lib/string.h"

struct shadow_state shadow = {.current = &shadow.sets[0]};

u8 *shadow_original(const struct shadow_entry *e, u32 i, const struct part *part)
{
	return (u8 *)arch_ptr(page_of(shadow.current, e->page[i])->original) + part->offset;
}

size_t shadow_unit(void)
{
	return MUTATION(patch_unit) ? 1 : arch_patch_unit();
}

void shadow_lay(u8 *copy, const u8 *original, const struct redirect *r, const struct part *part)
{
	size_t unit = shadow_unit();

	for (size_t k = 0; k < part->len; k += unit) {
		bool same = !memcmp(original + k, r->old + part->at + k, unit);

		memmove(copy + k, same ? r->bytes + part->at + k : original + k, unit);
	}
}

void shadow_publish(const struct shadow_page *pg, size_t offset, size_t len)
{
	arch_publish_code(pg->copy + offset, len);
}

void shadow_set_leaf(const struct shadow_page *pg, bool shadowed)
{
	/* Cannot fail: shadow_plan_prepare() has split the leaf, and leaves are never joined. */
	if (shadowed) {
		(void)pgtable_set_leaf(&stage2, pg->ipa, arch_pa(pg->copy), pg->attrs & ~PT_WRITE);
		return;
	}
	if (!MUTATION(publish_original))
		arch_publish_code(arch_ptr(pg->original), shadow_page_size());
	(void)pgtable_set_leaf(&stage2, pg->ipa, pg->original, pg->attrs);
}
