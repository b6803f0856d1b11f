/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions that hit the monitor itself: it has none that it expects. */
#include "arch/cpu.h"
#include "arch/upcalls.h"
#include "core/emergency.h"
#include "el2.h"

/* What entry.S saves. */
struct trap_frame {
	u64 x[31];
	u64 elr, spsr, esr, far;
	u64 reserved; /* the stack stays aligned to 16 bytes */
};

void trap_handle(const struct trap_frame *f, u32 vector);

/* Called by entry.S, interrupts off. */
void trap_handle(const struct trap_frame *f, u32 vector)
{
	struct cpu *c = cpu_this();
	u64 sp = (u64)(f + 1);

	emergency(
		"monitor fault on CPU %u: vector %u, esr %#llx, image+%#llx, far %#llx, sp %#llx, "
		"lr image+%#llx",
		c->id, vector, f->esr, f->elr - machine->memory.v, f->far, sp,
		f->x[30] - machine->memory.v);
	emergency("  x0 %llx x1 %llx x2 %llx x3 %llx x19 %llx x20 %llx", f->x[0], f->x[1], f->x[2],
		  f->x[3], f->x[19], f->x[20]);
	emergency_stack((const u64 *)sp, machine->memory.v, machine->image_size);
	if (c->state != CPU_SERVICE)
		psci_system_reset();
	if (service_restarts("an exception"))
		el2_enter(c->arch, cpu_main);
	/* The guest goes on without the service CPU. */
	for (;;)
		__asm__ volatile("wfi" ::: "memory");
}
