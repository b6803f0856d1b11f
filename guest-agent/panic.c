// SPDX-License-Identifier: GPL-2.0-only
/* The kernel panics: tell the monitor, from any context. */
#include <linux/io.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "agent.h"
#include "compat.h"

/* Allocated before: in a panic there is no memory to allocate. */
static char *text;

static int panic_event(struct notifier_block *nb, unsigned long event, void *reason)
{
	ssize_t len = reason ? strscpy(text, reason, SUTURE_TEXT_LEN - 1) : 0;

	mailbox_panic(virt_to_phys(text), len < 0 ? SUTURE_TEXT_LEN - 2 : len);
	return NOTIFY_DONE;
}

/* Before the other notifiers, which may not return. */
static struct notifier_block panic_notifier = {
	.notifier_call = panic_event,
	.priority = INT_MAX,
};

int panic_init(void)
{
	text = kzalloc(SUTURE_TEXT_LEN, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	atomic_notifier_chain_register(&panic_notifier_list, &panic_notifier);
	return 0;
}

void panic_exit(void)
{
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_notifier);
	kfree(text);
}
