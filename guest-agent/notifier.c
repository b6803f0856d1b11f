// SPDX-License-Identifier: GPL-2.0-only
/* Modules that come and go, hibernation, and the end of the kernel. */
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include "agent.h"
#include "compat.h"

/* Modules whose init runs, or is about to: they passed the agent's notifier and can be patched. */
struct coming {
	struct list_head list;
	const struct module *mod;
};

static LIST_HEAD(coming); /* under agent_lock */

static struct coming *find_coming(const struct module *mod)
{
	struct coming *c;

	list_for_each_entry(c, &coming, list)
	{
		if (c->mod == mod)
			return c;
	}
	return NULL;
}

static void forget_coming(const struct module *mod)
{
	struct coming *c = find_coming(mod);

	if (c) {
		list_del(&c->list);
		kfree(c);
	}
}

bool notifier_is_present(const struct module *mod)
{
	return mod->state == MODULE_STATE_LIVE || find_coming(mod);
}

/* Patch the module before its init runs. agent_lock held. */
static int module_coming(struct module *mod)
{
	struct coming *c = kmalloc(sizeof(*c), GFP_KERNEL);
	int err = 0;

	if (!c)
		return -ENOMEM;
	c->mod = mod;
	list_add(&c->list, &coming);
	err = late_bind(mod);
	if (err)
		goto refused;
	if (!declare_names(mod->name))
		return 0;

	declare_set_module(mod->name, mod);
	err = declare_module(mod, SUTURE_MODULE_COMING);
	if (!err)
		err = steps_pump(SUTURE_PUMP_MODULE, "", mod->name);
	if (!err)
		return 0;
	declare_set_module(mod->name, NULL);
	hooks_collect();
	late_forget(mod->name);
refused:
	late_unbind(mod);
	forget_coming(mod);
	return err;
}

/* A payload's init has succeeded: from now on the switch may come. agent_lock held. */
static void module_live(struct module *mod)
{
	struct patch *p = patch_find(mod->name);

	forget_coming(mod);
	if (p && p->mod == mod) {
		declare_module(mod, SUTURE_MODULE_LIVE);
		poll_kick();
	}
}

/*
 * The module's memory will be freed when the notifier returns. agent_lock held. Returns true if the
 * caller must wait until agent_work has taken a patch apart, which puts its module.
 */
static bool module_going(struct module *mod)
{
	bool is_payload = compat_is_payload(mod->name);
	unsigned long start, end;
	struct patch *p;

	forget_coming(mod);
	if (!is_payload && !declare_names(mod->name))
		return false;

	compat_module_text(mod, &start, &end);
	/*
	 * A payload with a patch goes only when its init fails after klp_enable_patch(): no
	 * redirect may lead into it from here on, even if the service CPU does not answer. A target
	 * keeps its redirects until its pre_unpatch callbacks have run.
	 */
	if (is_payload)
		mailbox_drop_range(start, end);
	declare_module(mod, SUTURE_MODULE_GOING);
	steps_pump(SUTURE_PUMP_MODULE, "", mod->name);
	mailbox_drop_range(start, end);
	declare_set_module(mod->name, NULL);
	hooks_collect();
	late_forget(mod->name);

	p = patch_find(mod->name); /* unless a step retired it */
	if (p)
		patch_retire(p);
	return is_payload;
}

static int module_event(struct notifier_block *nb, unsigned long event, void *data)
{
	struct module *mod = data;
	bool wait = false;
	int err = 0;

	mutex_lock(&agent_lock);
	switch (event) {
	case MODULE_STATE_COMING:
		err = module_coming(mod);
		break;
	case MODULE_STATE_LIVE:
		module_live(mod);
		break;
	case MODULE_STATE_GOING:
		wait = module_going(mod);
		late_unbind(mod);
		break;
	}
	mutex_unlock(&agent_lock);
	if (wait) {
		flush_workqueue(agent_work);
		mutex_lock(&agent_lock);
		patch_forget(mod);
		mutex_unlock(&agent_lock);
	}
	return notifier_from_errno(err);
}

static struct notifier_block module_notifier = {.notifier_call = module_event};

/*
 * An image of this kernel would have its text with the redirects in it, and after the resume no
 * monitor would know of them.
 */
static bool hibernates; /* under agent_lock */

bool notifier_hibernates(void)
{
	return hibernates;
}

static int pm_event(struct notifier_block *nb, unsigned long event, void *data)
{
	int err = 0;

	mutex_lock(&agent_lock);
	switch (event) {
	case PM_SUSPEND_PREPARE:
		bell_close();
		break;
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		if (list_empty(&patches)) {
			hibernates = true;
			bell_close();
			break;
		}
		pr_err("hibernation is refused while patches are on: revert them first\n");
		err = -EBUSY;
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		hibernates = false;
		fallthrough;
	case PM_POST_SUSPEND:
		bell_open();
		break;
	}
	mutex_unlock(&agent_lock);
	return notifier_from_errno(err);
}

static struct notifier_block pm_notifier = {.notifier_call = pm_event};

/*
 * The redirects must not stay over the next kernel's text. No ring comes to it either: the monitor
 * closes all doorbells, and then every CPU passes a pause.
 */
static int reboot_event(struct notifier_block *nb, unsigned long event, void *data)
{
	mailbox_close();
	return NOTIFY_DONE;
}

static struct notifier_block reboot_notifier = {.notifier_call = reboot_event};

int notifier_init(void)
{
	int err = register_module_notifier(&module_notifier);

	if (err)
		return err;
	err = register_reboot_notifier(&reboot_notifier);
	if (err)
		goto no_reboot;
	err = register_pm_notifier(&pm_notifier);
	if (err)
		goto no_pm;
	return 0;

no_pm:
	unregister_reboot_notifier(&reboot_notifier);
no_reboot:
	unregister_module_notifier(&module_notifier);
	return err;
}

void notifier_exit(void)
{
	struct coming *c, *next;

	unregister_pm_notifier(&pm_notifier);
	unregister_reboot_notifier(&reboot_notifier);
	unregister_module_notifier(&module_notifier);
	list_for_each_entry_safe(c, next, &coming, list) kfree(c);
	INIT_LIST_HEAD(&coming);
}
