// SPDX-License-Identifier: GPL-2.0-only
/*
 * Use case "global data update": a limit, and the function that reads it. vm_commit_limit() says
 * how much memory may be promised to programs (CommitLimit in /proc/meminfo); it reads the global
 * sysctl_overcommit_ratio, a percentage, 50 by default. The patch lowers that to a quarter, and
 * keeps 16 MiB for the administrator.
 *
 * The variable is changed in post_patch, when every CPU runs the new function, which reads it once
 * and takes any value; and put back in pre_unpatch, while that is still so. The change is a state,
 * so that a cumulative patch that replaces this one and has the state takes it over as it is.
 */
#include <linux/hugetlb.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/swap.h>

#define STATE_RATIO   1
#define RATIO	      25
#define RESERVE_PAGES (SZ_16M >> PAGE_SHIFT)

static unsigned long limit_vm_commit_limit(void)
{
	/* the operator may write the sysctl at any time: read it once */
	unsigned long pages, ratio = READ_ONCE(sysctl_overcommit_ratio);
	unsigned long kbytes = READ_ONCE(sysctl_overcommit_kbytes);

	if (kbytes)
		pages = kbytes >> (PAGE_SHIFT - 10);
	else
		pages = (totalram_pages() - hugetlb_total_pages()) * ratio / 100;
	pages += total_swap_pages;
	return pages > RESERVE_PAGES ? pages - RESERVE_PAGES : 0;
}

static int ratio_before;

static void ratio_post_patch(struct klp_patch *patch, struct klp_state *state)
{
	ratio_before = xchg(&sysctl_overcommit_ratio, RATIO);
	pr_info("overcommit_ratio %d, was %d\n", RATIO, ratio_before);
}

/* What the operator has set since then stays. */
static void ratio_pre_unpatch(struct klp_patch *patch, struct klp_state *state)
{
	if (cmpxchg(&sysctl_overcommit_ratio, RATIO, ratio_before) == RATIO)
		pr_info("overcommit_ratio %d again\n", ratio_before);
}

static struct klp_func funcs[] = {
	{.old_name = "vm_commit_limit", .new_func = limit_vm_commit_limit},
	{},
};

static struct klp_object objs[] = {
	{.funcs = funcs},
	{},
};

static struct klp_state states[] = {
	{
		.id = STATE_RATIO,
		.callbacks = {.post_patch = ratio_post_patch, .pre_unpatch = ratio_pre_unpatch},
	},
	{},
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
	.states = states,
};

static int __init limit_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit limit_exit(void)
{
}

module_init(limit_init);
module_exit(limit_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Changes a limit, and the function that reads it");
