/* SPDX-License-Identifier: BSD-2-Clause */
/* What each message of the agent means: from the mailbox to guest/ and patch/. */
#ifndef AGENT_MESSAGES_H
#define AGENT_MESSAGES_H

#include "patch/engine/engine.h"
#include <suture/abi.h>

/*
 * Answer m for e, which the agent serves. m is a message whose size field is the true length (at
 * most SUTURE_MSG_MAX) and whose content nobody else changes. reply has room for SUTURE_MSG_MAX
 * bytes and is filled whole, its own size included. Service CPU.
 */
void message_answer(struct engine *e, const struct suture_msg *m, struct suture_msg *reply);

#endif
