// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/suture-wanted: the guest's own programs offer bundles to the monitor, and tell it which
 * patches this guest wants. The agent hands the bytes on; the monitor judges them.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <suture/bundle.h>
#include "agent.h"
#include "uapi.h"

static bool wanted = true;
module_param_named(patches, wanted, bool, 0444);
MODULE_PARM_DESC(patches, "off: bundles of this guest are not offered to the monitor");

/* The bytes of two bundles must not mix. */
static DEFINE_MUTEX(offer_lock);

/* Hand bytes of a bundle on, which are at `from` in the calling program. */
static int offer_bytes(struct suture_offer *m, u32 total, u32 offset, u32 len,
		       const void __user *from, struct suture_offer_reply *reply)
{
	*m = (struct suture_offer){
		.msg = {.type = SUTURE_MSG_OFFER, .size = sizeof(*m) + len},
		.total = total,
		.offset = offset,
	};
	if (copy_from_user(m + 1, from, len))
		return -EFAULT;
	return mailbox_call(&m->msg, reply, sizeof(*reply));
}

static int offer_all(struct suture_offer_request *r, struct suture_offer_reply *reply)
{
	const u32 most = SUTURE_MSG_MAX - sizeof(struct suture_offer);
	const char __user *bytes = u64_to_user_ptr(r->bytes);
	struct suture_offer *m = vmalloc(SUTURE_MSG_MAX);
	u32 offset = 0, len;
	int err = m ? 0 : -ENOMEM;

	while (!err && !reply->msg.status && offset < r->size) {
		len = min(most, r->size - offset);
		err = offer_bytes(m, r->size, offset, len, bytes + offset, reply);
		offset += len;
	}
	vfree(m);
	return err;
}

static long offer_bundle(void __user *arg)
{
	struct suture_offer_reply reply = {0};
	struct suture_offer_request r;
	int err;

	if (!wanted)
		return -EPERM;
	if (copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	if (!r.size || r.size > SUTURE_BUNDLE_MAX)
		return -EFBIG;
	if (mutex_lock_interruptible(&offer_lock))
		return -ERESTARTSYS;
	err = offer_all(&r, &reply);
	mutex_unlock(&offer_lock);
	if (err)
		return err;
	r.result = reply.msg.status;
	r.state = reply.state;
	memcpy(r.name, reply.name, sizeof(r.name));
	memcpy(r.text, reply.text, sizeof(r.text));
	poll_kick();
	return copy_to_user(arg, &r, sizeof(r)) ? -EFAULT : 0;
}

static long tell_wanted(void __user *arg)
{
	struct suture_wanted m = {.msg = {.type = SUTURE_MSG_WANTED, .size = sizeof(m)}};
	struct suture_wanted_reply reply;
	struct suture_wanted_request r;
	int err;

	if (copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	m.state = r.state;
	strscpy(m.name, r.name, sizeof(m.name));
	strscpy(m.text, r.text, sizeof(m.text));
	err = mailbox_call(&m.msg, &reply, sizeof(reply));
	if (!err)
		err = reply.msg.status;
	if (err)
		return err;
	r.known = reply.known;
	memcpy(r.text, reply.text, sizeof(r.text));
	return copy_to_user(arg, &r, sizeof(r)) ? -EFAULT : 0;
}

static int wanted_open(struct inode *inode, struct file *file)
{
	return capable(CAP_SYS_MODULE) ? 0 : -EPERM;
}

static long wanted_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	switch (command) {
	case SUTURE_IOC_OFFER:
		return offer_bundle((void __user *)arg);
	case SUTURE_IOC_WANTED:
		return tell_wanted((void __user *)arg);
	}
	return -ENOTTY;
}

static const struct file_operations wanted_operations = {
	.owner = THIS_MODULE,
	.open = wanted_open,
	.unlocked_ioctl = wanted_ioctl,
};

static struct miscdevice wanted_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "suture-wanted",
	.fops = &wanted_operations,
	.mode = 0600,
};

int offer_init(void)
{
	return misc_register(&wanted_device);
}

void offer_exit(void)
{
	misc_deregister(&wanted_device);
}
