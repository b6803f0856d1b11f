/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/shadow_write.h"
#include "arch/cpu.h"
#include "arch/pagetable.h"
#include "core/pause.h"
#include "lib/errno.h"
#include "stage2/pgtable.h"
#include "stage2/shadow.h"

/* To stop the other CPUs for one instruction */
#define WRITE_BUDGET_US 1000000

/* Of each CPU: one that waits for its pause must not change what the holder of another has here. */
static struct write {
	struct pause pause;
	u32 count;
	ipa_t page[2];
} writes[MAX_CPUS];

static struct write *this_write(void)
{
	return &writes[cpu_this()->id];
}

static u64 page_size(void)
{
	return pt_level_size(stage2.format, 0);
}

static ipa_t page_at(ipa_t ipa)
{
	return IPA(ALIGN_DOWN(ipa.v, page_size()));
}

bool shadow_write_concerns(ipa_t ipa)
{
	pa_t original, copy;

	return shadow_lookup(page_at(ipa), &original, &copy);
}

/* Idempotent, since another CPU may do it instead. */
static void restore_leaves(void *arg)
{
	const struct write *w = arg;

	for (u32 i = 0; i < w->count; i++) {
		shadow_write_through(w->page[i], page_size());
		shadow_cover(w->page[i]);
	}
}

static void open_page(struct write *w, ipa_t page)
{
	w->page[w->count++] = page;
	shadow_expose(page);
	arch_stage2_flush_local();
}

int shadow_write_begin(ipa_t ipa)
{
	struct write *w = this_write();
	ipa_t page = page_at(ipa);

	w->count = 0;
	if (pause_begin(&w->pause, WRITE_BUDGET_US))
		return -EAGAIN;
	/* It may have changed while this CPU waited for other pauses. */
	if (!shadow_write_concerns(page) || pause_commit(&w->pause, restore_leaves, w)) {
		pause_end(&w->pause);
		return -EAGAIN;
	}
	open_page(w, page);
	return 0;
}

void shadow_write_also(ipa_t ipa)
{
	struct write *w = this_write();
	ipa_t page = page_at(ipa);

	if (w->count < ARRAY_SIZE(w->page) && shadow_write_concerns(page))
		open_page(w, page);
}

void shadow_write_end(void)
{
	struct write *w = this_write();

	restore_leaves(w);
	pause_end(&w->pause);
}
