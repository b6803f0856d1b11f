// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs that no interrupt reaches, for test_masked.py (arm64, two CPUs, a patch must be on). What is
 * written to /proc/masked on CPU 0:
 *
 *	spin N		for N pauses CPU 1 loops, with the group of all its interrupts disabled
 *	wait N		it waits in WFI instead, and the group is enabled
 *	suspend N	in CPU_SUSPEND, to standby
 *	power N		in CPU_SUSPEND, with a power-down
 *	other M		AFFINITY_INFO and CPU_ON of the CPU with MPIDR M, below 8, and a write to
 *			its redistributor
 *
 * Meanwhile both CPUs mask their interrupts, the distributor is disabled, and CPU 0 has the monitor
 * pause the guest again and again; if N is 0, until the serial line at I/O port `line` (a module
 * parameter) receives something. Reading /proc/masked shows what came of it.
 */
#include <linux/arm-smccc.h>
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/serial_reg.h>
#include <linux/smp.h>
#include <uapi/linux/psci.h>
#include <asm/barrier.h>
#include <asm/sysreg.h>

#include "arch.h"
#include "proc_file.h"
#include "symbol.h"

#define DISTRIBUTOR	  0x08000000 /* of QEMU's machine */
#define REDISTRIBUTOR(n)  (0x080a0000 + (n)*0x20000)
#define ISENABLER0	  0x10100
#define CTLR_ENABLE	  3u
#define CTLR_RWP	  (1u << 31)
#define POWER_DOWN	  (1u << 16) /* of PSCI's power_state */
#define BETWEEN_PAUSES_US 200

static unsigned long line;
module_param(line, ulong, 0);

static void __iomem *distributor;
static int (*suspend_enter)(u32 state);
static bool inside, stop;
static unsigned int pauses, failed;
static u64 longest_ns;
static long affinity, on;
static u32 enabled, changed;

/* ---- CPU 1 ---- */

static void spin(void)
{
	u64 group = read_sysreg_s(SYS_ICC_IGRPEN1_EL1), mask = read_sysreg_s(SYS_ICC_PMR_EL1);

	write_sysreg_s(0, SYS_ICC_IGRPEN1_EL1);
	write_sysreg_s(0, SYS_ICC_PMR_EL1);
	isb();
	/* which an emulator takes for a reason to run another CPU */
	while (!smp_load_acquire(&stop))
		cpu_relax();
	write_sysreg_s(mask, SYS_ICC_PMR_EL1);
	write_sysreg_s(group, SYS_ICC_IGRPEN1_EL1);
	isb();
}

static void wait(void)
{
	dsb(sy);
	wfi();
}

static void suspend(void)
{
	failed += suspend_enter(0) != 0;
}

static void power_down(void)
{
	failed += suspend_enter(POWER_DOWN) != 0;
}

static const struct {
	const char *name;
	void (*fn)(void);
} states[] = {{"spin", spin}, {"wait", wait}, {"suspend", suspend}, {"power", power_down}};

static int be_inside(void *arg)
{
	void (*fn)(void) = arg;

	local_irq_disable();
	smp_store_release(&inside, true);
	while (!smp_load_acquire(&stop))
		fn();
	local_irq_enable();
	smp_store_release(&inside, false);
	return 0;
}

/* ---- CPU 0 ---- */

static void write_distributor(u32 value)
{
	writel(value, distributor);
	while (readl(distributor) & CTLR_RWP)
		cpu_relax();
}

/* Nothing is in that range: the monitor pauses all CPUs to see that. */
static void pause_guest(void)
{
	u64 start = ktime_get_ns();

	failed += arch_hypercall(SUTURE_INSN_HVC, SUTURE_HC_DROP_RANGE, 1, 2) != 0;
	longest_ns = max(longest_ns, ktime_get_ns() - start);
	pauses++;
}

static void nothing(void *unused)
{
}

static bool goes_on(unsigned long least)
{
	return least ? pauses < least : !(inb(line + UART_LSR) & UART_LSR_DR);
}

static int hold(void (*fn)(void), unsigned long least)
{
	struct task_struct *task = kthread_create(be_inside, fn, "masked");
	u32 control = readl(distributor) & ~CTLR_RWP;

	if (IS_ERR(task))
		return PTR_ERR(task);
	pauses = failed = 0;
	longest_ns = 0;
	stop = false;
	kthread_bind(task, 1);
	wake_up_process(task);
	while (!smp_load_acquire(&inside))
		cond_resched();
	local_irq_disable();
	write_distributor(control & ~CTLR_ENABLE);
	while (goes_on(least)) {
		pause_guest();
		udelay(BETWEEN_PAUSES_US);
	}
	write_distributor(control);
	smp_store_release(&stop, true);
	local_irq_enable();
	/* what CPU 1 waits for, if it does */
	smp_call_function_single(1, nothing, NULL, 1);
	while (smp_load_acquire(&inside))
		msleep(1);
	return 0;
}

static int look_at_other(unsigned long mpidr)
{
	void __iomem *enable = ioremap(REDISTRIBUTOR(mpidr) + ISENABLER0, sizeof(u32));
	struct arm_smccc_res res;

	if (!enable)
		return -ENOMEM;
	enabled = readl(enable);
	writel(~enabled, enable);
	changed = readl(enable) ^ enabled;
	iounmap(enable);
	arm_smccc_smc(PSCI_0_2_FN64_AFFINITY_INFO, mpidr, 0, 0, 0, 0, 0, 0, &res);
	affinity = (int)res.a0;
	arm_smccc_smc(PSCI_0_2_FN64_CPU_ON, mpidr, __pa_symbol(suspend_enter), 0, 0, 0, 0, 0, &res);
	on = (int)res.a0;
	return 0;
}

static int masked_show(struct seq_file *m, void *v)
{
	seq_printf(m, "pauses %u failed %u longest %llu us\n", pauses, failed,
		   longest_ns / NSEC_PER_USEC);
	seq_printf(m, "affinity %ld on %ld changed %x\n", affinity, on, changed);
	return 0;
}

static int masked_command(const char *text)
{
	unsigned long number;
	char word[16];
	unsigned int i;

	if (sscanf(text, "%15s %lu", word, &number) != 2)
		return -EINVAL;
	if (!strcmp(word, "other"))
		return look_at_other(number);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		if (!strcmp(word, states[i].name))
			return raw_smp_processor_id() ? -EINVAL : hold(states[i].fn, number);
	}
	return -EINVAL;
}

DEFINE_PROC_FILE(masked);

static int __init masked_init(void)
{
	suspend_enter = symbol("psci_cpu_suspend_enter");
	distributor = ioremap(DISTRIBUTOR, PAGE_SIZE);
	if (suspend_enter && distributor && proc_create("masked", 0600, NULL, &masked_ops))
		return 0;
	if (distributor)
		iounmap(distributor);
	return -ENOMEM;
}

static void __exit masked_exit(void)
{
	remove_proc_entry("masked", NULL);
	iounmap(distributor);
}

module_init(masked_init);
module_exit(masked_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("CPUs that no interrupt reaches");
