/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arm64's part of the start: of core_init(), and then take_over() in the ExitBootServices hook.
 * Until el2_enter() on the boot CPU every failure leaves the machine as it was.
 */
#include <suture/abi.h>
#include "arch/start.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "core/pool.h"
#include "el2.h"
#include "gic.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "misc.h"
#include "psci_host.h"
#include "stage2/idmap.h"
#include "sysreg.h"
#include "time.h"

#define STACK_PAGES	    4
#define SERVICE_STACK_PAGES 16

struct boot_info *machine;

int take_over(struct boot_info *bi, const struct native_frame *frame);

static u32 current_el(void)
{
	return (u32)(read_sysreg(CurrentEL) >> 2 & 3);
}

/* Stage 2 of 4 KiB pages: TGran4_2, or TGran4 where that says "as stage 1" (D19.2.64). */
static bool has_4k_pages(void)
{
	u32 stage1 = id_field(id_aa64mmfr0_el1, 28), of_stage2 = id_field(id_aa64mmfr0_el1, 40);

	return stage1 < 8 && of_stage2 != 1;
}

/* What keeps it from virtualizing here; NULL: nothing. */
static const char *find_obstacle(void)
{
	if (current_el() != 2)
		return "the firmware has started it at EL1, and virtualization needs EL2";
	if (!has_4k_pages())
		return "the processor has no pages of 4 KiB";
	if (id_field(S3_0_C0_C7_4, 24)) /* ID_AA64MMFR4_EL1.E2H0 */
		return "the processor cannot leave the mode of FEAT_VHE (E2H)";
	if (!time_init())
		return "the firmware does not say what the counter's frequency is (CNTFRQ_EL0)";
	return NULL;
}

int arch_start_probe(struct boot_info *bi, char *why, size_t why_size)
{
	const char *obstacle = find_obstacle();
	int err;

	machine = bi;
	if (obstacle) {
		format(why, why_size, "the monitor cannot start: %s", obstacle);
		return -ENODEV;
	}
	misc_init(bi);
	err = psci_probe(bi, why, why_size);
	return err ? err : gic_probe(bi, why, why_size);
}

/* CPUs share stage 2 alone. */
int arch_start_shared(void)
{
	return 0;
}

int arch_start_cpu(struct cpu *c)
{
	size_t pages = ALIGN_UP(sizeof(struct arch_cpu), PAGE_SIZE) / PAGE_SIZE;
	size_t stack_pages = c->id == machine->service_cpu ? SERVICE_STACK_PAGES : STACK_PAGES;
	u8 *stack = pool_alloc(stack_pages);

	c->arch = pool_alloc(pages);
	if (!c->arch || !stack)
		return -ENOMEM;
	c->arch->self = c;
	c->arch->stack_top = (u64)stack + stack_pages * PAGE_SIZE;
	return 0;
}

int arch_start_map(struct idmap *m)
{
	int err = gic_map(m);

	return err ? err : misc_map(m);
}

void arch_start_tables(pa_t root)
{
	el2_init(root);
}

/* All in HCR_EL2, which el2_init_cpu() sets; ports of PCI devices are in memory here. */
void arch_start_intercepts(const struct pci_device *nic)
{
	(void)nic;
}

const char *arch_start_name(void)
{
	return "arm64 EL2";
}

u32 arch_start_hypercall_insn(void)
{
	return SUTURE_INSN_HVC;
}

/* On the monitor's tables and stack. */
static void boot_cpu_main(struct cpu *c)
{
	el2_init_cpu();
	state_resume(c);
	__atomic_store_n(&c->state, CPU_GUEST, __ATOMIC_SEQ_CST);
	log_info("the boot CPU goes on as a guest, at EL1");
	vcpu_loop(c);
}

/* Called by entry.S, on the firmware's tables and stack, interrupts off. */
int take_over(struct boot_info *bi, const struct native_frame *frame)
{
	int err = state_capture(frame);

	if (!err)
		err = start_before_guest(bi);
	if (err)
		return err;
	el2_enter(cpus[0].arch, boot_cpu_main);
}
