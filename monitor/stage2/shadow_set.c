/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/shadow_set.h"
#include "arch/memory.h"
#include "arch/publish.h"
#include "lib/mutate.h"
#include "lib/string.h"

struct shadow_state shadow = {.current = &shadow.sets[0]};

/* ---- orders ---- */

static u64 part_address(const struct redirect *r, u32 i)
{
	struct part part = part_of(r, i);

	return part.ipa + part.offset;
}

u64 shadow_value(const struct shadow_set *s, enum shadow_order o, u32 i)
{
	const struct redirect *r;

	if (i >= s->orders[o].count)
		return UINT64_MAX;
	r = &entry_at(s, o, i)->r;
	if (o == BY_PLACE)
		return part_address(r, order_at(s, o, i) % 2);
	return o == BY_KEY ? r->key : r->from;
}

u32 shadow_first(const struct shadow_set *s, enum shadow_order o, u64 from)
{
	u32 low = 0, high = s->orders[o].count;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (shadow_value(s, o, middle) < from)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct shadow_page *shadow_find_page(const struct shadow_set *s, u64 ipa)
{
	u64 page = ALIGN_DOWN(ipa, shadow_page_size());
	u32 low = 0, high = s->pages.count;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (page_of(s, middle)->ipa.v < page)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->pages.count && page_of(s, low)->ipa.v == page ? page_of(s, low) : NULL;
}

/* ---- pages ---- */

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
		bool ours = (shadow_hides(r) && !MUTATION(hidden_pieces_stay)) ||
			    !memcmp(original + k, r->old + part->at + k, unit);

		memmove(copy + k, ours ? r->bytes + part->at + k : original + k, unit);
	}
}

void shadow_publish(const struct shadow_page *pg, size_t offset, size_t len)
{
	arch_publish_code(pg->copy + offset, len);
}

static u32 shadowed_attrs(const struct shadow_page *pg)
{
	bool hidden = shadow.hidden && (!pg->data || MUTATION(hooks_are_read));

	return pg->attrs & ~(hidden ? PT_READ | PT_WRITE : (u32)PT_WRITE);
}

void shadow_set_leaf(const struct shadow_page *pg, bool shadowed)
{
	if (shadowed) {
		pgtable_write_leaf(&stage2, pg->leaf, pg->ipa, arch_pa(pg->copy),
				   shadowed_attrs(pg));
		return;
	}
	if (!MUTATION(publish_original))
		arch_publish_code(arch_ptr(pg->original), shadow_page_size());
	pgtable_write_leaf(&stage2, pg->leaf, pg->ipa, pg->original, pg->attrs);
}
