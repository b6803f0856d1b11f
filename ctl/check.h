/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does a patch fit its kernel? The checks use those of the kernel's files that are given. A check
 * whose file is missing is left to the monitor and the agent, with a note.
 */
#ifndef CTL_CHECK_H
#define CTL_CHECK_H

#include "kernel.h"
#include "payload.h"
#include "verdict.h"

/*
 * Check the functions that are replaced: that they exist, are unambiguous and long enough, have the
 * new ones' prototypes, and are called; `uncalled` is set in each that is not. types: the payload's
 * debug information, may be NULL.
 */
void check_funcs(const struct kernel *k, struct payload_info *info, struct debug *types,
		 struct verdict *v);

/*
 * Check the payload's symbols: undefined ones are in the kernel, global ones do not clash with the
 * kernel's. agent: the agent's exports.
 */
void check_symbols(const struct kernel *k, const struct payload_info *info,
		   const struct ko *payload, const struct exports *agent, struct verdict *v);

#endif
