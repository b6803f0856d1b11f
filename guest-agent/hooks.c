// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks: ftrace operations for functions that have no room for a jump. Each hook has a word, which
 * is 0 in the guest's memory. To switch the function the monitor puts a shadow page over the word,
 * on which it is the new function's address.
 */
#include <linux/bitmap.h>
#include <linux/ftrace.h>
#include <linux/slab.h>
#include "agent.h"
#include "compat.h"

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_REGS

#define WORDS (PAGE_SIZE / sizeof(unsigned long))

struct hook {
	struct list_head list;
	struct ftrace_ops ops;
	unsigned long func, site;
	unsigned long *word;
};

/* A page of their own, which is never written to. */
static unsigned long words[WORDS] __aligned(PAGE_SIZE);
static DECLARE_BITMAP(words_taken, WORDS); /* this and the list: under agent_lock */
static LIST_HEAD(hooks);

/* It takes no lock and calls nothing, so that it needs no protection from being entered again. */
static void notrace lead_on(struct ftrace_ops *ops, struct pt_regs *regs)
{
	unsigned long to = READ_ONCE(*container_of(ops, struct hook, ops)->word);

	if (to)
		instruction_pointer_set(regs, to);
}

COMPAT_FTRACE_HANDLER(hook_handler, lead_on)

static int hook_register(struct hook *h)
{
	int err;

	h->ops.func = hook_handler;
	/* permanent: kernel.ftrace_enabled=0 would remove the redirect */
	h->ops.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT |
		       COMPAT_FTRACE_UNPROTECTED;
	err = ftrace_set_filter_ip(&h->ops, h->site, 0, 0);
	if (err)
		return err;
	err = register_ftrace_function(&h->ops);
	if (err)
		ftrace_set_filter_ip(&h->ops, h->site, 1, 0);
	return err;
}

static int hook_make(unsigned long func, unsigned long site, struct hook **out)
{
	unsigned long index = find_first_zero_bit(words_taken, WORDS);
	struct hook *h = index < WORDS ? kzalloc(sizeof(*h), GFP_KERNEL) : NULL;
	int err;

	if (!h)
		return -ENOMEM;
	h->func = func;
	h->site = site;
	h->word = &words[index];
	err = hook_register(h);
	if (err) {
		kfree(h);
		return err;
	}
	__set_bit(index, words_taken);
	list_add(&h->list, &hooks);
	*out = h;
	return 0;
}

/* Waits until no task is on the way through it any more. */
static void hook_remove(struct hook *h)
{
	unregister_ftrace_function(&h->ops);
	ftrace_set_filter_ip(&h->ops, h->site, 1, 0);
	__clear_bit(h->word - words, words_taken);
	list_del(&h->list);
	kfree(h);
}

unsigned long hooks_offer(const char *name, unsigned long func, unsigned long site)
{
	struct hook *h;
	int err;

	list_for_each_entry(h, &hooks, list)
	{
		if (h->func == func)
			return (unsigned long)h->word;
	}
	err = hook_make(func, site, &h);
	if (!err)
		return (unsigned long)h->word;
	pr_warn("ftrace takes no hook on '%s' (error %d)%s\n", name, err,
		err == -EBUSY ? ": Linux's livepatch or another user has changed where it leads, "
				"or kernel.ftrace_enabled is 0"
			      : "");
	return 0;
}

static bool is_named(const struct hook *h)
{
	const struct klp_object *obj;
	const struct klp_func *func;
	const struct patch *p;

	list_for_each_entry(p, &patches, list)
	{
		klp_for_each_object_static(p->klp, obj)
		{
			if (obj->name && !obj->mod)
				continue;
			klp_for_each_func_static(obj, func)
			{
				if ((unsigned long)func->old_func == h->func)
					return true;
			}
		}
	}
	return false;
}

void hooks_collect(void)
{
	struct hook *h, *next;

	list_for_each_entry_safe(h, next, &hooks, list)
	{
		if (!READ_ONCE(*h->word) && !is_named(h))
			hook_remove(h);
	}
}

#else

unsigned long hooks_offer(const char *name, unsigned long func, unsigned long site)
{
	return 0;
}

void hooks_collect(void)
{
}

#endif
