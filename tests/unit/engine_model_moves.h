/* SPDX-License-Identifier: BSD-2-Clause */
/* The model's inner parts: lists of patches, and what a change from one to another brings. */
#ifndef TESTS_ENGINE_MODEL_MOVES_H
#define TESTS_ENGINE_MODEL_MOVES_H

#include "engine_model.h"

bool list_has(const struct list *l, int p);
void list_append(struct list *l, int p);

/* The list as it is without p. */
struct list list_without(const struct list *l, int p);

/* Has one of them the state? */
bool any_has(const struct list *l, u32 id);

/* All that take part: in force, or on their way there or back; in the order of the stack. */
struct list involved(const struct model *m);
bool call_back(const struct model *m, struct outcome *o, int p, bool is_state, u32 index,
	       enum suture_callback cb);

/* pre_patch, and post_unpatch, of object i of p. False: it refuses. */
bool object_in(struct model *m, struct outcome *o, int p, u32 i);
void object_out(struct model *m, struct outcome *o, int p, u32 i);

/* post_patch. */
void object_post(struct model *m, struct outcome *o, int p, u32 i);
void state_out(struct model *m, struct outcome *o, int p, u32 i);

/* States that p introduces, being one that comes; its objects likewise. False: one refuses. */
bool states_in(struct model *m, struct outcome *o, int p);
bool objects_in(struct model *m, struct outcome *o, int p);

/* p is to come (up) or go; `to` is what will be in force. */
void begin_move(struct model *m, int p, bool up, struct list to);

/* What comes first when p goes. */
void pre_unpatch(struct model *m, struct outcome *o, int p);

/* The switch, and what comes behind it. */
void end_move(struct model *m, struct outcome *o);

/* pre_unpatch of the states that nobody in `to` has. */
void states_leave(struct model *m, struct outcome *o);

/* The event that happens: it says which callback refuses. */
void model_event(const struct event *e);

#endif
