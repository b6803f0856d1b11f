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

#endif
