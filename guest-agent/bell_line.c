// SPDX-License-Identifier: GPL-2.0-only
/*
 * One doorbell for the machine: an interrupt that no device has. The kernel chooses the CPU that
 * handles it, and another one when that CPU goes offline. A ring that was on its way when the
 * doorbell was closed does no harm: it asks for work once more, or stays pending in the interrupt
 * controller, disabled, until the next agent has it.
 */
#include <linux/interrupt.h>
#include "agent.h"
#include <bell.h>

static int irq;

static irqreturn_t rings(int unused, void *cookie)
{
	poll_kick();
	return IRQ_HANDLED;
}

static void close_line(void)
{
	mailbox_open_line(false);
}

static void open_line(void)
{
	long err = mailbox_open_line(true);

	if (err)
		pr_warn_ratelimited("the doorbell cannot be opened (error %ld)\n", err);
}

static int start(void)
{
	int err;

	irq = arch_bell_map(mailbox_bell_line());
	if (irq < 0)
		return irq;
	err = request_irq(irq, rings, 0, "suture", &irq);
	if (err)
		arch_bell_unmap(mailbox_bell_line(), irq);
	else
		open_line();
	return err;
}

static void stop(void)
{
	close_line();
	free_irq(irq, &irq);
	arch_bell_unmap(mailbox_bell_line(), irq);
}

const struct bell_ops line_bell = {
	.start = start, .stop = stop, .open = open_line, .close = close_line};
