// SPDX-License-Identifier: GPL-2.0-only
/* The symbols of a module by address. */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sort.h>
#include "agent.h"
#include "compat.h"

/* The kernel does not take these for functions: they mark where data begins in code, and the like.
 */
static bool is_mark(const char *name)
{
	return !*name || *name == '$' || (name[0] == '.' && name[1] == 'L') ||
	       (name[0] == 'L' && name[1] == '0');
}

static void add_symbol(void *data, const char *object, const char *name, unsigned long address)
{
	struct module_symbols *m = data;

	if (is_mark(name))
		return;
	if (m->count < m->room)
		m->symbols[m->count] = (struct module_symbol){address, name, m->count};
	m->count++;
}

static int by_address(const void *a, const void *b)
{
	const struct module_symbol *s = a, *t = b;

	if (s->address != t->address)
		return s->address < t->address ? -1 : 1;
	return s->order < t->order ? -1 : s->order > t->order;
}

int module_symbols_read(struct module_symbols *m, const struct module *mod)
{
	unsigned long start;

	*m = (struct module_symbols){};
	strscpy(m->module, mod->name, sizeof(m->module));
	compat_module_text(mod, &start, &m->end);
	compat_for_each_module_symbol(mod->name, add_symbol, m);
	m->room = m->count;
	m->count = 0;
	m->symbols = kvmalloc_array(m->room + 1, sizeof(*m->symbols), GFP_KERNEL);
	if (!m->symbols)
		return -ENOMEM;
	compat_for_each_module_symbol(mod->name, add_symbol, m);
	m->count = min(m->count, m->room);
	sort(m->symbols, m->count, sizeof(*m->symbols), by_address, NULL);
	return 0;
}

void module_symbols_free(struct module_symbols *m)
{
	kvfree(m->symbols);
}

/* The first symbol that is not below the address. */
static unsigned int first_symbol(const struct module_symbols *m, unsigned long address)
{
	unsigned int low = 0, high = m->count, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (m->symbols[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const char *module_symbols_name(const struct module_symbols *m, unsigned long address)
{
	unsigned int i = first_symbol(m, address);

	return i < m->count && m->symbols[i].address == address ? m->symbols[i].name : NULL;
}

unsigned long module_symbols_size(const struct module_symbols *m, unsigned long address)
{
	unsigned int next = first_symbol(m, address + 1);
	unsigned long end = m->end;

	if (!module_symbols_name(m, address) || address >= end)
		return 0;
	if (next < m->count)
		end = min(end, m->symbols[next].address);
	return end - address;
}
