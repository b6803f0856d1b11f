/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions and interrupts that hit the monitor itself. */
#include "arch/barrier.h"
#include "arch/cpu.h"
#include "arch/upcalls.h"
#include "core/emergency.h"
#include "hv.h"
#include "insn.h"
#include "machine_check.h"
#include "service.h"

#define STUB_SIZE 16

extern const char isr_stubs[], insn_failed[], idle_halt_insn[];
/* image.lds: where instructions of isr.S that may fault are, each counted from its entry here */
extern const s32 fixups_start[], fixups_end[];
void trap_handle(struct trap_frame *f);

static struct gate idt[256];
struct descriptor_table host_idt;

void trap_init(void)
{
	for (u32 v = 0; v < ARRAY_SIZE(idt); v++)
		idt[v] = gate_to((u64)isr_stubs + v * STUB_SIZE);
	/* These may come while the stack pointer is invalid, or in any code. */
	idt[VEC_NMI].ist = 1;
	idt[VEC_DF].ist = 2;
	idt[VEC_MC].ist = 3;
	host_idt = (struct descriptor_table){.limit = sizeof(idt) - 1, .base = (u64)idt};
}

/* Go on in service_restart(), with IRET, which also ends the blocking of NMIs. */
static void restart_service(struct trap_frame *f, const char *why)
{
	if (service_restarts(why)) {
		f->rip = (u64)service_restart;
		f->rsp = cpus[machine->service_cpu].arch->host.stack_top - sizeof(u64);
		f->cs = HOST_CS;
		f->ss = HOST_DS;
		f->rflags = 2;
		return;
	}
	/* The guest continues without the service CPU. */
	for (;;)
		__asm__ volatile("cli; hlt" ::: "memory");
}

static void fatal(struct trap_frame *f)
{
	struct cpu *c = cpu_this();

	emergency("monitor fault on CPU %u: vector %llu, error %#llx, image+%#llx, cr2 %#llx, rsp "
		  "%#llx",
		  c->id, (unsigned long long)f->vector, (unsigned long long)f->error,
		  (unsigned long long)(f->rip - machine->memory.v), (unsigned long long)read_cr2(),
		  (unsigned long long)f->rsp);
	emergency("  rax %llx rbx %llx rcx %llx rdx %llx rsi %llx rdi %llx",
		  (unsigned long long)f->rax, (unsigned long long)f->rbx,
		  (unsigned long long)f->rcx, (unsigned long long)f->rdx,
		  (unsigned long long)f->rsi, (unsigned long long)f->rdi);
	emergency_stack((const u64 *)f->rsp, machine->memory.v, machine->image_size);
	if (c->state != CPU_SERVICE)
		machine_reset();
	restart_service(f, "an exception");
}

/*
 * Interrupts are on at the HLT of idle_halt() and behind it alone, where no instruction causes an
 * exception: what comes there is an interrupt, whatever its vector. A device may choose any, and
 * one by ExtINT is not even in the in-service register. The machine check and NMI need no
 * permission.
 */
static bool is_interrupt(const struct trap_frame *f)
{
	u64 status;

	if (f->vector >= 32)
		return true;
	if (!(f->rflags & RFLAGS_IF) || f->vector == VEC_NMI)
		return false;
	return f->vector != VEC_MC ||
	       (!rdmsr_safe(MSR_MCG_STATUS, &status) && !(status & MCG_STATUS_MCIP));
}

/* True if the instruction is one of those that may fault: its function fails. */
static bool fix_up(struct trap_frame *f)
{
	for (const s32 *at = fixups_start; at < fixups_end; at++)
		if ((u64)at + (u64)(s64)*at == f->rip) {
			f->rip = (u64)insn_failed;
			return true;
		}
	return false;
}

/* Called by isr.S, interrupts off. */
void trap_handle(struct trap_frame *f)
{
	if (is_interrupt(f)) {
		service_interrupt((u32)f->vector);
	} else if (f->vector == VEC_DB) {
		/*
		 * The guest's hardware breakpoints can stay armed in the monitor (seen in QEMU
		 * 7.2).
		 */
		write_dr7(DR7_RESET);
	} else if (f->vector == VEC_MC && machine_check()) {
		/* It goes on. */
	} else if (f->vector == VEC_NMI) {
		/* The NMI's purpose is in memory, where the sender has stored it. */
		nmi_in_monitor(cpu_this());
	} else if (f->vector != VEC_GP || !fix_up(f)) {
		fatal(f);
		return;
	}
	if (f->rip == (u64)idle_halt_insn)
		f->rip++;
}

/*
 * Try the PCI reset control register (CF9h), then the keyboard controller's reset line, then a
 * triple fault.
 */
_Noreturn void machine_reset(void)
{
	static const struct descriptor_table none;

	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06);
	for (u32 i = 0; i < 1000000; i++)
		arch_relax();
	outb(0x64, 0xfe);
	for (u32 i = 0; i < 1000000; i++)
		arch_relax();
	__asm__ volatile("lidt %0; int3" ::"m"(none));
	for (;;)
		arch_relax();
}
