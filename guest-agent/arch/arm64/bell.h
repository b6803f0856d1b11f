/* SPDX-License-Identifier: GPL-2.0-only */
/* On arm64 the monitor's doorbell is an SPI, of the machine. */
#ifndef SUTURE_AGENT_ARCH_BELL_H
#define SUTURE_AGENT_ARCH_BELL_H

#include <linux/acpi.h>
#include <linux/errno.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/of.h>
#include <linux/of_irq.h>

#define BELL_FIRST_SPI 32 /* a device tree counts from there */

/* Linux's number of an edge-triggered interrupt of the GIC, below its node in the device tree. */
static inline int arch_bell_map_dt(u32 number)
{
	struct of_phandle_args spec = {.args = {0, number - BELL_FIRST_SPI, IRQ_TYPE_EDGE_RISING}};
	u32 cells = 0;
	int irq = 0;

	spec.np = of_find_compatible_node(NULL, NULL, "arm,gic-v3");
	of_property_read_u32(spec.np, "#interrupt-cells", &cells);
	spec.args_count = cells;
	if (cells == 3 || cells == 4)
		irq = irq_create_of_mapping(&spec);
	of_node_put(spec.np);
	return irq ? irq : -ENXIO;
}

/* Linux's number of the interrupt that the monitor calls so, or negative errno. */
static inline int arch_bell_map(u32 number)
{
	int irq;

	if (acpi_disabled)
		return arch_bell_map_dt(number);
	irq = acpi_register_gsi(NULL, number, ACPI_EDGE_SENSITIVE, ACPI_ACTIVE_HIGH);
	return irq ? irq : -ENXIO;
}

/* arch_bell_map()'s inverse. The interrupt has no handler. */
static inline void arch_bell_unmap(u32 number, int irq)
{
	if (acpi_disabled)
		irq_dispose_mapping(irq);
	else
		acpi_unregister_gsi(number);
}

/* The CPUs have none of their own. */
static inline int arch_bell_register(bool (*handler)(void))
{
	return -EOPNOTSUPP;
}

static inline void arch_bell_unregister(void)
{
}

#endif
