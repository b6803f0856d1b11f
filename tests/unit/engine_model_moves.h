/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inner parts of the model: lists of patches, and the effects of a change from one list to
 * another.
 */
#ifndef TESTS_ENGINE_MODEL_MOVES_H
#define TESTS_ENGINE_MODEL_MOVES_H

#include "engine_model.h"

bool list_has(const struct list *l, int p);
void list_append(struct list *l, int p);

/* The list without p. */
struct list list_without(const struct list *l, int p);

/* True if a patch of the list has the state. */
bool any_has(const struct list *l, u32 id);

/* All patches involved: in force, or in transition; in the order of the stack. */
struct list involved(const struct model *m);
bool call_back(const struct model *m, struct outcome *o, int p, bool is_state, u32 index,
	       enum suture_callback cb);

/* pre_patch, and post_unpatch, of object i of p. False: it refuses. */
bool object_in(struct model *m, struct outcome *o, int p, u32 i);
void object_out(struct model *m, struct outcome *o, int p, u32 i);

/* post_patch. */
void object_post(struct model *m, struct outcome *o, int p, u32 i);
void state_out(struct model *m, struct outcome *o, int p, u32 i);

/*
 * The pre_patch callbacks of the states, and (the second function) of the objects, that p
 * introduces. False: one refuses.
 */
bool states_in(struct model *m, struct outcome *o, int p);
bool objects_in(struct model *m, struct outcome *o, int p);

/* Begin the transition that applies (up) or reverts p; `to` is the list after it. */
void begin_move(struct model *m, int p, bool up, struct list to);

/* The callbacks at the begin of a revert of p. */
void pre_unpatch(struct model *m, struct outcome *o, int p);

/* The switch, and the callbacks after it. */
void end_move(struct model *m, struct outcome *o);

/* pre_unpatch of the states that no patch in `to` has. */
void states_leave(struct model *m, struct outcome *o);

/* Set the current event, which names the callback that refuses. */
void model_event(const struct event *e);

#endif
