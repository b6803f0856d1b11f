// SPDX-License-Identifier: GPL-2.0-only
/*
 * Symbols that a payload takes from modules. The loader helper (helper/) removes relocations from
 * the payload that are in code for one object only. The agent applies them when that object's
 * module comes, and takes them back when it goes. For all other code the module is held as long as
 * the payload is loaded. docs/payloads.md has the rules.
 *
 * The payload's text and constants are read-only by then. They are written through a mapping of
 * their pages that lasts as long as the write. The written code is not executed meanwhile, because
 * the object's functions are not patched then.
 */
#include <linux/moduleloader.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "agent.h"
#include "arch.h"
#include "compat.h"
#include "uapi.h"

struct late {
	struct list_head list;
	u32 job; /* whose file's number; 0 when the file is closed */
	char name[SUTURE_NAME_LEN];
	const struct module *mod; /* NULL: it has not come yet */
	struct module **holds;
	struct suture_late_reloc *relocs; /* once bound, `offset` is the place's address */
	struct suture_late_section *sections;
	struct suture_symbol *symbols;
	u32 nr_holds, nr_relocs, nr_sections, nr_symbols, nr_symtab;
	u32 veneers;		  /* index of their section; nr_sections: none */
	unsigned long veneers_at; /* once bound; 0: none */
	struct kept *kept;	  /* until klp_enable_patch(); or NULL */
};

static LIST_HEAD(lates); /* under agent_lock */

/* The value of a symbol whose module is not loaded. No code that calls it should run then. */
static noinline unsigned long absent(void)
{
	pr_err_ratelimited("a payload calls code of a module that is not loaded\n");
	return 0;
}

/* ---- holding modules ---- */

static bool holds(const struct late *l, const struct module *mod)
{
	u32 i;

	for (i = 0; i < l->nr_holds; i++) {
		if (l->holds[i] == mod)
			return true;
	}
	return false;
}

/* -EBUSY: it comes or goes; -E2BIG; -ENOMEM. */
static int hold(struct late *l, const char *name)
{
	struct module *mod = compat_find_module(name);

	if (mod && holds(l, mod))
		return 0;
	if (l->nr_holds == SUTURE_MAX_HOLDS)
		return -E2BIG;
	if (!l->holds)
		l->holds = kcalloc(SUTURE_MAX_HOLDS, sizeof(*l->holds), GFP_KERNEL);
	if (!l->holds)
		return -ENOMEM;
	/* one whose init fails is freed whatever its references are */
	if (!mod || mod->state != MODULE_STATE_LIVE || !try_module_get(mod))
		return -EBUSY;
	l->holds[l->nr_holds++] = mod;
	return 0;
}

static bool is_named(const char (*names)[SUTURE_NAME_LEN], u32 count, const char *name)
{
	while (count--) {
		if (!strcmp(names[count], name))
			return true;
	}
	return false;
}

/* Release all modules but those named. */
static void hold_only(struct late *l, const char (*names)[SUTURE_NAME_LEN], u32 count)
{
	u32 i, kept = 0;

	for (i = 0; i < l->nr_holds; i++) {
		if (is_named(names, count, l->holds[i]->name))
			l->holds[kept++] = l->holds[i];
		else
			module_put(l->holds[i]);
	}
	l->nr_holds = kept;
}

static void free_late(struct late *l)
{
	list_del(&l->list);
	hold_only(l, NULL, 0);
	kfree(l->holds);
	kvfree(l->relocs);
	kvfree(l->sections);
	kvfree(l->symbols);
	kept_free(l->kept);
	kfree(l);
}

/* ---- the helper's half: before the payload is loaded ---- */

static struct late *find_job(u32 job)
{
	struct late *l;

	list_for_each_entry(l, &lates, list)
	{
		if (l->job == job)
			return l;
	}
	return NULL;
}

static struct late *begin(u32 job, const char *name)
{
	struct late *l = find_job(job);

	if (l)
		return l;
	l = kzalloc(sizeof(*l), GFP_KERNEL);
	if (!l)
		return NULL;
	l->job = job;
	strscpy(l->name, name, sizeof(l->name));
	list_add(&l->list, &lates);
	return l;
}

