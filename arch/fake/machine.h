/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the fake's own files. */
#ifndef FAKE_MACHINE_H
#define FAKE_MACHINE_H

void fake_memory_reset(void);

#endif
