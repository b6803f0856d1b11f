// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's kallsyms, as each version has it. */
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/version.h>
#include "agent.h"
#include "compat.h"

/* 6.3: the modules' iterator takes a module's name; 6.4: its callback is not told the module. */
#define ITERATES_ONE_MODULE (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0))

static unsigned long (*lookup_name)(const char *name);
static int (*lookup_size_offset)(unsigned long addr, unsigned long *size, unsigned long *offset);
#if ITERATES_ONE_MODULE
static int (*on_each_symbol)(int (*fn)(void *, const char *, unsigned long), void *data);
static int (*module_on_each_symbol)(const char *module,
				    int (*fn)(void *, const char *, unsigned long), void *data);
#else
static int (*on_each_symbol)(int (*fn)(void *, const char *, struct module *, unsigned long),
			     void *data);
static int (*module_on_each_symbol)(int (*fn)(void *, const char *, struct module *, unsigned long),
				    void *data);
#endif
static bool (*is_module_data)(unsigned long address);
/* 6.2 and later, and Debian's 6.1 */
static int (*on_each_named)(int (*fn)(void *, unsigned long), const char *name, void *data);

#ifndef CONFIG_KALLSYMS_ALL
/* find_symbol() and its argument, of kernel/module/internal.h: since 5.13 */
struct export_query {
	const char *name;
	bool gplok, warn;
	struct module *owner;
	const s32 *crc;
	const struct kernel_symbol *sym;
	unsigned int license;
};

static bool (*find_export)(struct export_query *query);
#endif

/* kallsyms_lookup_name() is not exported, but kprobes find it by its name. */
static int find_lookup_name(void)
{
	struct kprobe probe = {.symbol_name = "kallsyms_lookup_name"};
	char text[KSYM_SYMBOL_LEN], *plus;
	unsigned long address, offset = 0;
	int err;

	err = register_kprobe(&probe);
	if (err) {
		pr_err("cannot find kallsyms_lookup_name through a kprobe (error %d): is this "
		       "kernel built without CONFIG_KPROBES or CONFIG_KALLSYMS?\n",
		       err);
		return err;
	}
	address = (unsigned long)probe.addr;
	unregister_kprobe(&probe);

	/* the probe may sit behind a landing pad (ENDBR64, BTI): go back to where it begins */
	sprint_symbol(text, address);
	plus = strchr(text, '+');
	if (plus && sscanf(plus, "+%lx", &offset) == 1)
		address -= offset;
	lookup_name = (void *)address;
	return 0;
}

static const struct compat_function needed[] = {
	{"kallsyms_lookup_size_offset", &lookup_size_offset},
	{"kallsyms_on_each_symbol", &on_each_symbol},
	{"module_kallsyms_on_each_symbol", &module_on_each_symbol},
	{"is_module_address", &is_module_data},
};

int compat_find(const struct compat_function *functions, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		unsigned long address = lookup_name(functions[i].name);

		if (!address) {
			pr_err("this kernel has no function '%s', which the agent needs\n",
			       functions[i].name);
			return -ENOENT;
		}
		*(unsigned long *)functions[i].function = address;
	}
	return 0;
}

int compat_symbols_init(void)
{
	int err = find_lookup_name();

#ifndef CONFIG_KALLSYMS_ALL
	if (!err)
		find_export = (void *)lookup_name("find_symbol");
#endif
	/* a compiler that optimizes at link time adds to names, and kernels differ in how they
	 * compare those */
	if (!err && !IS_ENABLED(CONFIG_LTO_CLANG))
		on_each_named = (void *)lookup_name("kallsyms_on_each_match_symbol");
	return err ?: compat_find(needed, ARRAY_SIZE(needed));
}

unsigned long compat_symbol(const char *name)
{
	return lookup_name(name) ?: unlisted_symbol(name);
}

unsigned long compat_unlisted_export(const char *name, char owner[MODULE_NAME_LEN])
{
	unsigned long address = 0;

#ifndef CONFIG_KALLSYMS_ALL
	struct export_query query = {.name = name, .gplok = true};

	if (!find_export)
		return 0;
	preempt_disable();
	if (find_export(&query)) {
		/* the first member: the distance to the symbol, or its address */
		if (IS_ENABLED(CONFIG_HAVE_ARCH_PREL32_RELOCATIONS))
			address = (unsigned long)offset_to_ptr((const int *)query.sym);
		else
			address = *(const unsigned long *)query.sym;
		strscpy(owner, query.owner ? query.owner->name : "vmlinux", MODULE_NAME_LEN);
	}
	preempt_enable();
#endif
	return address;
}