int late_find_symbols(u32 job, const char *payload, struct symbol *symbols, u32 count,
		      const char (*functions)[SUTURE_SYM_LEN], u32 nr_functions)
{
	struct kept *kept = NULL;
	struct late *l;
	int err;
	u32 i;

	mutex_lock(&agent_lock);
	l = begin(job, payload);
	err = l ? symbols_find_and_keep(symbols, count, functions, nr_functions, &kept) : -ENOMEM;
	if (kept) {
		kept_free(l->kept);
		l->kept = kept;
	}
	for (i = 0; !err && i < count; i++) {
		const char *owner = symbols[i].owner;

		if (*owner && strcmp(owner, "vmlinux") && strcmp(owner, KBUILD_MODNAME))
			err = hold(l, owner);
	}
	mutex_unlock(&agent_lock);
	return err;
}

static int copy_table(void *to, u64 from, u32 count, size_t size)
{
	void *table = NULL;

	if (count)
		table = vmemdup_user(u64_to_user_ptr(from), count * size);
	if (IS_ERR(table))
		return PTR_ERR(table);
	*(void **)to = table;
	return 0;
}

/* Are all indexes within the tables, and all names terminated? */
static bool is_sound(struct late *l)
{
	u32 i;

	if (l->veneers > l->nr_sections)
		return false;
	for (i = 0; i < l->nr_relocs; i++) {
		if (l->relocs[i].section >= l->nr_sections || l->relocs[i].symbol >= l->nr_symbols)
			return false;
	}
	for (i = 0; i < l->nr_sections; i++) {
		if (l->sections[i].index >= l->nr_symtab)
			return false;
	}
	for (i = 0; i < l->nr_symbols; i++) {
		struct suture_symbol *s = &l->symbols[i];

		s->object[sizeof(s->object) - 1] = 0;
		s->name[sizeof(s->name) - 1] = 0;
		if (!*s->object || !*s->name || !strcmp(s->object, "vmlinux"))
			return false;
	}
	return true;
}

static int take_tables(struct late *l, const struct suture_late *from)
{
	char(*names)[SUTURE_NAME_LEN] = NULL;
	int err;
	u32 i;

	err = copy_table(&l->relocs, from->relocs, from->nr_relocs, sizeof(*l->relocs));
	if (!err)
		err = copy_table(&l->sections, from->sections, from->nr_sections,
				 sizeof(*l->sections));
	if (!err)
		err = copy_table(&l->symbols, from->symbols, from->nr_symbols, sizeof(*l->symbols));
	if (!err)
		err = copy_table(&names, from->holds, from->nr_holds, sizeof(*names));
	if (err)
		return err;
	for (i = 0; i < from->nr_holds; i++)
		names[i][sizeof(*names) - 1] = 0;
	hold_only(l, (const char(*)[SUTURE_NAME_LEN])names, from->nr_holds);
	if (l->nr_holds != from->nr_holds)
		err = -EINVAL;
	kvfree(names);
	l->nr_relocs = from->nr_relocs;
	l->nr_sections = from->nr_sections;
	l->nr_symbols = from->nr_symbols;
	l->nr_symtab = from->nr_symtab;
	l->veneers = from->veneers;
	if (!err && is_sound(l))
		return 0;
	/* late_bind() shall not meet them, should the helper load the payload all the same */
	l->nr_relocs = l->nr_symtab = 0;
	return -EINVAL;
}

int late_take(u32 job, const struct suture_late *from)
{
	struct late *l;
	int err = -EINVAL;

	if (from->nr_relocs > SUTURE_MAX_LATE || from->nr_sections > SUTURE_MAX_LATE ||
	    from->nr_symbols > SUTURE_MAX_SYMBOLS || from->nr_holds > SUTURE_MAX_HOLDS)
		return -E2BIG;
	mutex_lock(&agent_lock);
	l = find_job(job);
	if (l && !l->mod && !l->nr_symtab)
		err = take_tables(l, from);
	mutex_unlock(&agent_lock);
	return err;
}

void late_end(u32 job)
{
	struct late *l;

	mutex_lock(&agent_lock);
	l = find_job(job);
	if (l && !l->mod)
		free_late(l); /* the payload has not come, or is gone again */
	else if (l)
		l->job = 0;
	mutex_unlock(&agent_lock);
}

/* ---- writing to the payload ---- */

static int write_part(unsigned long place, const u8 *bytes, size_t len)
{
	struct page *page = vmalloc_to_page((void *)place);
	u8 *alias;

	if (!page)
		return -EFAULT;
	alias = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	if (!alias)
		return -ENOMEM;
	memcpy(alias + offset_in_page(place), bytes, len);
	vunmap(alias);
	return 0;
}

