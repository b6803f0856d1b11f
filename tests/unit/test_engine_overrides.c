/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions whose callers something else in the guest diverts, by the agent's reports. */
#include "engine_rig.h"
#include "patch/engine/types.h"

#define KLP "Linux's livepatch (klp), module nat (/sys/kernel/livepatch)"

static const struct def in_module = {
	.name = "in_module",
	.objects = {{"ext4", 0}},
	.funcs = {{0, "ext4_sync"}},
};

static struct {
	struct suture_overridden m;
	struct suture_override list[SUTURE_MAX_OVERRIDDEN + 1];
} report;

static int tell(struct rig *rig, u32 count)
{
	report.m.count = count;
	report.m.msg.size = (su32)(sizeof(report.m) + count * sizeof(report.list[0]));
	return engine_overridden(rig->e, &report.m);
}

static void say(u32 i, u64 func, const char *who)
{
	report.list[i].func = func;
	strncpy(report.list[i].who, who, sizeof(report.list[i].who));
}

/* The n-th patch's function, and what it says of it. */
static struct patch_func_info func(struct rig *rig, u32 patch, u32 n)
{
	struct patch_func_info f;

	assert_int_equal(engine_patch_func(rig->e, patch, n, &f), 0);
	return f;
}

static u64 cmdline(struct rig *rig)
{
	return symbol(rig, "vmlinux", "cmdline_proc_show");
}

static void one_of_two(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	say(0, cmdline(rig), KLP);
	assert_int_equal(tell(rig, 1), 0);
	assert_string_equal(func(rig, 0, 0).not_in_force, "overridden by " KLP);
	assert_true(func(rig, 0, 0).redirected);
	assert_string_equal(func(rig, 0, 1).not_in_force, "");
	assert_int_equal(info(rig, "fix").nr_not_in_force, 1);
	assert_string_equal(rig_said,
			    "patch 'fix': function 'cmdline_proc_show' is overridden by " KLP);

	rig_said[0] = 0;
	assert_int_equal(tell(rig, 1), 0);
	assert_string_equal(rig_said, "");
	say(0, cmdline(rig), "another");
	assert_int_equal(tell(rig, 1), 0);
	assert_string_equal(func(rig, 0, 0).not_in_force, "overridden by another");

	assert_int_equal(tell(rig, 0), 0);
	assert_string_equal(func(rig, 0, 0).not_in_force, "");
	assert_int_equal(info(rig, "fix").nr_not_in_force, 0);
	assert_string_equal(rig_said,
			    "patch 'fix': function 'cmdline_proc_show' is no longer overridden");
}

/* A function is not in force for any of the patches on its stack, and for none that is off. */
static void stacked(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	apply(rig, &other);
	say(0, cmdline(rig), KLP);
	assert_int_equal(tell(rig, 1), 0);
	assert_int_equal(info(rig, "fix").nr_not_in_force, 1);
	assert_int_equal(info(rig, "other").nr_not_in_force, 1);
	assert_int_equal(revert(rig, "other"), 0);
	settle(rig, 1000);
	assert_int_equal(info(rig, "fix").nr_not_in_force, 1);
	assert_int_equal(info(rig, "other").nr_not_in_force, 0);
}

/* A report that came while the patch was being applied is known when it is applied. */
static void told_in_transition(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 1000);
	assert_phase(rig, "fix", PHASE_PATCHING);
	say(0, cmdline(rig), KLP);
	assert_int_equal(tell(rig, 1), 0);
	assert_int_equal(info(rig, "fix").nr_not_in_force, 0);
	rig->busy = NULL;
	settle(rig, 10000);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(info(rig, "fix").nr_not_in_force, 1);
}

