// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent: Suture's module in the guest kernel. It finds the monitor and tells it where this
 * kernel keeps its tasks and stacks. Then it does the monitor's work in the guest: it has payloads
 * loaded, declares their patches, runs their callbacks, and keeps their shadow variables.
 */
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <suture/payload.h>
#include "agent.h"
#include "compat.h"

/* What `suture build` reads from a payload that was compiled with the agent's header. */
static_assert(offsetof(struct klp_patch, mod) == SUTURE_KLP_PATCH_MOD);
static_assert(offsetof(struct klp_patch, objs) == SUTURE_KLP_PATCH_OBJS);
static_assert(offsetof(struct klp_patch, states) == SUTURE_KLP_PATCH_STATES);
static_assert(offsetof(struct klp_patch, replace) == SUTURE_KLP_PATCH_REPLACE);
static_assert(offsetof(struct klp_object, name) == SUTURE_KLP_OBJECT_NAME);
static_assert(offsetof(struct klp_object, funcs) == SUTURE_KLP_OBJECT_FUNCS);
static_assert(offsetof(struct klp_object, callbacks) == SUTURE_KLP_OBJECT_CALLBACKS);
static_assert(sizeof(struct klp_object) == SUTURE_KLP_OBJECT_SIZE);
static_assert(offsetof(struct klp_func, old_name) == SUTURE_KLP_FUNC_OLD_NAME);
static_assert(offsetof(struct klp_func, new_func) == SUTURE_KLP_FUNC_NEW_FUNC);
static_assert(offsetof(struct klp_func, old_sympos) == SUTURE_KLP_FUNC_OLD_SYMPOS);
static_assert(sizeof(struct klp_func) == SUTURE_KLP_FUNC_SIZE);
static_assert(offsetof(struct klp_state, id) == SUTURE_KLP_STATE_ID);
static_assert(offsetof(struct klp_state, version) == SUTURE_KLP_STATE_VERSION);
static_assert(offsetof(struct klp_state, is_shadow) == SUTURE_KLP_STATE_IS_SHADOW);
static_assert(offsetof(struct klp_state, block_disable) == SUTURE_KLP_STATE_BLOCK_DISABLE);
static_assert(offsetof(struct klp_state, callbacks) == SUTURE_KLP_STATE_CALLBACKS);
static_assert(sizeof(struct klp_state) == SUTURE_KLP_STATE_SIZE);

DEFINE_MUTEX(agent_lock);
struct kobject *agent_kobj;
struct workqueue_struct *agent_work;

char *log_prefix = "livepatch";
module_param(log_prefix, charp, 0444);
MODULE_PARM_DESC(log_prefix, "what livepatch's messages in the kernel log begin with");

void agent_yield(unsigned int ms)
{
	mutex_unlock(&agent_lock);
	msleep(clamp(ms, 1u, 1000u));
	mutex_lock(&agent_lock);
}

/* Send HELLO to the monitor. */
static int hello(struct suture_hello_reply *reply)
{
	struct suture_hello *h = kzalloc(sizeof(*h), GFP_KERNEL);
	int err;

	if (!h)
		return -ENOMEM;
	h->msg.type = SUTURE_MSG_HELLO;
	h->msg.size = sizeof(*h);
	h->abi_version = SUTURE_ABI_VERSION;
	h->heartbeat = bell_heartbeat();
	err = layout_fill(h);
	if (!err)
		err = mailbox_call(&h->msg, reply, sizeof(*reply));
	if (!err && reply->msg.status) {
		err = reply->msg.status;
		if (err == -EPROTO)
			pr_err("the monitor speaks ABI version %u, this agent version %u\n",
			       reply->abi_version, SUTURE_ABI_VERSION);
		else
			pr_err("the monitor does not accept this kernel (error %d); its log says "
			       "why: suture log\n",
			       err);
	}
	kfree(h);
	return err;
}

void agent_again(void)
{
	struct suture_hello_reply monitor;

	mutex_lock(&agent_lock);
	if (!list_empty(&patches))
		pr_err_ratelimited("the monitor has dropped the patches of this kernel: boot it "
				   "again\n");
	else if (!hello(&monitor)) {
		shadow_report_again();
		overrides_report_again();
		bell_open();
		pr_info("registered with the monitor again\n");
	}
	mutex_unlock(&agent_lock);
}

static void bye(void)
{
	struct suture_msg bye = {.type = SUTURE_MSG_BYE, .size = sizeof(bye)};
	int err = mailbox_send(&bye);

	if (err == -EBUSY)
		pr_warn("the monitor says that patches are still on\n");
}

static int __init agent_init(void)
{
	struct suture_hello_reply monitor;
	int err = mailbox_init();

	if (err)
		return err;
	err = shadow_init();
	if (!err)
		err = bell_init();
	if (!err)
		err = compat_init();
	if (!err)
		sites_init();
	if (!err)
		err = hello(&monitor);
	if (err)
		goto no_hello;
	symbols_prepare();
	sites_settle();
	lookup_prepare();
	overrides_prepare();

	err = -ENOMEM;
	agent_work = alloc_workqueue("suture", WQ_UNBOUND, 0);
	if (!agent_work)
		goto no_work;
	agent_kobj = kobject_create_and_add("suture", kernel_kobj);
	if (!agent_kobj)
		goto no_kobj;
	err = notifier_init();
	if (err)
		goto no_notifier;
	err = panic_init();
	if (err)
		goto no_panic;
	err = loader_init();
	if (err)
		goto no_loader;
	err = offer_init();
	if (err)
		goto no_offer;
	err = poll_start(monitor.poll_ms_idle, monitor.poll_ms_active);
	if (err)
		goto no_poll;
	bell_start();
	pr_info("registered with the monitor, ABI version %u%s\n", monitor.abi_version,
		monitor.guest_patches ? ", patches of this guest's own are accepted" : "");
	return 0;

no_poll:
	offer_exit();
no_offer:
	loader_exit();
no_loader:
	panic_exit();
no_panic:
	notifier_exit();
no_notifier:
	kobject_put(agent_kobj);
no_kobj:
	destroy_workqueue(agent_work);
no_work:
	bye();
no_hello:
	bell_exit();
	symbols_release();
	shadow_exit();
	mailbox_exit();
	return err;
}

/* Payloads hold references to the agent: here none is loaded, and so no patch is on. */
static void __exit agent_exit(void)
{
	offer_exit();
	bell_stop();
	poll_stop();
	overrides_exit();
	loader_exit();
	panic_exit();
	notifier_exit();
	late_exit();
	kobject_put(agent_kobj);
	destroy_workqueue(agent_work);
	hooks_collect();
	signal_exit();
	watch_exit();
	idle_release();
	bye();
	bell_exit();
	symbols_release();
	shadow_exit();
	mailbox_exit();
}

module_init(agent_init);
module_exit(agent_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Agent of Suture, which live-patches this kernel from below");
