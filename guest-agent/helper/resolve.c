// SPDX-License-Identifier: GPL-2.0-only
/*
 * Undefined symbols. Those of vmlinux are resolved at once. Those of a module are resolved at once
 * too, and the module is held; or when the module comes, if only functions of that object refer to
 * them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suture/payload.h>
#include "helper.h"

#define NOWHERE (~0u)

/* A module that symbols belong to. The first are the objects of the patch. */
struct owner {
	char name[SUTURE_NAME_LEN];
	bool loaded;
	bool held;
};

/* An undefined symbol of the payload; `asked` of the same number is what the agent knows of it. */
struct need {
	size_t symbol;
	bool explicit; /* the payload names the object */
	bool weak;
	bool left;	    /* to the kernel's loader */
	unsigned int owner; /* NOWHERE: vmlinux */
	uint32_t late;	    /* its number among the late symbols + 1 */
};

struct work {
	struct module *m;
	struct agent *agent;
	struct failure *f;
	struct patch patch;
	struct graph *graph;
	struct replaced replaced;
	struct suture_symbol *asked;
	struct need *needs;
	uint32_t nr_needs;
	uint32_t *need_of; /* of a symbol, + 1 */
	struct owner *owners;
	unsigned int nr_owners;
	unsigned int kernel; /* SUTURE_KERNEL_* */

	struct suture_late_reloc *relocs;
	struct suture_late_section *sections;
	struct suture_symbol *symbols;
	uint32_t *section_of; /* its number among the late sections + 1 */
	char (*holds)[SUTURE_NAME_LEN];
	struct suture_late request;
};

/* ---- the questions to the agent ---- */

static int collect(struct work *w)
{
	const struct module *m = w->m;
	int err = 0;

	for (size_t i = 1; i < m->nr_symbols && !err; i++) {
		struct suture_symbol *s = &w->asked[w->nr_needs];

		if (!module_is_undefined(m, i))
			continue;
		err = name_parse_symbol(module_symbol_name(m, i),
					m->symbols[i].st_shndx != SHN_UNDEF, s, w->f);
		w->needs[w->nr_needs] = (struct need){
			.symbol = i,
			.explicit = *s->object,
			.weak = ELF64_ST_BIND(m->symbols[i].st_info) == STB_WEAK,
			.owner = NOWHERE,
		};
		w->need_of[i] = ++w->nr_needs;
	}
	return err;
}

static int resolve(struct work *w, struct suture_symbol *symbols, uint32_t count)
{
	struct suture_resolve request = {.symbols = (uintptr_t)symbols, .count = count};
	int err;

	if (symbols == w->asked) {
		request.functions = (uintptr_t)w->patch.functions;
		request.nr_functions = w->patch.nr_functions;
	}
	err = w->agent->resolve(w->agent, &request);

	if (err)
		return fail(w->f, err, "the agent cannot look up symbols: %s", strerror(-err));
	w->kernel = request.flags;
	return 0;
}

/* A bare name that a module of the patch exports means that one, even if others have the name. */
static int ask_exporter(struct work *w, struct suture_symbol *s)
{
	struct suture_symbol again = *s;
	int err;

	if (s->count <= 1 || !s->exported || patch_object(&w->patch, s->object) == NO_OBJECT)
		return 0;
	err = resolve(w, &again, 1);
	again.exported = 1;
	*s = again;
	return err;
}

static int ask(struct work *w)
{
	bool any = w->nr_needs || w->patch.nr_functions;
	int err = any ? resolve(w, w->asked, w->nr_needs) : 0;

	for (uint32_t i = 0; i < w->nr_needs && !err; i++) {
		if (!w->needs[i].explicit)
			err = ask_exporter(w, &w->asked[i]);
	}
	return err;
}

/* ---- the owner of each symbol ---- */

static unsigned int owner_of(struct work *w, const char *module)
{
	for (unsigned int i = 0; i < w->nr_owners; i++) {
		if (!strcmp(w->owners[i].name, module))
			return i;
	}
	strcpy(w->owners[w->nr_owners].name, module);
	w->owners[w->nr_owners].loaded = w->agent->loaded(w->agent, module);
	return w->nr_owners++;
}

static void add_objects(struct work *w)
{
	for (unsigned int i = 0; i < w->patch.nr_objects; i++)
		owner_of(w, w->patch.objects[i]);
}

static bool is_vmlinux(const char *object)
{
	return !strcmp(object, "vmlinux");
}

static bool is_object(const struct work *w, unsigned int owner)
{
	return owner < w->patch.nr_objects && !is_vmlinux(w->owners[owner].name);
}

