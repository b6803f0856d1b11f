/* SPDX-License-Identifier: BSD-2-Clause */
#include "check_calls.h"
#include "refs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTED 8u /* callers, as the agent gives them */

/* A function of the patch, or a clone of one. */
struct target {
	uint64_t address, end;
	struct called *of;
	const char *clone; /* its name; NULL: the function itself */
	unsigned refs, callers;
	uint64_t last_caller;
	char text[512]; /* the names of the first callers */
};

struct calls {
	const struct kernel *k;
	const struct ko *ko;
	struct areas areas;
	struct called *funcs;
	unsigned nr_funcs;
	struct target *targets;
	unsigned count, room;
};

/* ---- functions and their clones ---- */

/* Is it a clone of that function that may be called directly? Cold parts are only jumped to. */
static bool is_clone(const char *symbol, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(symbol, name, n) != 0 || strstr(symbol + n, ".cold"))
		return false;
	symbol += n;
	return !strncmp(symbol, ".part.", 6) || !strncmp(symbol, ".constprop.", 11) ||
	       !strncmp(symbol, ".isra.", 6);
}

static bool add_target(struct calls *c, uint64_t address, uint64_t size, struct called *of,
		       const char *clone)
{
	struct target *more = c->targets;

	if (c->count == c->room) {
		c->room = c->room ? 2 * c->room : 64;
		more = realloc(c->targets, c->room * sizeof(*more));
	}
	if (!more)
		return false;
	c->targets = more;
	more[c->count++] = (struct target){
		.address = address, .end = address + size, .of = of, .clone = clone};
	return true;
}

/* Does the patch replace it by its own name? */
static bool is_named(const struct calls *c, uint64_t address)
{
	for (unsigned i = 0; i < c->nr_funcs; i++)
		if (c->funcs[i].address == address)
			return true;
	return false;
}

static bool add_clones_of(struct calls *c, const char *symbol, uint64_t address, bool init)
{
	for (unsigned i = 0; i < c->nr_funcs; i++)
		if (!init && is_clone(symbol, c->funcs[i].func->name) && !is_named(c, address) &&
		    !add_target(c, address, 1, &c->funcs[i], symbol))
			return false;
	return true;
}

static bool add_clones(struct calls *c)
{
	struct ko_symbol s;
	bool good = true;

	for (uint32_t i = 0; good && !c->ko && i < c->k->syms.count; i++)
		good = add_clones_of(c, c->k->syms.syms[i].name, c->k->syms.syms[i].address, false);
	for (size_t i = 1; good && c->ko && ko_symbol(c->ko, i, &s); i++)
		if (ko_is_defined(&s))
			good = add_clones_of(
				c, s.name, areas_address(&c->areas, s.sym.st_shndx, s.sym.st_value),
				ko_is_init(s.section));
	return good;
}

