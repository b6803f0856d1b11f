/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/messages.h"
#include "agent/offer.h"
#include "agent/parts.h"
#include "core/log.h"
#include "guest/bell.h"
#include "guest/kernel.h"
#include "guest/register.h"
#include "guest/watch.h"
#include "lib/errno.h"
#include "lib/string.h"

/*
 * Polling intervals of the agent: short for the operator, long enough not to load an idle guest. An
 * agent that is rung polls only in case that a ring is lost.
 */
#define POLL_IDLE_MS   250
#define POLL_NET_MS    30000
#define POLL_ACTIVE_MS 1

static int on_hello(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	const struct suture_hello *m = (const struct suture_hello *)msg;
	struct suture_hello_reply *reply = (struct suture_hello_reply *)out;
	struct guest_kernel before = guest_kernel;
	char why[REASON_LEN] = "";
	int r;

	reply->abi_version = SUTURE_ABI_VERSION;
	reply->poll_ms_idle = POLL_IDLE_MS;
	reply->poll_ms_active = POLL_ACTIVE_MS;
	reply->guest_patches = engine_config(e)->guest_patches;
	if (m->abi_version != SUTURE_ABI_VERSION) {
		log_limited(
			LOG_AGENT, LOG_WARN,
			"agent refused: it speaks ABI %u, this monitor %u: install the agent that "
			"came with the monitor",
			m->abi_version, SUTURE_ABI_VERSION);
		return -EPROTO;
	}
	/* An agent that was loaded again describes the same kernel anew. */
	guest_kernel_forget();
	r = guest_kernel_register(m, why, sizeof(why));
	if (r) {
		guest_kernel = before;
		log_limited(LOG_AGENT, LOG_WARN, "agent refused: %s (%s)", why, errno_name(r));
		return r;
	}
	guest_heartbeat_set(m->heartbeat);
	engine_agent_hello(e);
	log_limited(LOG_AGENT, LOG_INFO, "agent present: kernel %s", guest_kernel.release);
	return 0;
}

static int on_bye(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	int r = engine_agent_bye(e);

	(void)msg, (void)out;
	if (!r) {
		guest_bell_close();
		guest_heartbeat_set(0);
		guest_kernel_forget();
		log_limited(LOG_AGENT, LOG_INFO, "agent gone");
	}
	return r;
}

static int on_poll(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	struct suture_work *work = (struct suture_work *)out;

	(void)msg;
	guest_bell_withdraw();
	engine_work(e, work);
	if (work->kind == SUTURE_WORK_NONE && !engine_wants_agent(e) && guest_bell_arm())
		work->net_ms = POLL_NET_MS;
	return 0;
}

static int on_fetch(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	struct suture_fetch_reply *reply = (struct suture_fetch_reply *)out;
	int r = engine_fetch(e, (const struct suture_fetch *)msg, reply, reply + 1,
			     SUTURE_MSG_MAX - sizeof(*reply));

	if (!r)
		out->size = (su32)sizeof(*reply) + reply->length;
	return r;
}

static int on_loaded(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	(void)out;
	return engine_loaded(e, (const struct suture_loaded *)msg);
}

static int on_declare(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	(void)out;
	return engine_declare(e, (const struct suture_declare *)msg);
}

static int on_step(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	engine_step(e, (const struct suture_step *)msg, (struct suture_step_reply *)out);
	return 0;
}

static int on_set(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	(void)out;
	return engine_set(e, (const struct suture_set *)msg);
}

static int on_module(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	(void)out;
	return engine_module(e, (const struct suture_module *)msg);
}

static int on_withdraw(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	(void)out;
	return engine_withdraw(e, ((const struct suture_patch_ref *)msg)->name);
}

static int on_query(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	return engine_query(e, ((const struct suture_patch_ref *)msg)->name,
			    (struct suture_patch_state *)out);
}

static int on_shadow(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	(void)out;
	return engine_shadow(e, (const struct suture_shadow *)msg);
}

static int on_symbols(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	(void)out;
	return engine_symbols(e, (const struct suture_symbols *)msg);
}

static int on_overridden(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	(void)out;
	return engine_overridden(e, (const struct suture_overridden *)msg);
}

static int on_watch(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	(void)e, (void)out;
	return guest_watch_begin((const struct suture_watch *)msg);
}

static int on_offer(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	return offer_take(e, (const struct suture_offer *)msg, (struct suture_offer_reply *)out);
}

static int on_wanted(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	return offer_wanted(e, (const struct suture_wanted *)msg,
			    (struct suture_wanted_reply *)out);
}

/* One that is not the last: message_answer() has taken it. */
static int on_part(struct engine *e, const struct suture_msg *msg, struct suture_msg *out)
{
	(void)e, (void)msg, (void)out;
	return 0;
}

#define HEADER sizeof(struct suture_msg)
#define NONAME 0