/* A bare name that was not found: it belongs to the only module of the patch that is not loaded. */
static int find_absent(struct work *w, struct need *need, const char *name)
{
	char modules[SUTURE_TEXT_LEN] = "";
	unsigned int count = 0;

	for (unsigned int i = 0; i < w->patch.nr_objects; i++) {
		size_t length = strlen(modules);

		if (!is_object(w, i) || w->owners[i].loaded)
			continue;
		need->owner = i;
		snprintf(modules + length, sizeof(modules) - length, "%s%s", count++ ? ", " : "",
			 w->owners[i].name);
	}
	if (count == 1)
		return 0;
	if (!count)
		return fail(w->f, -ENOENT, "symbol '%s' is not in the kernel and its modules",
			    name);
	return fail(w->f, -ENOENT,
		    "symbol '%s' is not in the kernel, and may be of the modules %s, which are not "
		    "loaded: say which with SUTURE_SYMBOL(%s, %s, 0)",
		    name, modules, w->owners[need->owner].name, name);
}

/* A name in an object, or anywhere: is the answer one symbol? */
static int judge_answer(struct work *w, const struct suture_symbol *s, const char *where)
{
	if (!s->position && s->count > 1)
		return fail(w->f, -EINVAL,
			    "symbol '%s' is ambiguous: %s has %u; say which one with "
			    "SUTURE_SYMBOL(object, %s, position)",
			    s->name, where, s->count, s->name);
	if (!s->address)
		return fail(w->f, -ENOENT, "symbol '%s' has no position %u in %s, only %u", s->name,
			    s->position, where, s->count);
	if (!(s->flags & SUTURE_SYMBOL_INIT))
		return 0;
	if (!*s->object || is_vmlinux(s->object))
		return fail(w->f, -EINVAL,
			    "symbol '%s' is in the kernel's init memory, which is gone", s->name);
	return fail(w->f, -EINVAL,
		    "symbol '%s' is in the init memory of module '%s', which goes when its init is "
		    "done",
		    s->name, s->object);
}

static int judge_absent(struct work *w, struct need *need, const struct suture_symbol *s)
{
	if (need->weak) {
		need->left = true;
		return 0;
	}
	if (!need->explicit)
		return find_absent(w, need, s->name);
	if (is_vmlinux(s->object))
		return fail(w->f, -ENOENT, "symbol '%s' is not in vmlinux", s->name);
	need->owner = owner_of(w, s->object);
	if (w->owners[need->owner].loaded)
		return fail(w->f, -ENOENT, "symbol '%s' is not in %s", s->name, s->object);
	if (!is_object(w, need->owner))
		return fail(w->f, -ENOENT,
			    "symbol '%s' is of module '%s', which is not loaded, and not an object "
			    "of the patch: load it first",
			    s->name, s->object);
	return 0;
}

static int judge_need(struct work *w, struct need *need, const struct suture_symbol *s)
{
	bool of_object = patch_object(&w->patch, s->object) != NO_OBJECT && !is_vmlinux(s->object);
	int err;

	/* the kernel's loader resolves it, and counts its users */
	need->left = s->exported && !need->explicit && !of_object;
	if (need->left)
		return 0;
	if (!s->count)
		return judge_absent(w, need, s);
	err = judge_answer(w, s, need->explicit ? s->object : "the kernel and its modules");
	if (!err && *s->object && !is_vmlinux(s->object))
		need->owner = owner_of(w, s->object);
	return err;
}

static int judge_needs(struct work *w)
{
	int err = 0;

	for (uint32_t i = 0; i < w->nr_needs && !err; i++)
		err = judge_need(w, &w->needs[i], &w->asked[i]);
	return err;
}

/* ---- references to them ---- */

static struct need *need_of(const struct work *w, const struct reloc *r)
{
	uint32_t n = w->need_of[ELF64_R_SYM(r->rela->r_info)];

	return n ? &w->needs[n - 1] : NULL;
}

/* Do only functions of that object reach the place? */
static bool is_for(const struct work *w, const struct reloc *r, unsigned int object)
{
	char named[SUTURE_NAME_LEN];

	if (name_parse_rela(w->m->sections[r->from].name, named))
		return patch_object(&w->patch, named) == object;
	return graph_owner(w->graph, (struct place){r->section, r->rela->r_offset}) ==
	       OWNER_OBJECT + object;
}

/* A symbol has one veneer, which leads to its beginning. */
static bool can_be_late(const struct work *w, const struct reloc *r, const struct reloc_kind *kind)
{
	return kind->late && !(kind->branch && r->rela->r_addend) &&
	       !(kind->page && w->kernel & SUTURE_KERNEL_REWRITES_PAGES);
}

static bool follows(const struct work *w, const struct reloc *r, const struct need *need)
{
	const struct reloc_kind *kind =
		arch_kind(w->m->arch, (uint32_t)ELF64_R_TYPE(r->rela->r_info));

	return is_object(w, need->owner) && kind && can_be_late(w, r, kind) &&
	       table_find(w->m->sections[r->section].name)->flags & TABLE_FOLLOWS &&
	       is_for(w, r, need->owner) &&
	       !replaced_has(&w->replaced, (struct place){r->section, r->rela->r_offset});
}

