/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/shadow_write.h"
#include "arch/pagetable.h"
#include "core/pause.h"
#include "lib/errno.h"
#include "stage2/pgtable.h"
#include "stage2/shadow.h"

/* To stop the other CPUs for one instruction */
#define WRITE_BUDGET_US 1000000

static struct {
	struct pause pause;
	u32 count;
	ipa_t page[2];
} write;

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

/* Idempotent, since another CPU may do it instead; the signature fits pause_commit(). */
static void restore_leaves(void *arg)
{
	(void)arg;
	for (u32 i = 0; i < write.count; i++) {
		shadow_write_through(write.page[i], page_size());
		shadow_cover(write.page[i]);
	}
}

static void open_page(ipa_t page)
{
	write.page[write.count++] = page;
	shadow_expose(page);
	arch_stage2_flush_local();
}

int shadow_write_begin(ipa_t ipa)
{
	ipa_t page = page_at(ipa);

	if (pause_begin(&write.pause, WRITE_BUDGET_US))
		return -EAGAIN;
	/* It may have changed while this CPU waited for other pauses. */
	write.count = 0;
	if (!shadow_write_concerns(page) || pause_commit(&write.pause, restore_leaves, NULL)) {
		pause_end(&write.pause);
		return -EAGAIN;
	}
	open_page(page);
	return 0;
}

void shadow_write_also(ipa_t ipa)
{
	ipa_t page = page_at(ipa);

	if (write.count < ARRAY_SIZE(write.page) && shadow_write_concerns(page))
		open_page(page);
}

void shadow_write_end(void)
{
	restore_leaves(NULL);
	pause_end(&write.pause);
}