struct each_symbol {
	compat_symbol_fn fn;
	void *data;
	const char *module; /* whose symbols come; NULL: vmlinux */
	bool found;	    /* before 6.4: its symbols come now */
};

#if ITERATES_ONE_MODULE

static int one_symbol(void *data, const char *name, unsigned long address)
{
	const struct each_symbol *each = data;

	each->fn(each->data, each->module ?: "vmlinux", name, address);
	return 0;
}

/*
 * The names of all modules, at most max of them; returns how many there are. The kernel's list is
 * a ring, on which we are; its head is the only entry that does not lie in a module.
 */
static unsigned int module_names(char (*names)[MODULE_NAME_LEN], unsigned int max)
{
	const struct list_head *at = &THIS_MODULE->list;
	unsigned int count = 0;

	rcu_read_lock();
	do {
		unsigned long address = (unsigned long)at;

		if (is_module_data(address)) {
			if (count < max)
				strscpy(names[count], list_entry(at, struct module, list)->name,
					MODULE_NAME_LEN);
			count++;
		}
		at = rcu_dereference(list_next_rcu(at));
	} while (at != &THIS_MODULE->list);
	rcu_read_unlock();
	return count;
}

int compat_for_each_symbol(bool kernel, compat_symbol_fn fn, void *data)
{
	struct each_symbol each = {fn, data, NULL, false};
	unsigned int count = module_names(NULL, 0), i;
	char(*names)[MODULE_NAME_LEN] = kvmalloc_array(count, sizeof(*names), GFP_KERNEL);

	if (!names)
		return -ENOMEM;
	if (kernel)
		on_each_symbol(one_symbol, &each);
	count = min(count, module_names(names, count));
	for (i = 0; i < count; i++) {
		each.module = names[i];
		module_on_each_symbol(names[i], one_symbol, &each);
	}
	kvfree(names);
	return 0;
}

void compat_for_each_module_symbol(const char *module, compat_symbol_fn fn, void *data)
{
	struct each_symbol each = {fn, data, module, false};

	module_on_each_symbol(module, one_symbol, &each);
}

#else

static int one_symbol(void *data, const char *name, struct module *mod, unsigned long address)
{
	const struct each_symbol *each = data;

	each->fn(each->data, mod ? mod->name : "vmlinux", name, address);
	return 0;
}

int compat_for_each_symbol(bool kernel, compat_symbol_fn fn, void *data)
{
	struct each_symbol each = {fn, data, NULL, false};

	if (kernel)
		on_each_symbol(one_symbol, &each);
	module_on_each_symbol(one_symbol, &each);
	return 0;
}

/* A module's symbols follow one another, and the newest module, a payload, comes first. */
static int one_module_symbol(void *data, const char *name, struct module *mod,
			     unsigned long address)
{
	struct each_symbol *each = data;

	if (!mod || strcmp(mod->name, each->module))
		return each->found;
	each->found = true;
	each->fn(each->data, each->module, name, address);
	return 0;
}

void compat_for_each_module_symbol(const char *module, compat_symbol_fn fn, void *data)
{
	struct each_symbol each = {fn, data, module, false};

	module_on_each_symbol(one_module_symbol, &each);
}

#endif

struct each_named {
	compat_symbol_fn fn;
	void *data;
	const char *name;
};

static int one_named(void *data, unsigned long address)
{
	const struct each_named *each = data;

	each->fn(each->data, "vmlinux", each->name, address);
	return 0;
}

bool compat_has_names(void)
{
	return on_each_named;
}

void compat_for_each_named(const char *name, compat_symbol_fn fn, void *data)
{
	struct each_named each = {fn, data, name};

	on_each_named(one_named, name, &each);
}

unsigned long compat_symbol_size(unsigned long address)
{
	unsigned long size, offset;

	if (!lookup_size_offset(address, &size, &offset) || offset)
		return 0;
	return size;
}

unsigned long compat_symbol_room(unsigned long address)
{
	unsigned long size, offset;

	return lookup_size_offset(address, &size, &offset) ? size - offset : 0;
}

unsigned long compat_symbol_before(unsigned long address)
{
	unsigned long size, offset;

	return lookup_size_offset(address - 1, &size, &offset) ? address - 1 - offset : 0;
}