/* The reference must be valid as long as the payload is loaded. */
static int hold(struct work *w, const struct reloc *r, const struct need *need)
{
	const struct suture_symbol *s = &w->asked[need - w->needs];
	struct owner *owner = &w->owners[need->owner];

	owner->held = true;
	if (s->address)
		return 0;
	return fail(w->f, -ENOENT,
		    "load '%s' first: '%s', which also runs without it, uses its symbol '%s'",
		    owner->name,
		    module_name_of(w->m, (struct place){r->section, r->rela->r_offset}), s->name);
}

static int judge_references(struct work *w)
{
	int err = 0;

	for (size_t i = 0; i < w->m->nr_relocs && !err; i++) {
		const struct reloc *r = &w->m->relocs[i];
		const struct need *need = need_of(w, r);

		if (!need)
			continue;
		err = table_judge(w->m, r, &w->asked[need - w->needs], w->kernel, w->f);
		if (!err && need->owner != NOWHERE && !follows(w, r, need))
			err = hold(w, r, need);
	}
	return err;
}

/* ---- what is changed in the file, and what the agent is told ---- */

/* Is the symbol looked up when its module comes? Else it has an address now. */
static bool is_late(const struct work *w, const struct need *need)
{
	return need->owner != NOWHERE && !w->owners[need->owner].held;
}

static uint32_t late_section(struct work *w, uint32_t section)
{
	struct suture_late_section *s = &w->sections[w->request.nr_sections];
	size_t symbol;

	if (!w->section_of[section]) {
		symbol = module_symbol_in(w->m, section);
		*s = (struct suture_late_section){.index = (su32)symbol,
						  .value = w->m->symbols[symbol].st_value};
		w->section_of[section] = ++w->request.nr_sections;
	}
	return w->section_of[section] - 1;
}

static uint32_t late_symbol(struct work *w, struct need *need)
{
	struct suture_symbol *s = &w->symbols[w->request.nr_symbols];
	const struct suture_symbol *asked = &w->asked[need - w->needs];

	if (!need->late) {
		strcpy(s->object, w->owners[need->owner].name);
		strcpy(s->name, asked->name);
		s->position = asked->position;
		need->late = ++w->request.nr_symbols;
	}
	return need->late - 1;
}

static int take_out(struct work *w, const struct reloc *r, struct need *need)
{
	if (!w->section_of[r->section] && !module_symbol_in(w->m, r->section))
		return fail(w->f, -ENOEXEC, "the payload's section %s has no symbol",
			    w->m->sections[r->section].name);
	if (w->request.nr_relocs == SUTURE_MAX_LATE)
		return fail(
			w->f, -E2BIG,
			"the payload has more than %u references to modules that may come and go",
			SUTURE_MAX_LATE);
	w->relocs[w->request.nr_relocs++] = (struct suture_late_reloc){
		.offset = r->rela->r_offset,
		.addend = r->rela->r_addend,
		.section = late_section(w, r->section),
		.symbol = late_symbol(w, need),
		.type = (su32)ELF64_R_TYPE(r->rela->r_info),
	};
	module_drop_reloc(w->m, r);
	return 0;
}

static int take_out_late(struct work *w)
{
	int err = 0;

	for (size_t i = 0; i < w->m->nr_relocs && !err; i++) {
		struct need *need = need_of(w, &w->m->relocs[i]);

		if (need && is_late(w, need))
			err = take_out(w, &w->m->relocs[i], need);
	}
	return err;
}

static bool branches_late(const struct work *w)
{
	for (uint32_t i = 0; i < w->request.nr_relocs; i++) {
		if (arch_kind(w->m->arch, w->relocs[i].type)->branch)
			return true;
	}
	return false;
}

/* A veneer for each symbol whose address is not known yet: a branch may not reach it. */
static int reserve_veneers(struct work *w)
{
	const size_t section = module_section(w->m, SUTURE_VENEER_SECTION);

	if (branches_late(w)) {
		if (!section || !module_symbol_in(w->m, section) ||
		    !module_resize(w->m, section,
				   (uint64_t)w->request.nr_symbols * w->m->arch->veneer_size))
			return fail(w->f, -ENOEXEC,
				    "the payload has no section " SUTURE_VENEER_SECTION
				    " for its calls to modules: build it again, with the agent's "
				    "linux/livepatch.h");
		w->request.veneers = late_section(w, (uint32_t)section);
	} else {
		w->request.veneers = w->request.nr_sections;
	}
	return 0;
}

