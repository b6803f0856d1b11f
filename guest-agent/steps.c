// SPDX-License-Identifier: GPL-2.0-only
/* Doing the engine's steps: callbacks, messages, retiring. */
#include <linux/string.h>
#include "agent.h"

/* The patch whose callback runs now; under agent_lock. */
static struct patch *in_callback;

static int object_callback(struct patch *p, u32 index, u32 callback)
{
	struct klp_object *obj;

	klp_for_each_object_static(p->klp, obj)
	{
		if (index--)
			continue;
		switch (callback) {
		case SUTURE_CB_PRE_PATCH:
			return obj->callbacks.pre_patch ? obj->callbacks.pre_patch(obj) : 0;
		case SUTURE_CB_POST_PATCH:
			if (obj->callbacks.post_patch)
				obj->callbacks.post_patch(obj);
			return 0;
		case SUTURE_CB_PRE_UNPATCH:
			if (obj->callbacks.pre_unpatch)
				obj->callbacks.pre_unpatch(obj);
			return 0;
		case SUTURE_CB_POST_UNPATCH:
			if (obj->callbacks.post_unpatch)
				obj->callbacks.post_unpatch(obj);
			return 0;
		}
		break;
	}
	return -ENOENT;
}

static int state_callback(struct patch *p, u32 index, u32 callback)
{
	struct klp_patch *klp = p->klp;
	struct klp_state *state;

	for (state = klp->states; state && state->id; state++) {
		if (index--)
			continue;
		switch (callback) {
		case SUTURE_CB_PRE_PATCH:
			return state->callbacks.pre_patch ? state->callbacks.pre_patch(klp, state)
							  : 0;
		case SUTURE_CB_POST_PATCH:
			if (state->callbacks.post_patch)
				state->callbacks.post_patch(klp, state);
			return 0;
		case SUTURE_CB_PRE_UNPATCH:
			if (state->callbacks.pre_unpatch)
				state->callbacks.pre_unpatch(klp, state);
			return 0;
		case SUTURE_CB_POST_UNPATCH:
			if (state->callbacks.post_unpatch)
				state->callbacks.post_unpatch(klp, state);
			return 0;
		case SUTURE_CB_SHADOW_DTOR:
			shadow_free_state(state->id, state->callbacks.shadow_dtor);
			return 0;
		}
		break;
	}
	return -ENOENT;
}

static int run_callback(const struct suture_step_reply *step)
{
	struct patch *p = patch_find(step->name);
	int result;

	if (!p) {
		pr_err("the monitor asks for a callback of a patch that is not here\n");
		return -ENOENT;
	}
	in_callback = p;
	result = step->is_state ? state_callback(p, step->index, step->callback)
				: object_callback(p, step->index, step->callback);
	in_callback = NULL;
	return result;
}

static void print_text(const struct suture_step_reply *step)
{
	switch (step->level) {
	case 0:
		klp_log(KERN_NOTICE, "%s\n", step->text);
		break;
	case 1:
		klp_log(KERN_WARNING, "%s\n", step->text);
		break;
	case 2:
		klp_log(KERN_ERR, "%s\n", step->text);
		break;
	default:
		klp_log(KERN_DEBUG, "%s\n", step->text);
		break;
	}
}

int steps_pump(enum suture_pump pump, const char *name, const char *module)
{
	struct suture_step step = {
		.msg = {.type = SUTURE_MSG_STEP, .size = sizeof(step)},
		.pump = pump,
	};
	struct suture_step_reply reply;
	struct patch *p;
	int err;

	strscpy(step.name, name, sizeof(step.name));
	strscpy(step.module, module, sizeof(step.module));
	for (;;) {
		err = mailbox_call(&step.msg, &reply, sizeof(reply));
		if (!err)
			err = reply.msg.status;
		if (err)
			return err;
		reply.name[sizeof(reply.name) - 1] = 0;
		reply.text[sizeof(reply.text) - 1] = 0;
		step.result = 0;

		switch (reply.kind) {
		case SUTURE_STEP_DONE:
			signal_release();
			idle_release();
			watch_end();
			return reply.result;
		case SUTURE_STEP_WAIT:
			if (pump != SUTURE_PUMP_MODULE) {
				/* the poll thread goes on */
				if (pump != SUTURE_PUMP_WORK)
					poll_kick();
				return 0;
			}
			/* the module loader needs a result; let other contexts do their steps */
			agent_yield(reply.wait_ms);
			break;
		case SUTURE_STEP_CALLBACK:
			step.result = run_callback(&reply);
			break;
		case SUTURE_STEP_LOG:
			print_text(&reply);
			break;
		case SUTURE_STEP_RETIRED:
			/* klp_enable_patch() takes its own patch apart when it fails */
			p = patch_find(reply.name);
			if (p && (pump != SUTURE_PUMP_INIT || strcmp(reply.name, name)))
				patch_retire(p);
			break;
		case SUTURE_STEP_RESTORE:
			step.result = patch_restore(reply.name, name);
			break;
		case SUTURE_STEP_SIGNAL:
			signal_task(reply.pid);
			break;
		case SUTURE_STEP_LEAVE_IDLE:
			idle_leave();
			break;
		case SUTURE_STEP_WATCH:
			step.result = watch_begin();
			break;
		default:
			pr_err("the monitor asks for step %u, which this agent does not know\n",
			       reply.kind);
			return -EPROTO;
		}
	}
}

struct klp_state *suture_klp_get_prev_state(unsigned long id)
{
	struct klp_state *state, *last = NULL;
	struct patch *p;

	if (WARN_ON_ONCE(!in_callback))
		return NULL;
	list_for_each_entry(p, &patches, list)
	{
		if (p == in_callback)
			break;
		state = klp_get_state(p->klp, id);
		if (state)
			last = state;
	}
	return last;
}
