/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bundles that the guest offers: what the operator had applied before the machine's last boot.
 * docs/desired.md has the design. Service CPU.
 */
#ifndef AGENT_OFFER_H
#define AGENT_OFFER_H

#include "patch/engine/engine.h"

/*
 * Take some bytes of a bundle, m->msg.size of them and of its header in all, and with the last ones
 * give it to the engine as an operator's. 0: *reply says more. -EPERM: suture.conf forbids offers;
 * -EINVAL: bytes that do not follow the last ones; -EMSGSIZE, -ENOMEM; -EAGAIN: too many within a
 * minute, or too many that have not ended; or what intake_bundle() says. After an error nothing is
 * kept.
 */
int offer_take(struct engine *e, const struct suture_offer *m, struct suture_offer_reply *reply);

/*
 * Remember what the guest says of a patch that it wants, and tell what has become of it. -EINVAL:
 * the name or the state is none; -ENOSPC: it tells of too many.
 */
int offer_wanted(struct engine *e, const struct suture_wanted *m,
		 struct suture_wanted_reply *reply);

/* Forget a bundle of which nothing more comes. The time at which there will be one, as the clock
 * arch_time_us(); UINT64_MAX: there is none. */
u64 offer_tick(u64 now_us);

/* What has come goes along with checkpoints. -ENOMEM. */
int offer_keep(void);

#endif