/* Another module may come to where it was. */
static void module_goes(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod(rig, "ext4"), 0);
	apply(rig, &in_module);
	say(0, symbol(rig, "ext4", "ext4_sync"), KLP);
	assert_int_equal(tell(rig, 1), 0);
	assert_int_equal(info(rig, "in_module").nr_not_in_force, 1);
	rmmod(rig, "ext4");
	assert_int_equal(info(rig, "in_module").nr_not_in_force, 0);
	assert_int_equal(insmod(rig, "ext4"), 0);
	assert_int_equal(info(rig, "in_module").nr_not_in_force, 0);
	assert_int_equal(tell(rig, 1), 0);
	assert_int_equal(info(rig, "in_module").nr_not_in_force, 1);
}

/* Function 0 of a module that is not there has no address that could be told. */
static void nowhere(void **state)
{
	struct rig *rig = *state;

	apply(rig, &in_module);
	say(0, 0, KLP);
	assert_int_equal(tell(rig, 1), 0);
	assert_string_equal(func(rig, 0, 0).not_in_force, "");
}

/* The agent that reported them is gone, and nothing updates the report. */
static void agent_lost(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	say(0, cmdline(rig), KLP);
	assert_int_equal(tell(rig, 1), 0);
	engine_agent_hello(rig->e);
	assert_true(func(rig, 0, 0).redirected);
	assert_int_equal(info(rig, "fix").nr_not_in_force, 0);
	/* a patch that the new agent does not have is none of its concern */
	assert_int_equal(tell(rig, 1), 0);
	assert_int_equal(info(rig, "fix").nr_not_in_force, 0);
}

static void refused(struct rig *rig, u32 count, int error)
{
	assert_int_equal(tell(rig, count), error);
	assert_int_equal(info(rig, "fix").nr_not_in_force, 1);
	assert_string_equal(func(rig, 0, 0).not_in_force, "overridden by " KLP);
}

/* A report that cannot be is refused, and the last one stays. */
static void malformed(void **state)
{
	struct rig *rig = *state;
	u64 first;

	apply(rig, &fix);
	first = cmdline(rig);
	say(0, first, KLP);
	assert_int_equal(tell(rig, 1), 0);
	for (u32 i = 0; i <= SUTURE_MAX_OVERRIDDEN; i++)
		say(i, i, "x");
	refused(rig, SUTURE_MAX_OVERRIDDEN + 1, -EMSGSIZE);
	report.m.count = 0xffffffff;
	assert_int_equal(engine_overridden(rig->e, &report.m), -EMSGSIZE);
	report.m.count = 2;
	assert_int_equal(engine_overridden(rig->e, &report.m), -EMSGSIZE);
	say(1, 0, "x");
	refused(rig, 2, -EINVAL);
	say(0, 5, "x");
	say(1, 4, "x");
	refused(rig, 2, -EINVAL);
	say(1, 6, "");
	refused(rig, 2, -EINVAL);
	memset(report.list[1].who, 'x', sizeof(report.list[1].who));
	refused(rig, 2, -EINVAL);
}

/* It goes to a terminal, whole. */
static void printable(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	memset(&report, 0, sizeof(report));
	report.list[0].func = cmdline(rig);
	memset(report.list[0].who, 'w', sizeof(report.list[0].who) - 1);
	report.list[0].who[3] = '\x1b';
	report.list[0].who[SUTURE_WHO_LEN - 2] = 'E';
	report.m.more = 7;
	assert_int_equal(tell(rig, 1), 0);
	assert_memory_equal(func(rig, 0, 0).not_in_force, "overridden by www?w", 19);
	assert_int_equal(strlen(func(rig, 0, 0).not_in_force), 14 + SUTURE_WHO_LEN - 1);
	assert_int_equal(strrchr(func(rig, 0, 0).not_in_force, 'E')[1], 0);
	assert_string_equal(rig_said, "so are 7 more functions of patches, which are not told");
	report.m.more = 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(one_of_two), T(stacked),    T(told_in_transition), T(module_goes),
		T(nowhere),    T(agent_lost), T(malformed),	     T(printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
