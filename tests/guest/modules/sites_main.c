// SPDX-License-Identifier: GPL-2.0-only
/*
 * All functions of vmlinux that ftrace could patch, with what the agent's own code finds in them:
 * for the program `redirects`.
 */
#include <linux/bitmap.h>
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "agent/agent.h"
#include "agent/compat.h"
#include "sites.h"

#define MOST	100000
#define GRANULE 64

static struct site_record *records;
static unsigned int count;
static void *text;
static unsigned long stext, etext;
static unsigned long *near_sites; /* a bit for each granule of the text with a key or call */

/* What the agent's other parts have, of which these need nothing. */
struct mutex agent_lock;
void patch_set_error(const char *fmt, ...)
{
}

static void note_site(unsigned long at)
{
	if (at >= stext && at < etext)
		set_bit((at - stext) / GRANULE, near_sites);
}

/* Each search reads the kernel's whole tables: where nothing is, none is made. */
static void note_sites(void)
{
	struct jump_entry *key = (void *)compat_symbol("__start___jump_table");
	struct jump_entry *keys_end = (void *)compat_symbol("__stop___jump_table");
	struct static_call_site *call = (void *)compat_symbol("__start_static_call_sites");
	struct static_call_site *calls_end = (void *)compat_symbol("__stop_static_call_sites");

	for (; key < keys_end; key++)
		note_site(jump_entry_code(key));
	for (; call < calls_end; call++)
		note_site((unsigned long)&call->addr + call->addr);
}

static void add_function(void *data, const char *object, const char *name, unsigned long address)
{
	struct site_record *r = &records[count];
	unsigned long last = (address - stext) / GRANULE + 1;

	if (strcmp(object, "vmlinux") || address < stext || address >= etext || count == MOST)
		return;
	if (count && records[count - 1].func == address)
		return;
	r->func = address;
	r->size = compat_symbol_size(address);
	r->ftrace_site = compat_ftrace_site(r->func, r->size);
	if (r->ftrace_site == SUTURE_NONE)
		return;
	strscpy(r->name, name, sizeof(r->name));
	if (find_next_bit(near_sites, last + 1, last - 1) <= last)
		r->nr_sites = sites_find(NULL, r->func, r->size, r->sites);
	r->hook = sites_are_close(r->ftrace_site, r->size, r->sites, r->nr_sites);
	count++;
}

static ssize_t records_read(struct file *file, char __user *to, size_t len, loff_t *pos)
{
	return simple_read_from_buffer(to, len, pos, records, count * sizeof(*records));
}

static ssize_t text_read(struct file *file, char __user *to, size_t len, loff_t *pos)
{
	return simple_read_from_buffer(to, len, pos, text, sizeof(u64) + etext - stext);
}

static const struct proc_ops records_ops = {.proc_read = records_read};
static const struct proc_ops text_ops = {.proc_read = text_read};

static int collect(void)
{
	stext = compat_symbol("_stext");
	etext = compat_symbol("_etext");
	records = vzalloc(MOST * sizeof(*records));
	text = vzalloc(sizeof(u64) + etext - stext);
	near_sites = vzalloc((etext - stext) / GRANULE / 8 + 16);
	if (!records || !text || !near_sites)
		return -ENOMEM;
	*(u64 *)text = stext;
	memcpy(text + sizeof(u64), (void *)stext, etext - stext);
	note_sites();
	return compat_for_each_symbol(true, add_function, NULL);
}

static void forget(void)
{
	vfree(records);
	vfree(text);
	vfree(near_sites);
}

static int __init sites_module_init(void)
{
	int err = compat_init();

	if (err)
		return err;
	sites_init();
	err = collect();
	if (!err && (!proc_create("sites", 0400, NULL, &records_ops) ||
		     !proc_create("sites_text", 0400, NULL, &text_ops)))
		err = -ENOMEM;
	if (err)
		forget();
	return err;
}

static void __exit sites_module_exit(void)
{
	remove_proc_entry("sites", NULL);
	remove_proc_entry("sites_text", NULL);
	forget();
}

module_init(sites_module_init);
module_exit(sites_module_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The functions of vmlinux and what the kernel writes to in them");