/* The value that a relocation computes may cross into the next page. */
static int write_place(unsigned long place, const u8 *bytes, size_t len)
{
	size_t first = min_t(size_t, len, PAGE_SIZE - offset_in_page(place));
	int err = write_part(place, bytes, first);

	if (!err && first < len)
		err = write_part(place + first, bytes + first, len - first);
	arch_flush_code(place, len);
	return err;
}

/* Make the symbol's veneer lead to that address. Returns where it is, or a negative errno. */
static unsigned long write_veneer(const struct late *l, u32 symbol, unsigned long address)
{
	unsigned long place = l->veneers_at + symbol * ARCH_VENEER_SIZE;
	u8 bytes[ARCH_VENEER_SIZE + 1];
	int err = l->veneers_at ? arch_make_veneer(place, address, bytes) : -ERANGE;

	if (!err)
		err = write_place(place, bytes, ARCH_VENEER_SIZE);
	return err ? (unsigned long)err : place;
}

static int relocate(const struct late *l, const struct suture_late_reloc *r, unsigned long symbol)
{
	unsigned long veneer;
	u8 bytes[8];
	int len;

	memcpy(bytes, (void *)(unsigned long)r->offset, sizeof(bytes));
	len = arch_relocate(r->type, r->offset, symbol + r->addend, bytes);
	if (len == -ERANGE && arch_takes_veneer(r->type) && !r->addend) {
		veneer = write_veneer(l, r->symbol, symbol);
		len = IS_ERR_VALUE(veneer) ? (int)veneer
					   : arch_relocate(r->type, r->offset, veneer, bytes);
	}
	return len < 0 ? len : write_place(r->offset, bytes, len);
}

/* Give all relocations against symbols of that module their values; with `clear`, absent(). */
static int write_object(struct late *l, const char *object, bool clear)
{
	bool written = false;
	int err = 0;
	u32 i;

	for (i = 0; !err && i < l->nr_relocs; i++) {
		const struct suture_late_reloc *r = &l->relocs[i];
		const struct suture_symbol *s = &l->symbols[r->symbol];

		if (object && strcmp(s->object, object))
			continue;
		err = relocate(l, r, clear ? (unsigned long)absent : s->address);
		written = true;
	}
	if (written)
		arch_sync_code();
	return err;
}

/* ---- the payload comes and goes ---- */

static struct late *find_payload(const struct module *mod)
{
	struct late *l;

	list_for_each_entry(l, &lates, list)
	{
		if (l->mod == mod)
			return l;
	}
	return NULL;
}

static unsigned long section_start(const struct mod_kallsyms *table,
				   const struct suture_late_section *s)
{
	return table->symtab[s->index].st_value - s->value;
}

static bool lies_in(const struct module *mod, unsigned long start, unsigned long len)
{
	return within_module_core(start, mod) && within_module_core(start + len - 1, mod);
}

/*
 * Where its sections are: until its init is over, the kernel keeps the payload's whole symbol
 * table, sections' symbols included.
 */
static int find_places(struct late *l, const struct module *mod)
{
	const unsigned long veneers_size = (unsigned long)l->nr_symbols * ARCH_VENEER_SIZE;
	const struct mod_kallsyms *table;
	int err = 0;
	u32 i;

	preempt_disable();
	table = rcu_dereference_sched(mod->kallsyms);
	if (!table || table->num_symtab != l->nr_symtab)
		err = -ENOEXEC;
	for (i = 0; !err && i < l->nr_relocs; i++) {
		struct suture_late_reloc *r = &l->relocs[i];

		r->offset += section_start(table, &l->sections[r->section]);
		if (!lies_in(mod, r->offset, 8))
			err = -ENOEXEC;
	}
	if (!err && veneers_size && l->veneers < l->nr_sections) {
		l->veneers_at = section_start(table, &l->sections[l->veneers]);
		if (!lies_in(mod, l->veneers_at, veneers_size))
			err = -ENOEXEC;
	}
	preempt_enable();
	return err;
}

int late_bind(const struct module *mod)
{
	struct late *l;
	int err;

	list_for_each_entry(l, &lates, list)
	{
		if (l->mod || !l->nr_symtab || strcmp(l->name, mod->name))
			continue;
		l->mod = mod;
		err = find_places(l, mod);
		if (!err)
			err = write_object(l, NULL, true);
		if (err)
			refuse("the payload is not the one that the helper has read (error %d)",
			       err);
		return err;
	}
	return 0;
}

