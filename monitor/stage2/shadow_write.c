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
	bool all; /* all shadowed pages are open */
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

static void close_page(ipa_t page)
{
	shadow_write_through(page, page_size());
	shadow_cover(page);
}

/* Idempotent, since another CPU may do it instead. */
static void restore_leaves(void *arg)
{
	const struct write *w = arg;

	for (u32 i = 0; i < w->count; i++)
		close_page(w->page[i]);
	if (w->all)
		shadow_for_each_page(close_page);
}

static void open_page(struct write *w, ipa_t page)
{
	w->page[w->count++] = page;
	shadow_expose(page);
	arch_stage2_flush_local();
}

static void expose_page(ipa_t page)
{
	shadow_expose(page);
}

/*
 * An instruction writes to so many pages (a scatter to as many as it has elements), and may need
 * all of them at once: an open page that is closed for the next one would fault again, for ever.
 */
static void open_all(struct write *w)
{
	w->all = true;
	shadow_for_each_page(expose_page);
	arch_stage2_flush_local();
}

int shadow_write_begin(ipa_t ipa)
{
	struct write *w = this_write();
	ipa_t page = page_at(ipa);

	w->count = 0;
	w->all = false;
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

	if (!shadow_write_concerns(page))
		return;
	if (w->count < ARRAY_SIZE(w->page))
		open_page(w, page);
	else
		open_all(w);
}

void shadow_write_end(void)
{
	struct write *w = this_write();

	restore_leaves(w);
	pause_end(&w->pause);
}
