/* SPDX-License-Identifier: BSD-2-Clause */
/* The lives of the service CPU (docs/restart.md). On the service CPU. */
#ifndef RESTART_H
#define RESTART_H

#include "lib/types.h"

struct boot_info;
struct engine;

/*
 * The service CPU is in service_main(), for the first time or again. Returns false if it has failed
 * too often in a row, and is to halt.
 */
bool life_begins(void);

/* Is this not the first life? */
bool life_is_another(void);

/* In the first life, before anything else is allocated. -ENOMEM: there will be no other. */
int life_prepare(void);

/* The first life has made all that later ones find: they may begin. */
void life_is_ready(void);

/*
 * Bring back what the last life left: e is as it was at its last checkpoint, the redirects are
 * those in force, and the network is as before its start. *in_message: the last life ended while it
 * served a message of the agent, which is queued again. -EIO: it is damaged.
 */
int life_resume(const struct boot_info *bi, struct engine *e, bool *in_message);

/* What the last life may have done after its last checkpoint was asked for again. */
void life_is_settled(struct engine *e);

#endif
