/* SPDX-License-Identifier: GPL-2.0-only */
/* What hostile_main.c and an architecture's part of the module need of each other. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <linux/types.h>

#define HOSTILE_NUMBERS 4 /* of an operation, at most */

/* What an operation has read. -ENOSPC */
int hostile_put(u64 value);

/*
 * Carry out an operation of the architecture's own, with its text behind `op` and the numbers in
 * it. -EINVAL: there is none of that name.
 */
int hostile_arch_operation(char op, char *text, const u64 *n);

/* A hypercall with number n[0] and three arguments; returns its answer. */
u64 hostile_call(const u64 *n);

/* Halt for ever; interrupts are off. */
void hostile_halt(void);

#endif
