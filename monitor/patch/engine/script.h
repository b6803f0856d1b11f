/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The macros and steps of scripts. Private to monitor/patch/engine/.
 *
 * A script is one part of a patch's life: the callbacks, switches and messages of one operation of
 * kernel/livepatch under its mutex. When the agent asks for a step, the script runs up to its next
 * step, fills in the reply, and returns true. It goes on behind that step when the agent asks
 * again. So a script keeps nothing in local variables across a step: its place and its counters are
 * in struct script.
 */
#ifndef PATCH_ENGINE_SCRIPT_H
#define PATCH_ENGINE_SCRIPT_H

#include "patch/engine/types.h"

/* clang-format off */
#define SCRIPT_BEGIN(s) switch ((s)->at) { case 0:
#define SCRIPT_END	}
/* clang-format on */

/* Give one step; the script goes on behind it. At most one in a source line. */
#define GIVE(s, step)                                                                              \
	do {                                                                                       \
		step;                                                                              \
		(s)->at = __LINE__;                                                                \
		return true;                                                                       \
	case __LINE__:;                                                                            \
	} while (0)

/* Give a callback if there is one; s->result is what it returned, or 0. */
#define CALL(s, r, owner, is_state, index, callbacks, callback)                                    \
	do {                                                                                       \
		(s)->result = 0;                                                                   \
		if ((callbacks) & (1u << (callback)))                                              \
			GIVE(s, script_callback(r, owner, is_state, index, callback));             \
	} while (0)

#define CALL_OBJECT(s, r, p, i, callback)                                                          \
	CALL(s, r, p, false, i, (p)->objects[i].callbacks, callback)

#define CALL_STATE(s, r, p, st, callback)                                                          \
	CALL(s, r, p, true, patch_state_index(p, st), (st)->callbacks, callback)

typedef bool script_fn(struct engine *e, struct script *s, struct suture_step_reply *r);

/* ---- life.c ---- */
script_fn script_enable, script_refuse, script_refuse_missing, script_disable, script_reverse,
	script_force;
script_fn script_complete_patching, script_complete_unpatching;
/* ---- rollback.c ---- */
script_fn script_rollback, script_give_back;
/* ---- module.c ---- */
script_fn script_coming, script_going, script_abandon;
/* ---- converge.c ---- */
script_fn script_signal;
/* ---- transition.c ---- */
script_fn script_watch;

/* ---- below.c ---- */
script_fn script_retire;

/* ---- driver.c: one step each ---- */

enum say_level { SAY_NOTICE, SAY_WARN, SAY_ERROR, SAY_DEBUG };

/* A line for the kernel log; it goes to the monitor's log as well. */
void script_say(struct suture_step_reply *r, enum say_level level, const char *fmt, ...)
	__printf_like(3, 4);
/* That the guest has no such function of p, in Linux's words. */
void script_say_missing(struct suture_step_reply *r, const struct patch *p, const struct func *f);
void script_callback(struct suture_step_reply *r, const struct patch *p, bool is_state, u32 index,
		     enum suture_callback callback);
void script_wait(struct suture_step_reply *r);
void script_signal_task(struct suture_step_reply *r, u32 pid);
void script_leave_idle(struct suture_step_reply *r);
void script_begin_watch(struct suture_step_reply *r);
void script_restore(struct suture_step_reply *r, const struct patch *p);
void script_retired(struct suture_step_reply *r, const struct patch *p);
/* The script's last step. Returns true. */
bool script_finish(struct engine *e, struct suture_step_reply *r, enum suture_step_kind kind,
		   s32 result);
/* Another script goes on from here. Returns false. */
bool script_become(struct script *s, enum script_kind kind);

#endif
