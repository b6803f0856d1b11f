/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's messages: from the mailbox to guest/ and patch/. */
#ifndef AGENT_MESSAGES_H
#define AGENT_MESSAGES_H

#include "patch/engine/engine.h"
#include <suture/abi.h>

/*
 * Answer m for e, which the agent serves. m is a message whose size field is the true length (at
 * most SUTURE_MSG_MAX) and whose content does not change meanwhile. reply has room for
 * SUTURE_MSG_MAX bytes; all of it is filled in, its own size included. Service CPU.
 */
void message_answer(struct engine *e, const struct suture_msg *m, struct suture_msg *reply);

#endif
