// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/suture/<patch>/: files, modes and values are those of /sys/kernel/livepatch in Linux
 * (Documentation/ABI/testing/sysfs-kernel-livepatch), those that came after 6.1 included. Their
 * values are asked of the monitor's engine each time.
 */
#include <linux/kstrtox.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include "agent.h"

/* <object>/: removing the patch's folder waits for readers of this one. */
struct object_dir {
	struct kobject kobj;
	struct list_head list; /* of the patch's */
	const struct patch *patch;
	unsigned int index; /* of the object */
};

static struct patch *to_patch(struct kobject *kobj)
{
	return container_of(kobj, struct patch, kobj);
}

static int query(const struct patch *p, struct suture_patch_state *state)
{
	struct suture_patch_ref ref = {
		.msg = {.type = SUTURE_MSG_QUERY, .size = sizeof(ref)},
	};
	int err;

	strscpy(ref.name, p->name, sizeof(ref.name));
	err = mailbox_call(&ref.msg, state, sizeof(*state));
	return err ? err : state->msg.status;
}

/* Have the engine do it. The poll worker completes what takes longer. */
static int set(struct patch *p, enum suture_set_what what, bool value)
{
	struct suture_set set = {
		.msg = {.type = SUTURE_MSG_SET, .size = sizeof(set)},
		.what = what,
		.value = value,
		.pid = task_pid_nr(current),
	};
	ktime_t deadline = ktime_add_ms(ktime_get(), BUSY_DEADLINE_MS);
	int err;

	strscpy(set.name, p->name, sizeof(set.name));
	get_task_comm(set.comm, current);
	mutex_lock(&agent_lock);
	for (;;) {
		/* retired while this task waited for the lock: off, and cannot be enabled again */
		err = patch_find(set.name) == p ? mailbox_send(&set.msg) : -EINVAL;
		if (err != -EAGAIN || ktime_after(ktime_get(), deadline))
			break;
		agent_yield(1);
	}
	if (!err)
		err = steps_pump(SUTURE_PUMP_SYSFS, set.name, "");
	mutex_unlock(&agent_lock);
	poll_kick();
	return err;
}

/* ---- a patch's files ---- */

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct suture_patch_state state;
	int err = query(to_patch(kobj), &state);

	return err ? err : sysfs_emit(buf, "%u\n", state.enabled);
}

/* The opposite of a pending transition reverses it. */
static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			     size_t count)
{
	bool enabled;
	int err = kstrtobool(buf, &enabled);

	if (!err)
		err = set(to_patch(kobj), SUTURE_SET_ENABLED, enabled);
	return err ? err : count;
}

static ssize_t transition_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct suture_patch_state state;
	int err = query(to_patch(kobj), &state);

	return err ? err : sysfs_emit(buf, "%u\n", state.transition);
}

static ssize_t force_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			   size_t count)
{
	bool force;
	int err = kstrtobool(buf, &force);

	if (!err && force)
		err = set(to_patch(kobj), SUTURE_SET_FORCE, true);
	return err ? err : count;
}

static ssize_t replace_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_patch(kobj)->klp->replace);
}

static ssize_t stack_order_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct suture_patch_state state;
	int err = query(to_patch(kobj), &state);

	return err ? err : sysfs_emit(buf, "%u\n", state.stack_order);
}

static struct kobj_attribute enabled_attribute = __ATTR_RW(enabled);
static struct kobj_attribute transition_attribute = __ATTR_RO(transition);
static struct kobj_attribute force_attribute = __ATTR_WO(force);
static struct kobj_attribute replace_attribute = __ATTR_RO(replace);
static struct kobj_attribute stack_order_attribute = __ATTR_RO(stack_order);

static struct attribute *patch_attrs[] = {
	&enabled_attribute.attr, &transition_attribute.attr,  &force_attribute.attr,
	&replace_attribute.attr, &stack_order_attribute.attr, NULL,
};
ATTRIBUTE_GROUPS(patch);

static void release_patch(struct kobject *kobj)
{
	complete(&to_patch(kobj)->released);
}

static struct kobj_type patch_type = {
	.release = release_patch,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = patch_groups,
};

/* ---- an object's ---- */

static ssize_t patched_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	const struct object_dir *dir = container_of(kobj, struct object_dir, kobj);
	struct suture_patch_state state;
	int err = query(dir->patch, &state);

	return err ? err : sysfs_emit(buf, "%d\n", !!(state.patched & BIT_ULL(dir->index)));
}

static struct kobj_attribute patched_attribute = __ATTR_RO(patched);

static struct attribute *object_attrs[] = {
	&patched_attribute.attr,
	NULL,
};
ATTRIBUTE_GROUPS(object);

static void release_object(struct kobject *kobj)
{
	kfree(container_of(kobj, struct object_dir, kobj));
}

static struct kobj_type object_type = {
	.release = release_object,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = object_groups,
};

/* Linux has a folder for each function too, with nothing in it. */
static int add_func(struct object_dir *dir, const struct klp_func *func)
{
	static struct attribute *nothing[] = {NULL};
	struct attribute_group group = {.attrs = nothing};
	int err = -ENOMEM;

	group.name = kasprintf(GFP_KERNEL, "%s,%lu", func->old_name, func->old_sympos ?: 1);
	if (group.name)
		err = sysfs_create_group(&dir->kobj, &group);
	kfree(group.name);
	return err;
}

static int add_object(struct patch *p, const struct klp_object *obj, unsigned int index)
{
	struct object_dir *dir = kzalloc(sizeof(*dir), GFP_KERNEL);
	const struct klp_func *func;
	char name[SUTURE_NAME_LEN];
	int err;

	if (!dir)
		return -ENOMEM;
	strscpy(name, object_name(obj), sizeof(name));
	strreplace(name, '-', '_');
	dir->patch = p;
	dir->index = index;
	list_add(&dir->list, &p->object_dirs);
	err = kobject_init_and_add(&dir->kobj, &object_type, &p->kobj, "%s", name);
	klp_for_each_func_static(obj, func)
	{
		if (!err)
			err = add_func(dir, func);
	}
	return err;
}

/* ---- all of it ---- */

void folder_init(struct patch *p)
{
	memset(&p->kobj, 0, sizeof(p->kobj));
	INIT_LIST_HEAD(&p->object_dirs);
	init_completion(&p->released);
	kobject_init(&p->kobj, &patch_type);
}

int folder_add(struct patch *p)
{
	const struct klp_object *obj;
	unsigned int index = 0;
	int err = kobject_add(&p->kobj, agent_kobj, "%s", p->name);

	klp_for_each_object_static(p->klp, obj)
	{
		if (!err)
			err = add_object(p, obj, index++);
	}
	return err;
}

void folder_remove(struct patch *p)
{
	struct object_dir *dir, *next;

	/* from the top, so that the folder disappears as a whole */
	if (p->kobj.state_in_sysfs)
		kobject_del(&p->kobj);
	list_for_each_entry_safe(dir, next, &p->object_dirs, list) kobject_put(&dir->kobj);
	kobject_put(&p->kobj);
	wait_for_completion(&p->released);
}
