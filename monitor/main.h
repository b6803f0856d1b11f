/* SPDX-License-Identifier: BSD-2-Clause */
/* The service CPU: network, engine, mailbox and timers in one loop. */
#ifndef MAIN_H
#define MAIN_H

#include "boot/boot.h"

/* The loop. Called by arch code on the service CPU, interrupts set up; never returns. */
_Noreturn void service_main(const struct boot_info *bi);

#endif
