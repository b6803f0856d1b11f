/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's modules, from the kernel's list. Only while the guest is paused. */
#ifndef GUEST_MODULE_H
#define GUEST_MODULE_H

#include "guest/kernel.h"

struct guest_module {
	u64 text, text_size;	   /* the text that stays after init */
	u64 unwind_ip, unwind_orc; /* its unwind tables, nr_unwind entries each */
	u32 nr_unwind;
};

/*
 * The module with unwind tables whose text has va, or NULL. The list is read at the first call
 * after guest_modules_forget(), and kept. NULL too if the list cannot be followed to its end.
 */
const struct guest_module *guest_module_at(u64 va);

/* The guest has run: its modules may have changed. */
void guest_modules_forget(void);

#endif