static int by_address(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* False: there is no memory. */
static bool collect(struct calls *c)
{
	int r = c->ko ? areas_of_module(&c->areas, c->ko) : areas_of_kernel(&c->areas, c->k);
	bool good = !r;

	for (unsigned i = 0; c->ko && i < c->nr_funcs; i++)
		c->funcs[i].address =
			areas_address(&c->areas, c->funcs[i].section, c->funcs[i].address);
	for (unsigned i = 0; good && i < c->nr_funcs; i++)
		good = add_target(c, c->funcs[i].address, c->funcs[i].size, &c->funcs[i], NULL);
	good = good && add_clones(c);
	if (c->count)
		qsort(c->targets, c->count, sizeof(*c->targets), by_address);
	return good;
}

/* ---- references to them ---- */

/* The name of the function at that place, and in *start where it begins. "": it is not known. */
static const char *kernel_function_at(const struct calls *c, uint64_t place, uint64_t *start)
{
	const struct ksym *s = kallsyms_at(&c->k->syms, place);

	*start = s ? s->address : 0;
	return s ? s->name : "";
}

static const char *module_function_at(const struct calls *c, uint64_t place, uint64_t *start)
{
	struct ko_symbol s;

	for (unsigned i = 0; i < c->areas.count; i++) {
		const struct area *a = &c->areas.list[i];

		if (place < a->address || place - a->address >= a->size ||
		    !ko_symbol_at(c->ko, a->section, place - a->address, &s))
			continue;
		*start = a->address + s.sym.st_value;
		return s.name;
	}
	return "";
}

/* A call in a function that is replaced, or in a part of one, does not count. */
static bool is_replaced(const struct calls *c, uint64_t start, const char *name)
{
	for (unsigned i = 0; i < c->nr_funcs; i++) {
		const char *own = c->funcs[i].func->name;
		size_t n = strlen(own);

		if (c->funcs[i].address == start || (!strncmp(name, own, n) && name[n] == '.'))
			return true;
	}
	return false;
}

static void add_caller(const struct calls *c, struct target *t, uint64_t place)
{
	size_t n = strlen(t->text);
	uint64_t start = 0;
	const char *name =
		c->ko ? module_function_at(c, place, &start) : kernel_function_at(c, place, &start);

	/* in the order of the text: calls of one function follow one another */
	if (!*name || start == t->last_caller || is_replaced(c, start, name))
		return;
	t->last_caller = start;
	if (t->callers++ < LISTED)
		snprintf(t->text + n, sizeof(t->text) - n, "%s%.60s", n ? ", " : "", name);
}

static void take_ref(void *data, unsigned i, const struct ref *ref)
{
	const struct calls *c = data;
	struct target *t = &c->targets[i];
	/* the kernel's init code has run; a module's runs when it is loaded while the patch is on
	 */
	bool is_over = !c->ko && ref->init && ref->branch;

	if (ref->place >= t->address && ref->place < t->end)
		return;
	t->refs += !is_over;
	if (t->clone && ref->branch && !ref->init)
		add_caller(c, t, ref->place);
}

static bool scan(struct calls *c)
{
	uint64_t *addresses = calloc(c->count + 1, sizeof(*addresses));

	for (unsigned i = 0; addresses && i < c->count; i++)
		addresses[i] = c->targets[i].address;
	if (addresses)
		refs_find(&c->areas, addresses, c->count, take_ref, c);
	free(addresses);
	return addresses;
}

/* ---- the messages ---- */

static void judge(const struct target *t, const char *object, struct verdict *v)
{
	struct payload_func *f = t->of->func;
	char more[32] = "";

	if (t->callers > LISTED)
		snprintf(more, sizeof(more), " and %u more", t->callers - LISTED);
	if (t->clone && t->callers)
		verdict_doubt(v,
			      "%s of '%s' is not replaced with %s; it is called directly by %s%s: "
			      "these go on in the old code",
			      t->clone, object, f->name, t->text, more);
	if (t->clone || t->refs || !t->of->plain)
		return;
	f->uncalled = true;
	verdict_doubt(
		v,
		"nobody calls '%s' of '%s' or holds its address: it was inlined everywhere, or "
		"is not used: the new code may never run; patch its callers",
		f->name, object);
}

void check_calls(const struct kernel *k, const struct ko *ko, const char *object,
		 struct called *funcs, unsigned count, struct verdict *v)
{
	struct calls c = {.k = k, .ko = ko, .funcs = funcs, .nr_funcs = count};

	if (!ko && k->image.elf && k->image.machine != SUTURE_MACHINE_X86_64) {
		if (count)
			verdict_note(v,
				     "who calls what in '%s' was not looked at: give the Image, "
				     "not an arm64 vmlinux",
				     object);
		return;
	}
	if (count && collect(&c) && scan(&c)) {
		for (unsigned i = 0; i < c.count; i++)
			judge(&c.targets[i], object, v);
	} else if (count) {
		verdict_note(v,
			     "who calls what in '%s' was not looked at: too many sections, "
			     "relocations of "
			     "another kind, or no memory",
			     object);
	}
	areas_free(&c.areas);
	free(c.targets);
}
