/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor reads in the firmware's device tree. Bindings are those of the Linux kernel. */
#include "boot/dt.h"
#include "lib/errno.h"
#include "lib/string.h"

#define DT_MAGIC  0xd00dfeedu
#define FIRST_SPI 32 /* a tree counts from there */

/* Of the header (5.2), as words. */
enum {
	HEADER_MAGIC,
	HEADER_SIZE,
	HEADER_NODES,
	HEADER_STRINGS,
	HEADER_RESERVED,
	HEADER_VERSION,
	HEADER_COMPATIBLE,
	HEADER_BOOT_CPU,
	HEADER_STRINGS_SIZE,
	HEADER_NODES_SIZE,
};

static u32 header_word(const u8 *blob, u32 word)
{
	return dt_be32(blob + 4 * word);
}

/* The list of reserved memory (5.3) ends with a pair of zeros. Its size, 0 if there is no end. */
static u32 reserved_size(const u8 *blob, u32 total)
{
	u64 start = header_word(blob, HEADER_RESERVED);

	for (u64 at = start; at + 16 <= total && at % 8 == 0; at += 16)
		if (!dt_cells(blob + at, 2) && !dt_cells(blob + at + 8, 2))
			return (u32)(at + 16 - start);
	return 0;
}

static bool is_inside(u32 offset, u32 size, u32 total)
{
	return offset <= total && size <= total - offset;
}

int dt_open(struct dt *t, const void *blob)
{
	const u8 *p = blob;
	u32 total = header_word(p, HEADER_SIZE);

	*t = (struct dt){
		.blob = p,
		.nodes = p + header_word(p, HEADER_NODES),
		.strings = (const char *)p + header_word(p, HEADER_STRINGS),
		.nodes_size = header_word(p, HEADER_NODES_SIZE),
		.strings_size = header_word(p, HEADER_STRINGS_SIZE),
	};
	if (header_word(p, HEADER_MAGIC) != DT_MAGIC || header_word(p, HEADER_VERSION) < 17 ||
	    header_word(p, HEADER_COMPATIBLE) > 17 ||
	    !is_inside(header_word(p, HEADER_NODES), t->nodes_size, total) ||
	    !is_inside(header_word(p, HEADER_STRINGS), t->strings_size, total))
		return -EINVAL;
	t->reserved_size = reserved_size(p, total);
	return t->reserved_size ? 0 : -EINVAL;
}

static bool is_usable(const struct dt *t, u32 node)
{
	struct dt_prop status;

	return !dt_prop(t, node, "status", &status) || dt_prop_has(t, node, "status", "okay") ||
	       dt_prop_has(t, node, "status", "ok");
}

int dt_cpus(const struct dt *t, u64 *hwid, u32 max)
{
	struct dt_walk w = DT_WALK(t);
	u32 count = 0;
	u64 id;

	while (dt_walk_next(&w)) {
		if (!dt_is_cpu(&w, &id) || !is_usable(t, w.node[w.depth]))
			continue;
		if (count == max)
			return -E2BIG;
		hwid[count++] = id;
	}
	return (int)count;
}

/* The range with index i in the node's `reg`. False if there is none. */
static bool reg_range(const struct dt_walk *w, u32 i, struct boot_range *r)
{
	u32 parent = w->node[w->depth - 1];
	u32 address = dt_prop_cell(w->t, parent, "#address-cells", 2);
	u32 size = dt_prop_cell(w->t, parent, "#size-cells", 1), entry = 4 * (address + size);
	struct dt_prop reg;

	if (address > 2 || size > 2 || !dt_prop(w->t, w->node[w->depth], "reg", &reg) ||
	    (i + 1) * entry > reg.size)
		return false;
	r->base = dt_cells(reg.value + i * entry, address);
	r->size = dt_cells(reg.value + i * entry + 4 * address, size);
	return true;
}

pa_t dt_ecam(const struct dt *t, u32 *end_bus)
{
	struct dt_walk w = DT_WALK(t);
	struct boot_range r;
	struct dt_prop bus;

	while (dt_walk_next(&w)) {
		u32 node = w.node[w.depth];

		if (!dt_prop_has(t, node, "compatible", "pci-host-ecam-generic") ||
		    dt_prop_cell(t, node, "linux,pci-domain", 0) || !is_usable(t, node) ||
		    !reg_range(&w, 0, &r))
			continue;
		bool ranged = dt_prop(t, node, "bus-range", &bus) && bus.size == 8;
		if (r.size < 1 << 20 || (ranged && dt_be32(bus.value)))
			continue;
		*end_bus = (u32)MIN(r.size >> 20, 256ull) - 1;
		if (ranged)
			*end_bus = MIN(*end_bus, dt_be32(bus.value + 4));
		return PA(r.base);
	}
	*end_bus = 0;
	return PA(0);
}

bool dt_redistributors(const struct dt *t, struct boot_ranges *ranges)
{
	struct dt_walk w = DT_WALK(t);
	struct boot_range r;
	bool fits = true;

	while (dt_walk_next(&w)) {
		u32 node = w.node[w.depth];
		u32 regions = dt_prop_cell(t, node, "#redistributor-regions", 1);

		if (!dt_prop_has(t, node, "compatible", "arm,gic-v3"))
			continue;
		/* the distributor is first */
		for (u32 i = 1; i <= regions && reg_range(&w, i, &r); i++)
			fits &= ranges_add(ranges, r.base, r.size);
	}
	return fits;
}

pa_t dt_distributor(const struct dt *t)
{
	struct dt_walk w = DT_WALK(t);
	struct boot_range r;

	while (dt_walk_next(&w))
		if (dt_prop_has(t, w.node[w.depth], "compatible", "arm,gic-v3") &&
		    reg_range(&w, 0, &r))
			return PA(r.base);
	return PA(0);
}

void dt_irqs(const struct dt *t, struct boot_irqs *irqs)
{
	for (u32 at = 0; at + 4 <= t->nodes_size; at += 4) {
		u32 spi = dt_be32(t->nodes + at);

		if (spi < BOOT_IRQS)
			irqs_add(irqs, spi + FIRST_SPI);
	}
}

enum boot_psci dt_psci(const struct dt *t)
{
	struct dt_walk w = DT_WALK(t);

	while (dt_walk_next(&w)) {
		u32 node = w.node[w.depth];

		if (!dt_prop_has(t, node, "compatible", "arm,psci-0.2") &&
		    !dt_prop_has(t, node, "compatible", "arm,psci-1.0"))
			continue;
		return dt_prop_has(t, node, "method", "smc")   ? BOOT_PSCI_SMC
		       : dt_prop_has(t, node, "method", "hvc") ? BOOT_PSCI_HVC
							       : BOOT_PSCI_NONE;
	}
	return BOOT_PSCI_NONE;
}
