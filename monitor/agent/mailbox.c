/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/mailbox.h"
#include "agent/messages.h"
#include "arch/service.h"
#include "core/checkpoint.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/pool.h"
#include "guest/mem.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"

/*
 * EMPTY -> FILLING -> POSTED -> SERVING -> ANSWERED -> DRAINING -> EMPTY. Guest CPUs own FILLING
 * and DRAINING, the service CPU owns SERVING. The CPU that changes the state by compare-and-swap
 * owns the buffers until the next change. ABANDONED: the agent gave up while the service CPU was
 * serving.
 */
enum state { EMPTY, FILLING, POSTED, SERVING, ANSWERED, DRAINING, ABANDONED };

static struct {
	u32 state;
	u32 lives;  /* that ended while the message in it was served */
	u64 served; /* messages */
	u8 *request, *reply;
} box;

/* Goes along with checkpoints. */
static struct {
	u64 answered; /* box.served, of the last message that has its answer */
} record;

#define MAX_LIVES 2u

static bool mailbox_change(enum state from, enum state to)
{
	u32 expected = from;

	return __atomic_compare_exchange_n(&box.state, &expected, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static void mailbox_set(enum state to)
{
	__atomic_store_n(&box.state, to, __ATOMIC_RELEASE);
}

int mailbox_init(void)
{
	box.request = pool_alloc(SUTURE_MSG_MAX / PAGE_SIZE);
	box.reply = pool_alloc(SUTURE_MSG_MAX / PAGE_SIZE);
	return box.request && box.reply ? 0 : -ENOMEM;
}

s64 mailbox_post(u64 ipa, u64 len)
{
	const struct suture_msg *m = (const struct suture_msg *)box.request;
	int r;

	if (len < sizeof(*m) || len > SUTURE_MSG_MAX)
		return -EMSGSIZE;
	if (ipa % 8)
		return -EINVAL;
	/* An answer that was not fetched belongs to a caller that is gone. */
	if (!mailbox_change(EMPTY, FILLING) && !mailbox_change(ANSWERED, FILLING))
		return -EBUSY;
	r = guest_read_ipa(IPA(ipa), box.request, len);
	if (!r && m->size != len)
		r = -EINVAL;
	if (r) {
		mailbox_set(EMPTY);
		return r;
	}
	mailbox_set(POSTED);
	arch_service_wake();
	return 0;
}

s64 mailbox_reply(u64 ipa, u64 len)
{
	const struct suture_msg *m = (const struct suture_msg *)box.reply;
	s64 r;

	if (ipa % 8)
		return -EINVAL;
	if (!mailbox_change(ANSWERED, DRAINING))
		return READ_ONCE(box.state) == EMPTY ? -ENOENT : -EAGAIN;
	if (m->size > len)
		r = -EMSGSIZE;
	else
		r = guest_write_ipa(IPA(ipa), box.reply, m->size);
	if (!r)
		r = m->size;
	/* A caller that gave an invalid buffer may try again with a valid one. */
	mailbox_set(r < 0 ? ANSWERED : EMPTY);
	return r;
}

s64 mailbox_cancel(void)
{
	if (!mailbox_change(POSTED, EMPTY) && !mailbox_change(ANSWERED, EMPTY))
		mailbox_change(SERVING, ABANDONED);
	return 0;
}

static void publish_answer(void)
{
	box.lives = 0;
	if (!mailbox_change(SERVING, ANSWERED))
		mailbox_change(ABANDONED, EMPTY);
}

static const struct suture_msg *queued_request(void)
{
	return (const struct suture_msg *)box.request;
}

static void answer_error(int err)
{
	struct suture_msg *reply = (struct suture_msg *)box.reply;

	*reply = (struct suture_msg){.type = queued_request()->type,
				     .size = sizeof(*reply),
				     .seq = queued_request()->seq,
				     .status = err};
	publish_answer();
}

static void refuse_deadly(void)
{
	log_limited(LOG_AGENT, LOG_ERROR,
		    "message %u of the agent ended the service CPU %u times: refused",
		    queued_request()->type, box.lives);
	answer_error(-EIO);
}

u32 mailbox_peek(void)
{
	return __atomic_load_n(&box.state, __ATOMIC_ACQUIRE) == POSTED ? queued_request()->type : 0;
}

void mailbox_put_off(void)
{
	if (mailbox_change(POSTED, SERVING))
		answer_error(-EAGAIN);
}

bool mailbox_serve(struct engine *e)
{
	if (!mailbox_change(POSTED, SERVING))
		return false;
	box.served++;
	message_answer(e, (const struct suture_msg *)box.request, (struct suture_msg *)box.reply);
	record.answered = box.served;
	/* The agent acts on the answer, so what has led to it must not be lost. */
	if (!MUTATION(checkpoint_of_answers))
		checkpoint_take();
	publish_answer();
	return true;
}

int mailbox_keep(void)
{
	return checkpoint_static(&record, sizeof(record));
}

bool mailbox_restart(void)
{
	u32 state = READ_ONCE(box.state);

	if (state != SERVING && state != ABANDONED)
		return false;
	if (record.answered != box.served && ++box.lives < MAX_LIVES &&
	    mailbox_change(SERVING, POSTED))
		return true;
	if (record.answered != box.served && box.lives >= MAX_LIVES)
		refuse_deadly();
	else
		publish_answer();
	return false;
}
