/* SPDX-License-Identifier: BSD-2-Clause */
/* Single steps ("Monitor Trap Flag"), the exits of descriptor tables, and the window for NMIs. */
#include "../insn.h"
#include "vmx.h"

void vmx_control(struct cpu *c, u32 control, bool on)
{
	struct vmx_cpu *s = vmx_of(c);
	u32 value = on ? s->cpu | control : s->cpu & ~control;

	if (value != s->cpu)
		vmcs_write(VMCS_CPU_CONTROLS, value);
	s->cpu = value;
}

void vmx_block(u32 bits, bool on)
{
	u64 value = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);

	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, on ? value | bits : value & ~(u64)bits);
}

/*
 * An interrupt would be delivered before the instruction, and the step end in its handler: it is
 * held back by RFLAGS.IF. No instruction that writes memory reads or changes that flag but PUSHF.
 * Exceptions exit, so that the step also ends if the instruction faults, and with the flag set
 * again before the exception saves it. An event that is injected comes first in any case, saves the
 * flag, and is the step.
 */
void vmx_step_begin(struct cpu *c)
{
	struct vmx_cpu *s = vmx_of(c);

	if (s->stepping)
		return;
	s->stepping = true;
	s->held_if = c->arch->vcpu.event ? 0 : c->arch->vcpu.rflags & RFLAGS_IF;
	c->arch->vcpu.rflags &= ~s->held_if;
	/* blocking by STI without IF is no guest state ("Checks on Guest Non-Register State") */
	if (s->held_if)
		vmx_block(BLOCKED_BY_STI, false);
	vmcs_write(VMCS_EXCEPTIONS, ~0u);
	vmx_control(c, CPU_MONITOR_TRAP_FLAG, true);
}

static void set_table_exits(struct vmx_cpu *s, bool on)
{
	s->cpu2 = on ? s->cpu2 | CPU2_TABLE_EXITING : s->cpu2 & ~CPU2_TABLE_EXITING;
	vmcs_write(VMCS_CPU_CONTROLS_2, s->cpu2);
}

void vmx_step_end(struct cpu *c, bool completed)
{
	struct vmx_cpu *s = vmx_of(c);

	(void)completed;
	s->stepping = false;
	vmx_control(c, CPU_MONITOR_TRAP_FLAG, false);
	vmcs_write(VMCS_EXCEPTIONS, 0);
	c->arch->vcpu.rflags |= s->held_if;
	if (s->tables_again)
		set_table_exits(s, true);
	s->tables_again = false;
}

void vmx_catch_tables(struct cpu *c)
{
	set_table_exits(vmx_of(c), true);
}

/* Before the access. One that only reads a register, or that is of LDTR or TR, is stepped over. */
void vmx_table_access(struct cpu *c, bool loads)
{
	struct vmx_cpu *s = vmx_of(c);

	set_table_exits(s, false);
	if (loads) {
		vcpu_tables_change(c);
		return;
	}
	s->tables_again = true;
	c->arch->step = STEP_VENDOR;
	vmx_step_begin(c);
}

/*
 * An NMI that is injected blocks others until the IRET of its handler ("virtual NMIs"). Blocking by
 * STI counts too: some processors refuse an entry that injects an NMI then.
 */
bool vmx_nmi_window(struct cpu *c)
{
	u64 blocked = BLOCKED_BY_NMI | BLOCKED_BY_MOV_SS | BLOCKED_BY_STI;
	bool closed = c->arch->vcpu.event || (vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & blocked);

	vmx_control(c, CPU_NMI_WINDOW_EXITING, closed);
	return !closed;
}
