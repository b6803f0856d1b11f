// SPDX-License-Identifier: GPL-2.0-only
/* /sys/kernel/suture/<patch>/: modes and meanings are those of /sys/kernel/livepatch. */
#include <linux/kstrtox.h>
#include <linux/ktime.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include "agent.h"

static struct patch *to_patch(struct kobject *kobj)
{
	return container_of(kobj, struct patch, kobj);
}

static int query(struct kobject *kobj, struct suture_patch_state *state)
{
	struct suture_patch_ref ref = {
		.msg = {.type = SUTURE_MSG_QUERY, .size = sizeof(ref)},
	};
	int err;

	strscpy(ref.name, to_patch(kobj)->name, sizeof(ref.name));
	err = mailbox_call(&ref.msg, state, sizeof(*state));
	return err ? err : state->msg.status;
}

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct suture_patch_state state;
	int err = query(kobj, &state);

	return err ? err : sysfs_emit(buf, "%u\n", state.enabled);
}

/* The opposite of a pending transition reverses it. The poll worker completes what takes longer. */
static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			     size_t count)
{
	struct suture_set set = {
		.msg = {.type = SUTURE_MSG_SET, .size = sizeof(set)},
		.what = SUTURE_SET_ENABLED,
	};
	ktime_t deadline = ktime_add_ms(ktime_get(), BUSY_DEADLINE_MS);
	bool enabled;
	int err = kstrtobool(buf, &enabled);

	if (err)
		return err;
	set.value = enabled;
	strscpy(set.name, to_patch(kobj)->name, sizeof(set.name));

	mutex_lock(&agent_lock);
	for (;;) {
		/* retired while we waited for the lock: off, and cannot be enabled again */
		err = patch_find(set.name) == to_patch(kobj) ? mailbox_send(&set.msg) : -EINVAL;
		if (err != -EAGAIN || ktime_after(ktime_get(), deadline))
			break;
		agent_yield(1);
	}
	if (!err)
		err = steps_pump(SUTURE_PUMP_SYSFS, set.name, "");
	mutex_unlock(&agent_lock);
	poll_kick();
	return err ? err : count;
}

static ssize_t transition_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct suture_patch_state state;
	int err = query(kobj, &state);

	return err ? err : sysfs_emit(buf, "%u\n", state.transition);
}

static struct kobj_attribute enabled_attribute = __ATTR_RW(enabled);
static struct kobj_attribute transition_attribute = __ATTR_RO(transition);

static struct attribute *sysfs_patch_attrs[] = {
	&enabled_attribute.attr,
	&transition_attribute.attr,
	NULL,
};
ATTRIBUTE_GROUPS(sysfs_patch);

static void release(struct kobject *kobj)
{
	complete(&to_patch(kobj)->released);
}

struct kobj_type sysfs_patch_type = {
	.release = release,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = sysfs_patch_groups,
};