static void define(struct work *w)
{
	for (uint32_t i = 0; i < w->nr_needs; i++) {
		const struct need *need = &w->needs[i];

		if (!need->left)
			module_define(w->m, need->symbol,
				      is_late(w, need) ? 0 : w->asked[i].address);
	}
	/* relocations that were left to livepatch are now the kernel's loader's */
	for (size_t i = 0; i < w->m->nr_sections; i++)
		module_clear_livepatch(w->m, i);
	if (w->kernel & SUTURE_KERNEL_NO_LIVEPATCH)
		module_drop_info(w->m, "livepatch");
}

static int hold_modules(struct work *w)
{
	for (unsigned int i = 0; i < w->nr_owners; i++) {
		if (!w->owners[i].held)
			continue;
		if (w->request.nr_holds == SUTURE_MAX_HOLDS)
			return fail(w->f, -E2BIG, "the payload needs more than %u modules",
				    SUTURE_MAX_HOLDS);
		strcpy(w->holds[w->request.nr_holds++], w->owners[i].name);
	}
	return 0;
}

static int tell_agent(struct work *w)
{
	int err;

	w->request.relocs = (uintptr_t)w->relocs;
	w->request.sections = (uintptr_t)w->sections;
	w->request.symbols = (uintptr_t)w->symbols;
	w->request.holds = (uintptr_t)w->holds;
	w->request.nr_symtab = (su32)w->m->nr_symbols;
	if (!w->request.nr_relocs && !w->request.nr_holds)
		return 0;
	err = w->agent->late(w->agent, &w->request);
	if (err)
		return fail(w->f, err, "the agent does not take the references to modules: %s",
			    strerror(-err));
	return 0;
}

/* ---- the whole ---- */

static int run(struct work *w)
{
	int err = patch_open(&w->patch, w->m, w->f);

	if (err)
		return err;
	add_objects(w);
	err = collect(w);
	if (!err)
		err = ask(w);
	if (!err)
		err = judge_needs(w);
	if (err)
		return err;
	w->graph = graph_make(w->m, &w->patch);
	if (!w->graph || !replaced_read(&w->replaced, w->m))
		return fail(w->f, -ENOMEM, "no memory for the payload's %zu relocations",
			    w->m->nr_relocs);
	err = judge_references(w);
	if (!err)
		err = take_out_late(w);
	if (!err)
		err = reserve_veneers(w);
	if (!err)
		err = hold_modules(w);
	if (err)
		return err;
	define(w);
	return tell_agent(w);
}

/* Room for `needs` symbols. Each may have an owner of its own. */
static bool make_room(struct work *w, size_t needs)
{
	size_t late = w->m->nr_relocs < SUTURE_MAX_LATE ? w->m->nr_relocs : SUTURE_MAX_LATE;

	w->asked = calloc(needs + 1, sizeof(*w->asked));
	w->needs = calloc(needs + 1, sizeof(*w->needs));
	w->need_of = calloc(w->m->nr_symbols + 1, sizeof(*w->need_of));
	w->owners = calloc(needs + SUTURE_MAX_OBJECTS, sizeof(*w->owners));
	w->relocs = calloc(late + 1, sizeof(*w->relocs));
	w->sections = calloc(w->m->nr_sections + 1, sizeof(*w->sections));
	w->section_of = calloc(w->m->nr_sections + 1, sizeof(*w->section_of));
	w->symbols = calloc(needs + 1, sizeof(*w->symbols));
	w->holds = calloc(SUTURE_MAX_HOLDS, sizeof(*w->holds));
	return w->asked && w->needs && w->need_of && w->owners && w->relocs && w->sections &&
	       w->section_of && w->symbols && w->holds;
}

static void release(struct work *w)
{
	free(w->asked);
	free(w->needs);
	free(w->need_of);
	free(w->owners);
	free(w->relocs);
	free(w->sections);
	free(w->section_of);
	free(w->symbols);
	free(w->holds);
	graph_free(w->graph);
	replaced_free(&w->replaced);
	patch_close(&w->patch);
}

static size_t count_needs(const struct module *m)
{
	size_t count = 0;

	for (size_t i = 1; i < m->nr_symbols; i++)
		count += module_is_undefined(m, i);
	return count;
}

int resolve_module(struct module *m, struct agent *agent, struct failure *f)
{
	size_t needs = count_needs(m);
	struct work *w;
	int err;

	if (needs > SUTURE_MAX_SYMBOLS)
		return fail(f, -E2BIG, "the payload has %zu undefined symbols, at most %u can be",
			    needs, SUTURE_MAX_SYMBOLS);
	w = calloc(1, sizeof(*w));
	if (!w)
		return fail(f, -ENOMEM, "no memory for %zu symbols", needs);
	w->m = m;
	w->agent = agent;
	w->f = f;
	if (make_room(w, needs))
		err = run(w);
	else
		err = fail(f, -ENOMEM, "no memory for %zu symbols", needs);
	release(w);
	free(w);
	return err;
}
