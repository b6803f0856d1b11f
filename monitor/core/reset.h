/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator wants the machine reset, whatever state its guest is in. Service CPU. */
#ifndef CORE_RESET_H
#define CORE_RESET_H

#include "lib/types.h"

/* In a moment, when the answer to the operator is on its way. */
void reset_soon(void);

/* True from then on: the service loop resets the machine. */
bool reset_is_due(void);

#endif
