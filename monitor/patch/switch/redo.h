/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A switch that was made, and whose record was lost with the service CPU. The engine asks for it
 * again, from the state before it; it is then found to be done. On the service CPU.
 */
#ifndef PATCH_SWITCH_REDO_H
#define PATCH_SWITCH_REDO_H

#include "patch/switch/set.h"

/* The record of switches goes along with checkpoints. -ENOMEM. */
int switch_keep(void);

/* The service CPU has begun anew, and the records have gone back. */
void switch_restart(void);

/* True until the switches that the records lack have been asked for again. */
bool switch_is_behind(void);

/* From now on the records count. */
void switch_settled(void);

/* All functions of the set lead where it wants them, by a switch that the records lack. */
bool switch_is_made(const struct switch_set *set);

/* The last switch has been made. */
void switch_made(void);

#endif
