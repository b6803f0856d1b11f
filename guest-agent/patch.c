// SPDX-License-Identifier: GPL-2.0-only
/* The life of a patch in the guest: from klp_enable_patch() until the engine retires it. */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "agent.h"
#include "compat.h"

LIST_HEAD(patches);
LIST_HEAD(retired_patches);

static DEFINE_SPINLOCK(error_lock);
static char error_text[SUTURE_TEXT_LEN];

void text_mark_cut(char *text, size_t size, int len)
{
	static const char cut[] = "...";

	if (len >= (int)size)
		memcpy(text + size - sizeof(cut), cut, sizeof(cut));
}

void patch_set_error(const char *fmt, ...)
{
	va_list args;

	spin_lock(&error_lock);
	va_start(args, fmt);
	text_mark_cut(error_text, sizeof(error_text),
		      vsnprintf(error_text, sizeof(error_text), fmt, args));
	va_end(args);
	spin_unlock(&error_lock);
}

void patch_error(char *text, size_t size)
{
	spin_lock(&error_lock);
	strscpy(text, error_text, size);
	spin_unlock(&error_lock);
}

struct patch *patch_find(const char *name)
{
	struct patch *p;

	list_for_each_entry(p, &patches, list)
	{
		if (!strcmp(p->name, name))
			return p;
	}
	return NULL;
}

/* Without agent_lock: a writer of `enabled` holds the folder until it has had the lock. */
static void take_apart(struct work_struct *work)
{
	struct patch *p = container_of(work, struct patch, retire);
	struct module *mod = p->mod;

	folder_remove(p);
	mutex_lock(&agent_lock);
	list_add(&p->list, &retired_patches);
	hooks_collect();
	mutex_unlock(&agent_lock);
	/* the module may be unloaded from here on, and p with it: the last use of them */
	module_put(mod);
}

void patch_forget(const struct module *mod)
{
	struct patch *p, *next;

	list_for_each_entry_safe(p, next, &retired_patches, list)
	{
		if (p->mod != mod)
			continue;
		list_del(&p->list);
		kfree(p);
	}
}

void patch_retire(struct patch *p)
{
	list_del_init(&p->list);
	queue_work(agent_work, &p->retire); /* does nothing the second time */
}

/* Initialize the parts of a record that are used from the declaration on. */
static void patch_prepare(struct patch *p)
{
	INIT_LIST_HEAD(&p->list);
	INIT_WORK(&p->retire, take_apart);
	folder_init(p);
}

/* A record with a reference to the payload; on no list yet. -ENODEV: the payload goes; -ENOMEM.
 * agent_lock held. */
static struct patch *patch_create(struct klp_patch *klp)
{
	struct patch *p;

	if (!try_module_get(klp->mod))
		return ERR_PTR(-ENODEV);
	patch_forget(klp->mod); /* it was on before */
	p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (!p) {
		module_put(klp->mod);
		return ERR_PTR(-ENOMEM);
	}
	p->klp = klp;
	p->mod = klp->mod;
	strscpy(p->name, klp->mod->name, sizeof(p->name));
	patch_prepare(p);
	return p;
}

/* The monitor may know the patch, which has failed: have it forgotten there. */
static void patch_withdraw(struct patch *p)
{
	struct suture_patch_ref withdraw = {
		.msg = {.type = SUTURE_MSG_WITHDRAW, .size = sizeof(withdraw)},
	};
	unsigned long start, end;

	compat_module_text(p->mod, &start, &end);
	mailbox_drop_range(start, end);
	strscpy(withdraw.name, p->name, sizeof(withdraw.name));
	mailbox_send(&withdraw.msg);
}

/* agent_lock held. -EAGAIN: again in a moment, without the lock. */
static int patch_declare(struct patch *p)
{
	int err;

	if (patch_find(p->name)) {
		patch_set_error("patch '%s' is enabled already", p->name);
		return -EEXIST;
	}
	err = declare_patch(p, 0);
	if (err == -ETIMEDOUT)
		patch_withdraw(p); /* the monitor may have taken it */
	if (err)
		return err;
	list_add_tail(&p->list, &patches);
	err = folder_add(p);
	if (err) {
		patch_set_error("no folder '%s' in sysfs (error %d)", p->name, err);
		patch_withdraw(p);
	}
	return err;
}

/* agent_lock held. */
static int patch_enable(struct klp_patch *klp)
{
	ktime_t deadline = ktime_add_ms(ktime_get(), BUSY_DEADLINE_MS);
	struct patch *p;
	int err = declare_check(klp);

	if (err)
		return err;
	if (notifier_hibernates()) {
		patch_set_error("the guest is being hibernated");
		return -EBUSY;
	}
	if (loader_gave_up(klp->mod->name)) {
		refuse("a payload enables its patch when its load has been given up");
		return -ECANCELED;
	}
	p = patch_create(klp);
	if (IS_ERR(p))
		return PTR_ERR(p);
	while ((err = patch_declare(p)) == -EAGAIN && ktime_before(ktime_get(), deadline))
		agent_yield(1);
	if (!err) {
		err = steps_pump(SUTURE_PUMP_INIT, p->name, "");
		if (err == -ETIMEDOUT || err == -EPROTO)
			patch_withdraw(p);
	}
	if (err)
		patch_retire(p);
	return err;
}

static struct patch *find_retired(const char *name)
{
	struct patch *p;

	list_for_each_entry(p, &retired_patches, list)
	{
		if (!strcmp(p->name, name))
			return p;
	}
	return NULL;
}

int patch_restore(const char *name, const char *above)
{
	struct patch *p, *top;
	int err;

	/* one that was retired a moment ago: wait until it is on that list, and out of sysfs */
	mutex_unlock(&agent_lock);
	flush_workqueue(agent_work);
	mutex_lock(&agent_lock);
	if (notifier_hibernates())
		return -EBUSY;
	p = find_retired(name);
	top = patch_find(above);
	if (!p || !top || !try_module_get(p->mod))
		return -ENODEV;
	list_del(&p->list);
	patch_prepare(p);
	err = declare_patch(p, SUTURE_DECL_RESTORE);
	/* below the patch that had replaced it: the list is in the order of the stack */
	list_add_tail(&p->list, &top->list);
	if (!err)
		err = folder_add(p);
	if (err)
		patch_retire(p);
	return err;
}

int suture_klp_enable_patch(struct klp_patch *klp)
{
	int err;

	if (!klp || !klp->mod || !klp->objs)
		return -EINVAL;
	patch_set_error("%s", "");
	mutex_lock(&agent_lock);
	err = patch_enable(klp);
	mutex_unlock(&agent_lock);
	if (err == -ENOMEM)
		patch_set_error("the guest has no memory left for it");
	/* the module is freed as soon as its init has failed: the agent must not use it any more */
	if (err)
		flush_workqueue(agent_work);
	return err;
}

struct klp_state *suture_klp_get_state(struct klp_patch *klp, unsigned long id)
{
	struct klp_state *state;

	for (state = klp->states; state && state->id; state++) {
		if (state->id == id)
			return state;
	}
	return NULL;
}