/* name_offset: where a message has a patch or module name that must be terminated, 0 if none. */
static const struct {
	su32 min_size, reply_size, name_offset;
	bool anonymous; /* allowed before HELLO */
	int (*answer)(struct engine *e, const struct suture_msg *m, struct suture_msg *reply);
} kinds[] = {
	[SUTURE_MSG_HELLO] = {sizeof(struct suture_hello), sizeof(struct suture_hello_reply),
			      offsetof(struct suture_hello, release), true, on_hello},
	[SUTURE_MSG_BYE] = {HEADER, HEADER, NONAME, false, on_bye},
	[SUTURE_MSG_POLL] = {HEADER, sizeof(struct suture_work), NONAME, false, on_poll},
	[SUTURE_MSG_FETCH] = {sizeof(struct suture_fetch), sizeof(struct suture_fetch_reply),
			      NONAME, false, on_fetch},
	[SUTURE_MSG_LOADED] = {sizeof(struct suture_loaded), HEADER, NONAME, false, on_loaded},
	[SUTURE_MSG_DECLARE] = {sizeof(struct suture_declare), HEADER,
				offsetof(struct suture_declare, name), false, on_declare},
	[SUTURE_MSG_STEP] = {sizeof(struct suture_step), sizeof(struct suture_step_reply),
			     offsetof(struct suture_step, name), false, on_step},
	[SUTURE_MSG_SET] = {sizeof(struct suture_set), HEADER, offsetof(struct suture_set, name),
			    false, on_set},
	[SUTURE_MSG_MODULE] = {sizeof(struct suture_module), HEADER,
			       offsetof(struct suture_module, name), false, on_module},
	[SUTURE_MSG_WITHDRAW] = {sizeof(struct suture_patch_ref), HEADER,
				 offsetof(struct suture_patch_ref, name), false, on_withdraw},
	[SUTURE_MSG_QUERY] = {sizeof(struct suture_patch_ref), sizeof(struct suture_patch_state),
			      offsetof(struct suture_patch_ref, name), false, on_query},
	[SUTURE_MSG_SHADOW] = {sizeof(struct suture_shadow), HEADER, NONAME, false, on_shadow},
	[SUTURE_MSG_SYMBOLS] = {sizeof(struct suture_symbols), HEADER, NONAME, false, on_symbols},
	[SUTURE_MSG_OVERRIDDEN] = {sizeof(struct suture_overridden), HEADER, NONAME, false,
				   on_overridden},
	[SUTURE_MSG_WATCH] = {sizeof(struct suture_watch), HEADER, NONAME, false, on_watch},
	[SUTURE_MSG_OFFER] = {sizeof(struct suture_offer), sizeof(struct suture_offer_reply),
			      NONAME, false, on_offer},
	[SUTURE_MSG_WANTED] = {sizeof(struct suture_wanted), sizeof(struct suture_wanted_reply),
			       offsetof(struct suture_wanted, name), false, on_wanted},
	[SUTURE_MSG_PART] = {sizeof(struct suture_part), HEADER, NONAME, false, on_part},
};

static int refuse_message(const struct engine *e, const struct suture_msg *m)
{
	const char *name;

	if (m->type >= ARRAY_SIZE(kinds) || !kinds[m->type].answer)
		return -ENOSYS;
	if (m->size < kinds[m->type].min_size)
		return -EMSGSIZE;
	if (!kinds[m->type].anonymous && !engine_agent_present(e))
		return -EPERM;
	name = (const char *)m + kinds[m->type].name_offset;
	if (kinds[m->type].name_offset && !memchr(name, 0, SUTURE_NAME_LEN))
		return -EINVAL;
	return 0;
}

static void answer_whole(struct engine *e, const struct suture_msg *m, struct suture_msg *reply,
			 int r)
{
	su32 size;

	if (!r)
		r = refuse_message(e, m);
	size = r ? (su32)HEADER : kinds[m->type].reply_size;
	memset(reply, 0, size);
	*reply = (struct suture_msg){.type = m->type, .size = size, .seq = m->seq};
	if (!r)
		r = kinds[m->type].answer(e, m, reply);
	reply->status = r;
	if (r)
		log_limited(LOG_AGENT, LOG_DEBUG, "message %u of the agent: %s", m->type,
			    errno_name(r));
}

void message_answer(struct engine *e, const struct suture_msg *m, struct suture_msg *reply)
{
	const struct suture_msg *whole = m;
	int r = 0;

	if (m->type == SUTURE_MSG_PART && !refuse_message(e, m))
		r = parts_take((const struct suture_part *)m, &whole);
	if (r > 0)
		answer_whole(e, whole, reply, 0);
	else
		answer_whole(e, m, reply, r);
	if (r > 0 || m->type != SUTURE_MSG_PART)
		parts_drop();
}
