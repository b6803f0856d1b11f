/* SPDX-License-Identifier: BSD-2-Clause */
/* A request of the agent that is longer than the mailbox comes in parts. */
#ifndef AGENT_PARTS_H
#define AGENT_PARTS_H

#include "lib/types.h"
#include <suture/abi.h>

/*
 * Take one part, of a message whose size is at least sizeof(*part). 1: it was the last one, and
 * *whole is the request, until parts_drop(). 0: more are to come. -EINVAL: it does not follow the
 * last one, or the whole is malformed; -EMSGSIZE; -ENOMEM. After an error nothing is kept. Service
 * CPU, as is parts_drop().
 */
int parts_take(const struct suture_part *part, const struct suture_msg **whole);

/* Forget what has come. */
void parts_drop(void);

/* What has come goes along with checkpoints. -ENOMEM. */
int parts_keep(void);

#endif
