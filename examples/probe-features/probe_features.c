// SPDX-License-Identifier: GPL-2.0-only
/*
 * Use case "init and probe": what a driver's probe function should have done otherwise. It has run
 * for the devices that there are; patching it would not change them. So this patch walks all
 * devices of virtio_net, and takes a feature from them that users may switch on: rx-gro-list.
 *
 * Registering a notifier for network devices does the walk: it is called for each device that there
 * is, and for each that comes, under the lock that guards the features. Unregistering it is the
 * walk back. The object is the driver's module: its callbacks run when the driver is loaded
 * already, and otherwise when it comes, before its init.
 *
 * A shadow variable on the device says that the feature was taken from it, and was on.
 */
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/string.h>

#define DRIVER	     "virtio_net"
#define FEATURE	     NETIF_F_GRO_FRAGLIST
#define SHADOW_TAKEN 1

static bool is_ours(const struct net_device *dev)
{
	const struct device *parent = dev->dev.parent;

	return parent && parent->driver && !strcmp(parent->driver->name, DRIVER);
}

/* rtnl_lock is held. */
static int take(struct net_device *dev)
{
	bool *was_on;

	if (!(dev->hw_features & FEATURE))
		return 0;
	was_on = klp_shadow_alloc(dev, SHADOW_TAKEN, sizeof(*was_on), GFP_KERNEL, NULL, NULL);
	if (!was_on)
		return -ENOMEM; /* a device that comes is refused then */
	*was_on = dev->wanted_features & FEATURE;
	/* off while it may still be switched, and only then out of reach */
	dev->wanted_features &= ~FEATURE;
	netdev_update_features(dev);
	dev->hw_features &= ~FEATURE;
	netdev_info(dev, "rx-gro-list is off for good\n");
	return 0;
}

/* rtnl_lock is held; the device stays, or is on its way out. */
static void give_back(struct net_device *dev)
{
	bool *was_on = klp_shadow_get(dev, SHADOW_TAKEN);

	if (!was_on)
		return;
	dev->hw_features |= FEATURE;
	if (*was_on)
		dev->wanted_features |= FEATURE;
	klp_shadow_free(dev, SHADOW_TAKEN, NULL);
	if (dev->reg_state != NETREG_REGISTERED)
		return;
	netdev_update_features(dev);
	netdev_info(dev, "rx-gro-list may be switched on again\n");
}

static int device_event(struct notifier_block *nb, unsigned long event, void *data)
{
	struct net_device *dev = netdev_notifier_info_to_dev(data);

	if (!is_ours(dev))
		return NOTIFY_DONE;
	switch (event) {
	case NETDEV_REGISTER:
		return notifier_from_errno(take(dev));
	case NETDEV_UNREGISTER:
		give_back(dev);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block device_notifier = {.notifier_call = device_event};
static bool registered;

static void driver_post_patch(struct klp_object *obj)
{
	int err = register_netdevice_notifier(&device_notifier);

	registered = !err;
	if (err)
		pr_err("the devices stay as they are (error %d)\n", err);
}

static void driver_pre_unpatch(struct klp_object *obj)
{
	if (registered)
		unregister_netdevice_notifier(&device_notifier);
	registered = false;
}

static struct klp_func no_funcs[] = {{}};

static struct klp_object objs[] = {
	{
		.name = DRIVER,
		.funcs = no_funcs,
		.callbacks = {.post_patch = driver_post_patch, .pre_unpatch = driver_pre_unpatch},
	},
	{},
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init features_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit features_exit(void)
{
}

module_init(features_init);
module_exit(features_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Takes a feature from all devices of a driver");
