/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/shadow_access.h"
#include "arch/cpu.h"
#include "arch/pagetable.h"
#include "core/pause.h"
#include "lib/errno.h"
#include "stage2/pgtable.h"
#include "stage2/shadow.h"

/* To stop the other CPUs for one instruction */
#define ACCESS_BUDGET_US 1000000

/* Of each CPU: one that waits for its pause must not change what the holder of another has here. */
static struct access {
	struct pause pause;
	u32 count;
	ipa_t page[2];
	bool all; /* all shadowed pages are open */
} accesses[MAX_CPUS];

static struct access *this_access(void)
{
	return &accesses[cpu_this()->id];
}

static u64 page_size(void)
{
	return pt_level_size(stage2.format, 0);
}

static ipa_t page_at(ipa_t ipa)
{
	return IPA(ALIGN_DOWN(ipa.v, page_size()));
}

bool shadow_access_concerns(ipa_t ipa)
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
	const struct access *a = arg;

	for (u32 i = 0; i < a->count; i++)
		close_page(a->page[i]);
	if (a->all)
		shadow_for_each_page(close_page);
}

static void open_page(struct access *a, ipa_t page)
{
	a->page[a->count++] = page;
	shadow_expose(page);
	arch_stage2_flush_local();
}

static void expose_page(ipa_t page)
{
	shadow_expose(page);
}

/*
 * An instruction accesses so many pages (a scatter as many as it has elements), and may need
 * all of them at once: an open page that is closed for the next one would fault again, for ever.
 */
static void open_all(struct access *a)
{
	a->all = true;
	shadow_for_each_page(expose_page);
	arch_stage2_flush_local();
}

int shadow_access_begin(ipa_t ipa)
{
	struct access *a = this_access();
	ipa_t page = page_at(ipa);

	a->count = 0;
	a->all = false;
	if (pause_begin(&a->pause, ACCESS_BUDGET_US))
		return -EAGAIN;
	/* It may have changed while this CPU waited for other pauses. */
	if (!shadow_access_concerns(page) || pause_commit(&a->pause, restore_leaves, a)) {
		pause_end(&a->pause);
		return -EAGAIN;
	}
	open_page(a, page);
	return 0;
}

void shadow_access_also(ipa_t ipa)
{
	struct access *a = this_access();
	ipa_t page = page_at(ipa);

	if (!shadow_access_concerns(page))
		return;
	if (a->count < ARRAY_SIZE(a->page))
		open_page(a, page);
	else
		open_all(a);
}

void shadow_access_end(void)
{
	struct access *a = this_access();

	restore_leaves(a);
	pause_end(&a->pause);
}
