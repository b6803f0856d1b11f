/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's mailbox: one message and its answer, exchanged between guest CPUs and the service
 * CPU. */
#ifndef AGENT_MAILBOX_H
#define AGENT_MAILBOX_H

#include "core/cpu.h"

struct engine;

/* -ENOMEM. Boot CPU. */
int mailbox_init(void);

/* SUTURE_HC_POST, _REPLY, _CANCEL. On a guest CPU, inside its exit; never wait. */
s64 mailbox_post(u64 ipa, u64 len);
s64 mailbox_reply(u64 ipa, u64 len);
s64 mailbox_cancel(void);

/* Answer the queued message for e, if there is one. Returns true if there was. Service CPU. */
bool mailbox_serve(struct engine *e);

/*
 * The type of the queued message; 0: there is none. And let its sender post it again: it came too
 * early. Service CPU.
 */
u32 mailbox_peek(void);
void mailbox_put_off(void);

/*
 * That a message was answered goes along with checkpoints. -ENOMEM. Service CPU, as is
 * mailbox_restart(): the service CPU has begun anew, and the records have gone back. A message
 * whose answer the records know of has that answer. Another is served again; one that has ended two
 * lives is refused with -EIO. Returns true if a message is to be served again.
 */
int mailbox_keep(void);
bool mailbox_restart(void);

#endif
