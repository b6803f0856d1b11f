/* SPDX-License-Identifier: BSD-2-Clause */
/* The service CPU: network, engine, mailbox and timers in one loop. */
#ifndef MAIN_H
#define MAIN_H

#include "boot/boot.h"
#include "patch/engine/engine.h"

/* The engine of this monitor, and its configuration; both exist once service_main() has begun. */
struct engine *service_engine(void);
const struct config *service_config(void);

/* The loop. Called by arch code on the service CPU, interrupts set up; never returns. */
_Noreturn void service_main(const struct boot_info *bi);

/*
 * The redirect with this key was dropped (signature of shadow_drop_range()'s callback); the loop
 * tells the engine. Any CPU.
 */
void service_note_dropped(u64 key, void *arg);

#endif
