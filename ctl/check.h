/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does a patch fit the kernel that it is for? What can be seen in the kernel's files is judged when
 * the bundle is built; what is not at hand is said and left to the monitor and the agent.
 */
#ifndef CTL_CHECK_H
#define CTL_CHECK_H

#include "kernel.h"
#include "payload.h"
#include "verdict.h"

/*
 * The functions that are replaced: there, unambiguous, long enough, of the new ones' prototypes,
 * and called; of each that is not, `uncalled` is set. types: the payload's debug information, may
 * be NULL.
 */
void check_funcs(const struct kernel *k, struct payload_info *info, struct debug *types,
		 struct verdict *v);

/*
 * The payload's symbols: undefined ones are in the kernel, global ones do not clash with its.
 * agent: what the agent exports.
 */
void check_symbols(const struct kernel *k, const struct payload_info *info,
		   const struct ko *payload, const struct exports *agent, struct verdict *v);

#endif
