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

static ipa_t page_at(ipa_t ipa)
{
	return IPA(ALIGN_DOWN(ipa.v, PAGE_SIZE));
}

bool shadow_write_concerns(ipa_t ipa)
{
	pa_t original, copy;

	return shadow_lookup(page_at(ipa), &original, &copy);
}

/* Idempotent, so that another CPU may do it for us: signature of pause_commit(). */
static void restore_leaves(void *arg)
{
	pa_t original, copy;

	(void)arg;
	for (u32 i = 0; i < write.count; i++) {
		shadow_write_through(write.page[i], PAGE_SIZE);
		if (shadow_lookup(write.page[i], &original, &copy))
			pgtable_set_leaf(&stage2, write.page[i], copy, PT_READ | PT_EXEC);
	}
}

static void open_page(ipa_t page, pa_t original)
{
	write.page[write.count++] = page;
	pgtable_set_leaf(&stage2, page, original, PT_READ | PT_WRITE | PT_EXEC);
	arch_stage2_flush_local();
}

int shadow_write_begin(ipa_t ipa)
{
	ipa_t page = page_at(ipa);
	pa_t original, copy;

	if (pause_begin(&write.pause, WRITE_BUDGET_US))
		return -EAGAIN;
	/* It may have changed while others' pauses were waited for. */
	write.count = 0;
	if (!shadow_lookup(page, &original, &copy) ||
	    pause_commit(&write.pause, restore_leaves, NULL)) {
		pause_end(&write.pause);
		return -EAGAIN;
	}
	open_page(page, original);
	return 0;
}

void shadow_write_also(ipa_t ipa)
{
	ipa_t page = page_at(ipa);
	pa_t original, copy;

	if (write.count < ARRAY_SIZE(write.page) && shadow_lookup(page, &original, &copy))
		open_page(page, original);
}

void shadow_write_end(void)
{
	restore_leaves(NULL);
	pause_end(&write.pause);
}
