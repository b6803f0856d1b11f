/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that is not well: what is known of it. */
#include "engine_rig.h"

static struct guest_health health(struct rig *rig)
{
	struct guest_health h;

	engine_guest_health(rig->e, &h);
	return h;
}

/* Whatever the agent says is a word of it. */
static void test_last_word(void **state)
{
	struct rig *rig = *state;
	struct suture_shadow shadow = {.msg.size = sizeof(shadow)};
	struct suture_symbols symbols = {0};
	struct suture_fetch_reply reply;
	struct suture_patch_state q;

	for (u32 i = 0; i < 7; i++) {
		rig->now_us += 12300000;
		assert_int_equal(health(rig).state, GUEST_SILENT);
		assert_true(health(rig).silent_us == 12300000);
		assert_string_equal(health(rig).why,
				    "agent silent for 12 s: the guest hangs, or is stopped");
		switch (i) {
		case 0:
			engine_work(rig->e, &(struct suture_work){0});
			break;
		case 1:
			engine_query(rig->e, "fix", &q);
			break;
		case 2:
			engine_shadow(rig->e, &shadow);
			break;
		case 3:
			engine_symbols(rig->e, &symbols);
			break;
		case 4:
			echo(rig, "fix", SUTURE_SET_ENABLED, 0);
			break;
		case 5:
			engine_fetch(rig->e, &(struct suture_fetch){0}, &reply, NULL, 0);
			break;
		case 6:
			engine_withdraw(rig->e, "fix");
			break;
		}
		assert_int_equal(health(rig).state, GUEST_ALIVE);
		assert_true(health(rig).silent_us == 0);
		assert_string_equal(health(rig).why, "");
	}
	rig->now_us += 9999999;
	assert_int_equal(health(rig).state, GUEST_ALIVE);
	assert_int_equal(engine_agent_bye(rig->e), 0);
	rig->now_us += 60000000;
	assert_int_equal(health(rig).state, GUEST_UNKNOWN);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_last_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
