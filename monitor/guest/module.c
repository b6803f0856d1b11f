/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/module.h"
#include "guest/mem.h"
#include "lib/errno.h"

#define MAX_MODULES 1024
#define MAX_LINKS   (2 * MAX_MODULES) /* of the list: some entries are not looked at */
#define MAX_ENTRIES (1u << 20)	      /* of one module's tables */

static struct {
	bool read;
	u32 count;
	struct guest_module modules[MAX_MODULES];
} known;

void guest_modules_forget(void)
{
	known.read = false;
	known.count = 0;
}

static int read_module(u64 module, struct guest_module *m)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u32 size;

	if (guest_read_u64(GVA(module + l->module_text), &m->text) ||
	    guest_read_u32(GVA(module + l->module_text_size), &size) ||
	    guest_read_u64(GVA(module + l->module_orc_ip), &m->unwind_ip) ||
	    guest_read_u64(GVA(module + l->module_orc), &m->unwind_orc) ||
	    guest_read_u32(GVA(module + l->module_nr_orcs), &m->nr_unwind))
		return -EFAULT;
	m->text_size = size;
	return 0;
}

static bool makes_sense(const struct guest_module *m)
{
	return m->text_size && guest_is_module_text(m->text, m->text_size) && m->nr_unwind &&
	       m->nr_unwind <= MAX_ENTRIES && (s64)m->unwind_ip < 0 && (s64)m->unwind_orc < 0;
}

/*
 * Follow the list around, from the agent's own entry back to it. The list's head, which is no
 * module, is in the kernel's data; modules are in the modules' memory.
 */
static int read_list(void)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u64 at = l->modules_entry;
	u32 links = 0;

	do {
		struct guest_module *m = &known.modules[known.count];
		u64 next, back;

		if (guest_read_u64(GVA(at), &next) || guest_read_u64(GVA(next + 8), &back))
			return -EFAULT;
		if (back != at || known.count == MAX_MODULES || links++ == MAX_LINKS)
			return -ELOOP;
		if (guest_is_module_text(at, 1)) {
			if (read_module(at - l->module_list, m))
				return -EFAULT;
			known.count += makes_sense(m);
		}
		at = next;
	} while (at != l->modules_entry);
	return 0;
}

const struct guest_module *guest_module_at(u64 va)
{
	if (!known.read && guest_kernel.layout.modules_entry && read_list())
		known.count = 0;
	known.read = true;
	for (u32 i = 0; i < known.count; i++)
		if (va - known.modules[i].text < known.modules[i].text_size)
			return &known.modules[i];
	return NULL;
}
