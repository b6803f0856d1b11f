// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel's loader and the module notifiers do with the module's sections. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "helper.h"

#define SITES (TABLE_PASSIVE | TABLE_SITES)

/* The first rule that matches applies. docs/payloads.md explains each. */
static const struct table tables[] = {
	/* copied for each CPU when the module is loaded: what changes later changes no copy */
	{.name = ".data..percpu*"},
	{.name = ".text", .flags = TABLE_FOLLOWS},
	{.name = ".text.*", .flags = TABLE_FOLLOWS},
	{.name = ".noinstr.text", .flags = TABLE_FOLLOWS},
	{.name = ".sched.text", .flags = TABLE_FOLLOWS},
	{.name = ".spinlock.text", .flags = TABLE_FOLLOWS},
	{.name = ".kprobes.text", .flags = TABLE_FOLLOWS},
	{.name = ".cpuidle.text", .flags = TABLE_FOLLOWS},
	{.name = ".irqentry.text", .flags = TABLE_FOLLOWS},
	{.name = ".softirqentry.text", .flags = TABLE_FOLLOWS},
	{.name = ".ref.text", .flags = TABLE_FOLLOWS},
	{.name = ".data", .flags = TABLE_FOLLOWS},
	{.name = ".data.*", .flags = TABLE_FOLLOWS},
	{.name = ".rodata", .flags = TABLE_FOLLOWS},
	{.name = ".rodata.*", .flags = TABLE_FOLLOWS},
	{.name = ".ref.data", .flags = TABLE_FOLLOWS},
	{.name = ".bss*", .flags = TABLE_FOLLOWS},

	{.name = "__jump_table",
	 .flags = SITES,
	 .entry = 16,
	 .key = 8,
	 .sealed = true,
	 .what = "static key",
	 .way_out = "use static_key_enabled() instead"},
	{.name = ".static_call_sites",
	 .flags = SITES,
	 .entry = 8,
	 .key = 4,
	 .what = "key of a static call",
	 .way_out = "call the function instead to which the static call leads"},
	{.name = ".altinstructions", .flags = SITES},
	{.name = ".parainstructions", .flags = SITES},
	{.name = ".retpoline_sites", .flags = SITES},
	{.name = ".return_sites", .flags = SITES},
	{.name = ".call_sites", .flags = SITES},
	{.name = ".ibt_endbr_seal", .flags = SITES},
	{.name = ".cfi_sites", .flags = SITES},
	{.name = ".smp_locks*", .flags = SITES},
	{.name = "__mcount_loc", .flags = SITES},
	{.name = "__patchable_function_entries", .flags = SITES},
	{.name = "___srcu_struct_ptrs", .flags = SITES},

	{.name = "__bug_table", .flags = TABLE_PASSIVE},
	{.name = "__ex_table", .flags = TABLE_PASSIVE},
	{.name = ".orc_*", .flags = TABLE_PASSIVE},
	{.name = ".eh_frame", .flags = TABLE_PASSIVE},
	{.name = ".init.eh_frame", .flags = TABLE_PASSIVE},
	{.name = "_kprobe_blacklist", .flags = TABLE_PASSIVE},
	{.name = "_error_injection_whitelist", .flags = TABLE_PASSIVE},
	{.name = ".static_call_tramp_key", .flags = TABLE_PASSIVE},
	{.name = ".discard.*", .flags = TABLE_PASSIVE},
	{.name = ".suture.patches", .flags = TABLE_PASSIVE},

	/* .init.*, .exit.*, .altinstr_replacement, __ksymtab, __param, tracepoints and the rest */
	{.name = "*"},
};

const struct table *table_find(const char *section)
{
	const struct table *t = tables;

	for (;; t++) {
		size_t length = strcspn(t->name, "*");

		if (t->name[length] ? !strncmp(section, t->name, length)
				    : !strcmp(section, t->name))
			return t;
	}
}

static int judge_key(const struct table *t, const struct suture_symbol *symbol, unsigned int kernel,
		     struct failure *f)
{
	/* of a static call whose key is not exported the table names the trampoline instead */
	if (!strncmp(symbol->name, "__SCT__", strlen("__SCT__")) ||
	    !(symbol->flags & SUTURE_SYMBOL_READ_ONLY) ||
	    (t->sealed && kernel & SUTURE_KERNEL_SEALED_KEYS))
		return 0;
	return fail(f, -EINVAL,
		    "%s '%s' is read-only after boot, and this kernel's loader would write to it: "
		    "%s",
		    t->what, symbol->name, t->way_out);
}

