/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports that exit: configuration space, and the I/O window of the hidden NIC. */
#include "core/log.h"
#include "hv.h"
#include "pci.h"
#include "pci_config.h"

void vcpu_io(struct cpu *c, u16 port, u32 size, bool in, bool string)
{
	u64 *rax = &c->arch->vcpu.gpr[RAX];
	u64 mask = size == 4 ? 0xffffffffull : (1ull << 8 * size) - 1;
	u32 value = ~0u;

	if (string) {
		log_limited(LOG_ACCESS, LOG_ERROR, "guest CPU %u: string I/O on port %#x ignored",
			    c->id, port);
		return;
	}
	/*
	 * An access at CF8h to CFBh that is not one of the 32-bit address register (CF9h is the
	 * reset control) goes to the hardware.
	 */
	if (port >= PCI_ADDRESS_PORT && port < PCI_DATA_PORT + 4)
		value = pci_guest_port(port, size, in, (u32)(*rax & mask));
	if (!in)
		return;
	/* A 32-bit result clears the upper half, smaller ones leave the rest (APM vol. 3, IN). */
	*rax = size == 4 ? value : (*rax & ~mask) | (value & mask);
}