struct kept *late_take_kept(const struct module *payload)
{
	struct kept *kept = NULL;
	struct late *l;

	list_for_each_entry(l, &lates, list)
	{
		/* one without late relocations is not bound */
		if (l->mod ? l->mod != payload : strcmp(l->name, payload->name))
			continue;
		kept = l->kept;
		l->kept = NULL;
		break;
	}
	return kept;
}

void late_unbind(const struct module *mod)
{
	struct late *l = find_payload(mod);

	if (l && l->job)
		l->mod = NULL; /* its file is open: late_end() */
	else if (l)
		free_late(l);
}

/* ---- the modules that it names come and go ---- */

static int judge(const struct late *l, const struct symbol *s)
{
	if (s->address && !s->init)
		return 0;
	if (s->address)
		refuse("symbol '%s', which a patch needs, is in init memory of module '%s', which "
		       "is freed",
		       s->name, s->object);
	else if (s->count > 1 && !s->position)
		refuse("symbol '%s', which a patch needs, is ambiguous: module '%s' has %lu of "
		       "that name",
		       s->name, s->object, s->count);
	else
		refuse("symbol '%s', which a patch needs, is not in module '%s'", s->name,
		       s->object);
	return -ENOENT;
}

/* Find the symbols that are still missing among those that the module exports. */
static int find_exported(struct symbol *symbols, u32 count, const char *exporter)
{
	struct symbol *missing = kvcalloc(count, sizeof(*missing), GFP_KERNEL);
	u32 i, n = 0;
	int err;

	if (!missing)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		if (symbols[i].address)
			continue;
		missing[n].object = exporter;
		missing[n++].name = symbols[i].name;
	}
	err = symbols_find(missing, n, NULL, NULL, NULL);
	for (i = n = 0; !err && i < count; i++) {
		if (symbols[i].address)
			continue;
		if (missing[n].exported)
			symbols[i].address = missing[n].address;
		n++;
	}
	kvfree(missing);
	return err;
}

/*
 * A name without an object may belong to a module that this one uses, and which stays loaded as
 * long as this one.
 */
static int find_taken(struct symbol *symbols, u32 count, const char *object)
{
	char(*names)[SUTURE_NAME_LEN] = kcalloc(SUTURE_MAX_HOLDS, sizeof(*names), GFP_KERNEL);
	u32 i, nr_names;
	int err = 0;

	if (!names)
		return -ENOMEM;
	nr_names = compat_module_uses(object, names, SUTURE_MAX_HOLDS);
	for (i = 0; !err && i < nr_names; i++)
		err = find_exported(symbols, count, names[i]);
	kfree(names);
	return err;
}

static bool all_found(const struct symbol *symbols, u32 count)
{
	while (count--) {
		if (!symbols[count].address)
			return false;
	}
	return true;
}

static int find_object_symbols(struct late *l, const char *object)
{
	struct symbol *found = kvcalloc(l->nr_symbols + 1, sizeof(*found), GFP_KERNEL);
	u32 i, n = 0;
	int err;

	if (!found)
		return -ENOMEM;
	for (i = 0; i < l->nr_symbols; i++) {
		if (strcmp(l->symbols[i].object, object))
			continue;
		found[n].object = l->symbols[i].object;
		found[n].name = l->symbols[i].name;
		found[n++].position = l->symbols[i].position;
	}
	err = symbols_find(found, n, NULL, NULL, NULL);
	if (!err && !all_found(found, n))
		err = find_taken(found, n, object);
	for (i = 0; !err && i < n; i++)
		err = judge(l, &found[i]);
	for (i = n = 0; !err && i < l->nr_symbols; i++) {
		if (!strcmp(l->symbols[i].object, object))
			l->symbols[i].address = found[n++].address;
	}
	kvfree(found);
	return err;
}

int late_resolve(const struct module *payload, const char *object)
{
	struct late *l = find_payload(payload);
	int err;

	if (!l || !l->nr_relocs)
		return 0;
	err = find_object_symbols(l, object);
	if (!err)
		err = write_object(l, object, false);
	if (err)
		write_object(l, object, true);
	return err;
}

void late_forget(const char *object)
{
	struct late *l;

	list_for_each_entry(l, &lates, list)
	{
		if (l->mod)
			write_object(l, object, true);
	}
}

void late_exit(void)
{
	struct late *l, *next;

	list_for_each_entry_safe(l, next, &lates, list) free_late(l);
}