/* Of an alternative: not what is written, but the function that writes there. */
static bool is_callback(const struct module *m, const struct reloc *r, const struct table *t)
{
	return m->arch->callback_entry && !strcmp(t->name, ".altinstructions") &&
	       r->rela->r_offset % m->arch->callback_entry == 4;
}

int table_judge(const struct module *m, const struct reloc *r, const struct suture_symbol *symbol,
		unsigned int kernel, struct failure *f)
{
	const struct table *t = table_find(m->sections[r->section].name);

	if (t->entry && r->rela->r_offset % t->entry == t->key)
		return judge_key(t, symbol, kernel, f);
	if (t->flags & TABLE_SITES && !is_callback(m, r, t))
		return fail(f, -EINVAL,
			    "the payload's section %s leads to '%s', which is not in the payload: "
			    "the kernel's loader would write there",
			    t->name, symbol->name);
	return 0;
}

/* ---- alternatives ---- */

/* struct alt_instr of several kernels: its size, and where the instruction's length is. */
static const struct {
	unsigned int size, length;
} alternatives[] = {{12, 10}, {13, 10}, {14, 12}};

/* An instruction's length is one byte there. */
#define LONGEST 255u

static size_t relocs_of(const struct module *m, uint32_t section, size_t *first)
{
	*first = module_find_reloc(m, (struct place){section, 0});
	return module_find_reloc(m, (struct place){section + 1, 0}) - *first;
}

/* Does an entry of that size fit the relocations, two for each entry? */
static bool fits(const struct module *m, size_t first, size_t count, uint64_t size,
		 unsigned int entry)
{
	if (size % entry || count != size / entry * 2)
		return false;
	for (size_t i = first; i < first + count; i++) {
		uint64_t offset = m->relocs[i].rela->r_offset % entry;

		if (offset != 0 && offset != 4)
			return false;
	}
	return true;
}

static int by_place(const void *a, const void *b)
{
	const struct replaced_at *x = a, *y = b;

	if (x->at.section != y->at.section)
		return x->at.section < y->at.section ? -1 : 1;
	return x->at.offset < y->at.offset ? -1 : x->at.offset > y->at.offset;
}

/* Add the instructions that the section's entries lead to. */
static void add_section(struct replaced *r, const struct module *m, uint32_t section)
{
	const struct section *s = &m->sections[section];
	unsigned int entry = 0, length = 0;
	size_t first, count = relocs_of(m, section, &first);

	for (size_t i = 0; i < sizeof(alternatives) / sizeof(alternatives[0]) && s->bytes; i++) {
		if (fits(m, first, count, s->header.sh_size, alternatives[i].size)) {
			entry = alternatives[i].size;
			length = alternatives[i].length;
		}
	}
	for (size_t i = first; i < first + count; i++) {
		const struct reloc *reloc = &m->relocs[i];
		/* of a kind not known here: each may be one, and the longest that there can be */
		unsigned int bytes = LONGEST;

		if (entry && reloc->rela->r_offset % entry)
			continue;
		if (entry)
			bytes = s->bytes[reloc->rela->r_offset + length];
		r->list[r->count++] = (struct replaced_at){module_target(m, reloc), bytes};
	}
}

bool replaced_read(struct replaced *r, const struct module *m)
{
	*r = (struct replaced){calloc(m->nr_relocs + 1, sizeof(*r->list)), 0};
	for (uint32_t i = 0; r->list && i < m->nr_sections; i++) {
		if (module_is_loaded(&m->sections[i]) &&
		    !strcmp(m->sections[i].name, ".altinstructions"))
			add_section(r, m, i);
	}
	if (r->list)
		qsort(r->list, r->count, sizeof(*r->list), by_place);
	return r->list;
}

void replaced_free(struct replaced *r)
{
	free(r->list);
	r->list = NULL;
}

bool replaced_has(const struct replaced *r, struct place at)
{
	const struct replaced_at key = {
		.at = {at.section, at.offset > LONGEST ? at.offset - LONGEST : 0}};
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_place(&r->list[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < r->count && r->list[low].at.section == at.section &&
	       r->list[low].at.offset <= at.offset;
	     low++) {
		if (at.offset - r->list[low].at.offset < r->list[low].length)
			return true;
	}
	return false;
}
