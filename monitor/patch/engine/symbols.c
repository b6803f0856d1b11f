/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names for the addresses of a blocker's stack. Only the guest's kernel knows them all, so the
 * engine asks the agent. The answer is text for people; no decision depends on it.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "patch/engine/types.h"

/* Blockers may change with each attempt: limit how often the agent is asked. */
#define ASK_AGAIN_US 100000

/* The address and the text of the n-th entry: the stack's, then the word that hit. */
static char *blocker_entry(struct blocker *b, u32 n, u64 *address)
{
	u32 count = MIN(b->nr_stack, BLOCKER_STACK);

	if (!b->valid || n > count)
		return NULL;
	*address = n < count ? b->stack[n].address : b->address;
	return n < count ? b->stack[n].symbol : b->symbol;
}

static void name_address(struct blocker *b, u64 address, const char *text, size_t size)
{
	u64 at;
	char *symbol;

	for (u32 n = 0; (symbol = blocker_entry(b, n, &at)); n++)
		if (at == address && !symbol[0])
			copy_text(symbol, SUTURE_SYMBOL_TEXT, text, size);
}

void symbols_keep(struct blocker *now, struct blocker *before)
{
	u64 at;
	char *symbol;

	for (u32 n = 0; (symbol = blocker_entry(before, n, &at)); n++)
		if (symbol[0])
			name_address(now, at, symbol, SUTURE_SYMBOL_TEXT);
}

bool symbols_ask(struct engine *e, struct suture_work *reply)
{
	struct patch *p = e->transition;
	struct blocker *b;
	char *symbol;
	u64 at;

	if (!p || e->heard_us < e->symbols_due_us)
		return false;
	b = e->target_on ? &p->apply.blocker : &p->revert.blocker;
	for (u32 n = 0; (symbol = blocker_entry(b, n, &at)); n++)
		if (at && !symbol[0] && reply->nr_addresses < SUTURE_SYMBOLS_MAX)
			reply->addresses[reply->nr_addresses++] = at;
	if (!reply->nr_addresses)
		return false;
	reply->kind = SUTURE_WORK_SYMBOLS;
	e->symbols_due_us = e->heard_us + ASK_AGAIN_US;
	return true;
}

int engine_symbols(struct engine *e, const struct suture_symbols *m)
{
	engine_hear(e);
	if (m->count > SUTURE_SYMBOLS_MAX)
		return -EINVAL;
	for (struct patch *p = e->patches; p; p = p->next) {
		for (u32 i = 0; i < m->count; i++) {
			const char *text = m->symbols[i].text;

			name_address(&p->apply.blocker, m->symbols[i].address, text,
				     SUTURE_SYMBOL_TEXT);
			name_address(&p->revert.blocker, m->symbols[i].address, text,
				     SUTURE_SYMBOL_TEXT);
		}
	}
	return 0;
}
