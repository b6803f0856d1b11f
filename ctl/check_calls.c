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
	struct called *funcs; /* by address, once collected */
	struct called **by_name;
	unsigned nr_funcs;
	struct target *targets;
	unsigned count, room;
};

/* ---- functions and their clones ---- */

/* Does a suffix of clones that may be called directly begin there? Cold parts are only jumped to.
 */
static bool is_suffix(const char *dot)
{
	return !strstr(dot, ".cold") &&
	       (!strncmp(dot, ".part.", 6) || !strncmp(dot, ".constprop.", 11) ||
		!strncmp(dot, ".isra.", 6));
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

static int compare_address(const void *key, const void *func)
{
	const uint64_t *address = key;
	const struct called *f = func;

	return *address < f->address ? -1 : *address > f->address;
}

/* Does the patch replace it by its own name? */
static bool is_named(const struct calls *c, uint64_t address)
{
	return bsearch(&address, c->funcs, c->nr_funcs, sizeof(*c->funcs), compare_address);
}

static int compare_names(const void *a, const void *b)
{
	const struct called *const *f = a, *const *g = b;

	return strcmp((*f)->func->name, (*g)->func->name);
}

/* The first function whose name is the first `len` characters, and in *end what is behind the last.
 */
static struct called **functions_named(const struct calls *c, const char *name, size_t len,
				       struct called ***end)
{
	unsigned low = 0, high = c->nr_funcs;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		const char *own = c->by_name[middle]->func->name;
		int order = strncmp(own, name, len);

		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (high = low; high < c->nr_funcs && !strncmp(c->by_name[high]->func->name, name, len) &&
			 !c->by_name[high]->func->name[len];
	     high++)
		;
	*end = c->by_name + high;
	return c->by_name + low;
}

static bool add_clones_of(struct calls *c, const char *symbol, uint64_t address, bool init)
{
	for (const char *dot = strchr(symbol, '.'); dot && !init; dot = strchr(dot + 1, '.')) {
		struct called **end = NULL, **f = NULL;

		if (is_suffix(dot))
			f = functions_named(c, symbol, (size_t)(dot - symbol), &end);
		for (; f && f < end; f++)
			if (!is_named(c, address) && !add_target(c, address, 1, *f, symbol))
				return false;
	}
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

static int by_own_address(const void *a, const void *b)
{
	const struct called *f = a;

	return compare_address(&f->address, b);
}

/* False: there is no memory. */
static bool collect(struct calls *c)
{
	int r = c->ko ? areas_of_module(&c->areas, c->ko) : areas_of_kernel(&c->areas, c->k);
	bool good = !r;

	c->by_name = calloc(c->nr_funcs, sizeof(struct called *));
	good = good && c->by_name;
	for (unsigned i = 0; c->ko && i < c->nr_funcs; i++)
		c->funcs[i].address =
			areas_address(&c->areas, c->funcs[i].section, c->funcs[i].address);
	qsort(c->funcs, c->nr_funcs, sizeof(*c->funcs), by_own_address);
	for (unsigned i = 0; good && i < c->nr_funcs; i++)
		c->by_name[i] = &c->funcs[i];
	if (good)
		qsort(c->by_name, c->nr_funcs, sizeof(struct called *), compare_names);
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
	struct called **end;

	for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.'))
		if (functions_named(c, name, (size_t)(dot - name), &end) < end)
			return true;
	return is_named(c, start);
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
	free(c.by_name);
}
