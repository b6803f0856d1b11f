/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the tests of a blocked transition: an engine that retries. */
#ifndef TESTS_ENGINE_BLOCKED_H
#define TESTS_ENGINE_BLOCKED_H

#include "engine_rig.h"

#define S 1000 /* settle() counts milliseconds */

static inline int setup(void **state)
{
	static struct rig rig;

	rig_start_retry(&rig, 5000, 1000000);
	*state = &rig;
	return 0;
}

static inline void start_blocked(struct rig *rig)
{
	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 2);
	assert_phase(rig, "fix", PHASE_PATCHING);
}

static inline u32 attempts(struct rig *rig)
{
	return info(rig, "fix").apply.attempts;
}

static inline u32 attempts_in(struct rig *rig, u32 ms)
{
	u32 before = attempts(rig);

	settle(rig, ms);
	return attempts(rig) - before;
}

#endif
