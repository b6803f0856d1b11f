/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A model of the engine that is independent of its code: a transition is a change from one list of
 * patches to another. The code that runs, the callbacks and their order follow from the two lists.
 */
#ifndef TESTS_ENGINE_MODEL_H
#define TESTS_ENGINE_MODEL_H

#include "engine_rig.h"

#define MODEL_PATCHES 4
#define MODEL_OBJECTS 2 /* of a patch */
#define MODEL_STATES  8 /* ids are below */
#define NOBODY	      (-1)

/* In the order in which they were enabled. */
struct list {
	u32 n;
	int p[MODEL_PATCHES];
};

struct model_patch {
	bool loaded;	 /* its module is in the guest */
	bool held;	 /* and the agent has a reference to it */
	bool known;	 /* the monitor has a record of it: on, in transition, or off and loaded */
	bool forced;	 /* never to be unloaded */
	bool orphan;	 /* its agent is gone: no callbacks */
	bool enabled;	 /* in sysfs */
	int replaced_by; /* until it is loaded anew */
	u32 nr_replaced;
	bool pre[MODEL_OBJECTS],
		post[MODEL_OBJECTS]; /* callbacks that have run and whose counterpart is due */
};

struct model {
	struct list on;	      /* the patches in force */
	struct list from, to; /* the current transition, */
	int moving;	      /* its patch; NOBODY: there is none */
	bool up;	      /* `to` has it */
	bool rollback;
	bool module;		       /* m is loaded */
	u32 came[MODEL_PATCHES], last; /* a count: when each was enabled last */
	struct model_patch patch[MODEL_PATCHES];
	struct {
		int owner;
		bool post;
		bool shadows; /* shadow variables of the state may exist */
	} state[MODEL_STATES];
};

enum what {
	LOAD, /* insmod of a payload */
	LOAD_INIT_FAILS,
	DISABLE,
	ENABLE,
	FORCE,
	ROLLBACK,
	REVERT_ORPHAN,
	RMMOD,
	MODULE_COMES,
	MODULE_GOES,
	SWITCH, /* no task blocks the switch */
	VANISH,
	NR_EVENTS
};

struct event {
	enum what what;
	int patch;
	/* the patch whose pre_patch refuses, and which of them; NOBODY */
	int refuses;
	bool is_state;
	u32 index;
};

/* The expected result of an event. */
struct outcome {
	s32 result;
	bool same;    /* not a byte of the engine may have changed */
	bool refused; /* the callback that refuses was called */
	u32 trace[RIG_TRACE], nr_trace;
};

/* The patches, by index; functions and objects are named in them. */
extern const struct def model_defs[MODEL_PATCHES];

void model_start(struct model *m);
/*
 * Apply the event to the model. False: it is not possible now, or equals another event (its
 * refusing callback is not called); *m is then undefined.
 */
bool model_apply(struct model *m, const struct event *e, struct outcome *o);
/* The patch whose version of the function runs, or NOBODY; *func is its index in the patch. */
int model_runs(const struct model *m, const char *object, const char *name, u32 *func);

/* ---- engine_rig_memory.c ---- */

#define CHUNK  128u
#define CHUNKS 2048u

/* The rig and all of the engine's memory. */
struct snapshot {
	struct rig rig;
	u32 top;
	u16 used[CHUNKS];
	u8 bytes[CHUNKS * CHUNK];
};

/* The rig's engine, not made yet, has its memory in one piece, which is empty. */
void rig_in_arena(struct rig *rig);
void rig_keep(struct snapshot *s, const struct rig *rig);
void rig_put_back(const struct snapshot *s, struct rig *rig);
/* True if no byte of the engine has changed since. */
bool rig_is_unchanged(const struct snapshot *s);

/* ---- engine_model_compare.c ---- */

extern struct rig model_rig; /* the rig that is compared with the model */

extern struct model_counts {
	u64 steps, unchanged, refusals;
	u64 events[NR_EVENTS];
} counts;

/*
 * Apply one event to the engine and to the model; asserts that they agree afterwards. *changed: the
 * event may have changed something. before (or NULL): the engine before the event. False: it is not
 * possible now.
 */
bool model_step(struct model *m, const struct event *e, const struct snapshot *before,
		bool *changed);
bool model_has_orphan(const struct model *m);
void model_print_event(const struct event *e);
void model_print_trace(const char *whose, const u32 *trace, u32 n);

#define check(good, ...)                                                                           \
	do {                                                                                       \
		if (!(good)) {                                                                     \
			print_error(__VA_ARGS__);                                                  \
			model_print_trace("last event", model_rig.trace, model_rig.nr_trace);      \
			fail();                                                                    \
		}                                                                                  \
	} while (0)

#endif
