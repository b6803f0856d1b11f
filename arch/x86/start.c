/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x86's part of the start: functions that core_init() calls, and then take_over() in the
 * ExitBootServices hook. Every failure before hv->enable() on the boot CPU leaves the machine
 * unchanged.
 */
#include "apic.h"
#include "arch/start.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "core/pool.h"
#include "hv.h"
#include "insn.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "mtrr.h"
#include "net/pci.h"
#include "pci_config.h"
#include "real_mode.h"
#include "smp.h"
#include "stage2/hide.h"
#include "stage2/idmap.h"
#include "time.h"

struct boot_info *machine;

int take_over(struct boot_info *bi, const struct native_frame *frame);
_Noreturn void call_on_stack(u64 stack_top, void (*f)(struct cpu *), struct cpu *c);

/* Checks of *bi that the portable part does not make. */
static int check_boot_info(const struct boot_info *bi, char *why, size_t why_size)
{
	const char *wrong = NULL;

	if (bi->memory.v + bi->memory_size > 1ull << 32)
		wrong = "its memory must lie below 4 GiB";
	else if (!bi->trampoline.v || bi->trampoline.v >= 1 << 20 || bi->trampoline.v % PAGE_SIZE)
		wrong = "it needs a page below 1 MiB to start CPUs from";
	else if (!bi->ticks_per_us)
		wrong = "the time stamp counter does not count";
	else if (read_cr4() & CR4_LA57)
		wrong = "the firmware uses page tables of five levels";
	/*
	 * The take-over returns into the guest, and the shadow stack of its caller is not captured
	 * (APM vol. 2, "Shadow Stacks").
	 */
	else if (read_cr4() & CR4_CET)
		wrong = "the firmware uses shadow stacks (CR4.CET): turn them off in its setup";
	if (!wrong)
		return 0;
	format(why, why_size, "the monitor cannot start: %s", wrong);
	return -EINVAL;
}

int arch_start_probe(struct boot_info *bi, char *why, size_t why_size)
{
	int err;

	machine = bi;
	bi->local_apic = PA(rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDR);
	err = check_boot_info(bi, why, why_size);
	if (err)
		return err;
	time_init();
	mtrr_init();
	return vendor_find(why, why_size);
}

int arch_start_shared(void)
{
	int err = hv->setup();

	if (!err)
		msr_init();
	return err;
}

int arch_start_cpu(struct cpu *c)
{
	size_t pages = ALIGN_UP(sizeof(struct arch_cpu), PAGE_SIZE) / PAGE_SIZE;
	int err;

	c->arch = pool_alloc(pages);
	if (!c->arch)
		return -ENOMEM;
	c->arch->self = c;
	c->arch->dfr = ~0u;
	err = host_init_cpu(c);
	return err || c->id == machine->service_cpu ? err : hv->setup_cpu(c);
}

/* Registers of an interrupt controller: the guest's reads need no exit. */
static int map_irqchip(struct idmap *m, u64 base, u64 size)
{
	int err = idmap_add(m, base, size, base, PT_READ | PT_WRITE | PT_DEVICE, false);

	return err ? err : hide_from_writes(base, size);
}

/*
 * The addresses of interrupt messages (APM vol. 2, 16.10). Devices write there; a CPU has its local
 * APIC there and nothing else, but in QEMU its writes send messages too.
 */
#define MESSAGES     0xfee00000ull
#define MESSAGES_END 0xfef00000ull

static int hide_messages(u64 apic)
{
	u64 begin = apic == MESSAGES ? apic + PAGE_SIZE : MESSAGES;

	return hide_device(begin, MESSAGES_END - begin);
}

int arch_start_map(struct idmap *m)
{
	const struct boot_ranges *ioapics = &machine->ioapics;
	u64 apic = machine->local_apic.v, page = machine->trampoline.v;
	int err = idmap_add(m, page, PAGE_SIZE, page, PT_READ | PT_WRITE | PT_EXEC, false);

	if (!err)
		err = misc_map(m);
	if (!err)
		err = hide_memory(page, PAGE_SIZE);
	if (!err)
		err = real_mode_hide();
	if (!err)
		err = map_irqchip(m, apic, PAGE_SIZE);
	for (u32 i = 0; i < ioapics->count && !err; i++)
		err = map_irqchip(m, ioapics->range[i].base, ioapics->range[i].size);
	return err ? err : hide_messages(apic);
}

void arch_start_tables(pa_t root)
{
	host_init(root);
}

void arch_start_intercepts(const struct pci_device *nic)
{
	if (!machine->nic_present)
		return;
	hv->intercept_ports(PCI_DATA_PORT, 4);
	if (!pci_is_in_memory())
		hv->intercept_ports(PCI_ADDRESS_PORT, 1);
	if (machine->ecam.v)
		machine->last_bus = MAX(pci_last_bus(machine->ecam_end_bus), 1u);
	for_each_bar (nic, bar)
		if (bar->io)
			hv->intercept_ports((u16)bar->base, (u16)bar->size);
}

const char *arch_start_name(void)
{
	return hv->name;
}

int arch_start_service(struct cpu *c)
{
	int err = smp_start(c);

	if (err)
		smp_abandon(c);
	return err;
}

u32 arch_start_hypercall_insn(void)
{
	return hv->hypercall_insn;
}

/* The firmware has set the logical APIC ID of the boot CPU. */
static void read_logical_id(struct arch_cpu *a)
{
	a->ldr = apic_read(APIC_LDR);
	a->dfr = apic_is_x2() ? ~0u : apic_read(APIC_DFR);
}

/* Called by entry.S, on the firmware's tables and stack, interrupts off. */
int take_over(struct boot_info *bi, const struct native_frame *frame)
{
	struct cpu *c = &cpus[0];
	struct guest_state state;
	int err = start_before_guest(bi);

	if (err)
		return err;
	read_logical_id(c->arch);
	state_capture(&state, frame);
	host_load(c);
	hv->enable(c);
	hv->set_state(c, &state);
	__atomic_store_n(&c->state, CPU_GUEST, __ATOMIC_SEQ_CST);
	log_info("the boot CPU goes on as a guest");
	call_on_stack(c->arch->host.stack_top, vcpu_loop, c);
}
