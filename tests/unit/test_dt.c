/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's device tree of `-machine virt,virtualization=on,gic-version=3,iommu=smmuv3,
 * dtb-randomness=off -cpu cortex-a72 -smp 4,sockets=1,clusters=2,cores=2,threads=1`, and what the
 * guest gets to see of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "boot/dt.h"
#include "lib/errno.h"
#include "lib/string.h"
#include <suture/abi.h>

__asm__(".pushsection .rodata\n"
	".balign 8\n"
	"virt_dtb: .incbin \"tests/unit/virt.dtb\"\n"
	"virt_dtb_end:\n"
	".popsection");
extern const u8 virt_dtb[], virt_dtb_end[];

#define MEMORY 0x1b8000000ull
#define BODY   0x1bfff0128ull

static size_t virt_size(void)
{
	return (size_t)(virt_dtb_end - virt_dtb);
}

static struct dt open_virt(void)
{
	struct dt t;

	assert_int_equal(dt_open(&t, virt_dtb), 0);
	return t;
}

/* What the guest sees; in memory of exactly its size, which the caller frees by its blob. */
static struct dt build(const struct dt *t, u64 service, const struct boot_ranges *claimed)
{
	struct dt_edit edit = {
		.service_hwid = service, .memory = {MEMORY, 64 << 20}, .body = PA(BODY)};
	size_t room = dt_build_size(t);
	u8 *buf = malloc(room), *blob;
	struct dt seen;
	int size;

	if (claimed)
		edit.claimed = *claimed;
	size = dt_build(t, &edit, buf, room);
	assert_in_range(size, 1, room);
	blob = malloc((size_t)size);
	memcpy(blob, buf, (size_t)size);
	free(buf);
	assert_int_equal(dt_open(&seen, blob), 0);
	assert_int_equal(dt_be32(blob + 4), size);
	return seen;
}

/* The node with this path; it must be there, or must not. */
static u32 find(const struct dt *t, const char *path)
{
	struct dt_walk w = DT_WALK(t);
	char at[256] = "";
	size_t used[DT_DEPTH + 1] = {0};

	while (dt_walk_next(&w)) {
		size_t n = w.depth > 1 ? used[w.depth - 1] : 0;

		if (w.depth > 1) {
			at[n++] = '/';
			n += str_copy(at + n, w.name, sizeof(at) - n);
		}
		used[w.depth] = n;
		at[n] = 0;
		if (!strcmp(at, path))
			return w.node[w.depth];
	}
	return UINT32_MAX;
}

static u32 must_find(const struct dt *t, const char *path)
{
	u32 node = find(t, path);

	if (node == UINT32_MAX)
		fail_msg("no node %s", path);
	return node;
}

static void reads_the_machine(void **state)
{
	struct dt t = open_virt();
	struct boot_ranges r = {0};
	struct boot_irqs irqs = {0};
	u64 hwid[8];
	u32 end;

	(void)state;
	assert_int_equal(dt_cpus(&t, hwid, 8), 4);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(hwid[i], i);
	assert_int_equal(dt_cpus(&t, hwid, 3), -E2BIG);
	assert_int_equal(dt_ecam(&t, &end).v, 0x4010000000);
	assert_int_equal(end, 255);
	assert_int_equal(dt_psci(&t), BOOT_PSCI_SMC);
	assert_true(dt_redistributors(&t, &r));
	assert_int_equal(r.count, 1);
	assert_int_equal(r.range[0].base, 0x80a0000);
	assert_int_equal(r.range[0].size, 0xf60000);
	assert_int_equal(dt_distributor(&t).v, 0x8000000);
	dt_irqs(&t, &irqs);
	assert_true(irqs_has(&irqs, 33) && !irqs_has(&irqs, 286));
}

/* Each node and property of `a` that the skipped paths do not name is in `b` with the same value.
 */
static void check_kept(const struct dt *a, const struct dt *b, const char *const *skipped)
{
	struct dt_walk w = DT_WALK(a);
	char path[256] = "";
	size_t used[DT_DEPTH + 1] = {0};
	u32 nodes = 0;

	while (dt_walk_next(&w)) {
		size_t n = w.depth > 1 ? used[w.depth - 1] : 0;
		u32 at = w.node[w.depth], there;
		struct dt_prop x, y;
		const char *name;
		bool skip = false;

		if (w.depth > 1) {
			path[n++] = '/';
			n += str_copy(path + n, w.name, sizeof(path) - n);
		}
		used[w.depth] = n;
		path[n] = 0;
		for (const char *const *s = skipped; *s; s++)
			skip |= !strncmp(path, *s, strlen(*s));
		if (skip)
			continue;
		there = must_find(b, path);
		dt_next(a, &at, &name, &x);
		while (dt_next(a, &at, &name, &x) == DT_PROP) {
			if (!dt_prop(b, there, x.name, &y) || x.size != y.size)
				fail_msg("%s: %s differs", path, x.name);
			assert_memory_equal(x.value, y.value, x.size);
		}
		nodes++;
	}
	assert_true(nodes > 40);
}

static void hides_the_last_cpu(void **state)
{
	static const char *const changed[] = {"/cpus/cpu@3", "/cpus/cpu-map/socket0/cluster1/core1",
					      "/smmuv3", "/pcie", NULL};
	struct dt t = open_virt(), seen = build(&t, 3, NULL);
	u64 hwid[8];
	u32 end;

	(void)state;
	assert_int_equal(dt_cpus(&seen, hwid, 8), 3);
	assert_int_equal(hwid[2], 2);
	assert_int_equal(dt_ecam(&seen, &end).v, 0x4010000000);
	assert_int_equal(find(&seen, changed[0]), UINT32_MAX);
	assert_int_equal(find(&seen, changed[1]), UINT32_MAX);
	must_find(&seen, "/cpus/cpu-map/socket0/cluster1/core0");
	check_kept(&t, &seen, changed);
	must_find(&seen, "/psci");
	free((void *)seen.blob);
}

/* The phandle in cpu-map is that of the CPU with this node. */
static void check_core(const struct dt *t, const char *core, const char *cpu)
{
	u32 handle = dt_prop_cell(t, must_find(t, cpu), "phandle", 0);

	assert_int_not_equal(handle, 0);
	assert_int_equal(dt_prop_cell(t, must_find(t, core), "cpu", 1), handle);
}

/* Who names the CPU, as a PMU does for its interrupt, finds a node, and Linux no CPU in it. */
static void what_names_the_hidden_cpu(void **state)
{
	struct dt t = open_virt(), seen = build(&t, 3, NULL);
	u32 node = must_find(&seen, "/cpus/suture-cpu@3");
	struct dt_prop prop;

	(void)state;
	assert_int_not_equal(dt_prop_cell(&seen, node, "phandle", 0), 0);
	assert_int_equal(dt_prop_cell(&seen, node, "phandle", 0),
			 dt_prop_cell(&t, must_find(&t, "/cpus/cpu@3"), "phandle", 0));
	assert_false(dt_prop(&seen, node, "device_type", &prop));
	assert_true(dt_prop(&seen, must_find(&seen, "/cpus/cpu@2"), "device_type", &prop));
	free((void *)seen.blob);
}

/* What is left in cpu-map is numbered without a gap (bindings/cpu/cpu-topology.txt). */
static void hides_another_cpu(void **state)
{
	struct dt t = open_virt(), seen = build(&t, 0, NULL), again;
	u64 hwid[8];

	(void)state;
	assert_int_equal(dt_cpus(&seen, hwid, 8), 3);
	assert_int_equal(hwid[0], 1);
	check_core(&seen, "/cpus/cpu-map/socket0/cluster0/core0", "/cpus/cpu@1");
	check_core(&seen, "/cpus/cpu-map/socket0/cluster1/core1", "/cpus/cpu@3");
	assert_int_equal(find(&seen, "/cpus/cpu-map/socket0/cluster0/core1"), UINT32_MAX);

	/* a cluster without a CPU goes too */
	again = build(&seen, 1, NULL);
	check_core(&again, "/cpus/cpu-map/socket0/cluster0/core0", "/cpus/cpu@2");
	check_core(&again, "/cpus/cpu-map/socket0/cluster0/core1", "/cpus/cpu@3");
	assert_int_equal(find(&again, "/cpus/cpu-map/socket0/cluster1"), UINT32_MAX);
	free((void *)again.blob);
	free((void *)seen.blob);
}

static void names_the_monitor(void **state)
{
	struct dt t = open_virt(), seen = build(&t, 3, NULL), again;
	u32 node = must_find(&seen, "/reserved-memory/suture@1b8000000");
	struct dt_prop prop;

	(void)state;
	assert_true(dt_prop(&seen, node, "reg", &prop) && prop.size == 16);
	assert_int_equal(dt_cells(prop.value, 2), MEMORY);
	assert_int_equal(dt_cells(prop.value + 8, 2), 64 << 20);
	assert_true(dt_prop(&seen, node, "no-map", &prop) && !prop.size);
	node = must_find(&seen, "/reserved-memory");
	assert_true(dt_prop(&seen, node, "ranges", &prop) && !prop.size);
	assert_int_equal(dt_prop_cell(&seen, node, "#address-cells", 0), 2);
	assert_int_equal(dt_prop_cell(&seen, node, "#size-cells", 0), 2);
	node = must_find(&seen, "/firmware/suture");
	assert_true(dt_prop_has(&seen, node, "compatible", SUTURE_DT_COMPATIBLE));
	assert_true(dt_prop(&seen, node, "suture,body", &prop) && prop.size == 8);
	assert_int_equal(dt_cells(prop.value, 2), BODY);

	/* where the two nodes are there already, they get a child each */
	again = build(&seen, 2, NULL);
	node = must_find(&again, "/firmware");
	assert_int_equal(must_find(&again, "/firmware/suture") > node, 1);
	u32 count = 0;
	struct dt_walk w = DT_WALK(&again);
	while (dt_walk_next(&w))
		count += dt_named(w.name, "firmware") || dt_named(w.name, "reserved-memory");
	assert_int_equal(count, 2);
	free((void *)again.blob);
	free((void *)seen.blob);
}

static void disables_the_iommu(void **state)
{
	struct dt t = open_virt(), seen = build(&t, 3, NULL);
	u32 pcie = must_find(&t, "/pcie@10000000");
	struct dt_prop prop;

	(void)state;
	assert_true(dt_prop(&t, pcie, "iommu-map", &prop));
	assert_false(dt_prop(&seen, must_find(&seen, "/pcie@10000000"), "iommu-map", &prop));
	assert_true(dt_prop(&seen, must_find(&seen, "/pcie@10000000"), "msi-map", &prop));
	assert_true(dt_prop_has(&seen, must_find(&seen, "/smmuv3@9050000"), "status", "disabled"));
	free((void *)seen.blob);
}

/* Linux places all BARs anew: the bridge must not give it the monitor's. */
static void cuts_the_bridges_windows(void **state)
{
	const struct boot_ranges claimed = {.count = 2,
					    .range = {{0x10040000, 0x20000}, {0x10080000, 0x4000}}};
	struct dt t = open_virt(), seen = build(&t, 3, &claimed);
	struct dt_prop was, is;

	(void)state;
	assert_true(dt_prop(&t, must_find(&t, "/pcie@10000000"), "ranges", &was));
	assert_true(dt_prop(&seen, must_find(&seen, "/pcie@10000000"), "ranges", &is));
	assert_int_equal(was.size, is.size);
	/* the window of I/O ports, 32-bit memory, 64-bit memory: 7 cells each */
	assert_memory_equal(was.value, is.value, 28);
	assert_memory_equal(was.value + 56, is.value + 56, 28);
	assert_int_equal(dt_cells(was.value + 28 + 12, 2), 0x10000000);
	assert_int_equal(dt_cells(was.value + 28 + 20, 2), 0x2eff0000);
	assert_int_equal(dt_cells(is.value + 28 + 4, 2), 0x10084000);
	assert_int_equal(dt_cells(is.value + 28 + 12, 2), 0x10084000);
	assert_int_equal(dt_cells(is.value + 28 + 20, 2), 0x2eff0000 - 0x84000);
	free((void *)seen.blob);
}

static void leaves_the_firmwares_tree(void **state)
{
	u8 *before = malloc(virt_size());
	struct dt t = open_virt();

	(void)state;
	memcpy(before, virt_dtb, virt_size());
	free((void *)build(&t, 1, NULL).blob);
	assert_memory_equal(before, virt_dtb, virt_size());
	free(before);
}

/* Every length of the structure block, in memory that ends there. */
static void survives_a_cut_tree(void **state)
{
	struct dt whole = open_virt();
	struct dt_edit edit = {.service_hwid = 3, .memory = {MEMORY, 64 << 20}};
	u8 *nodes, *buf = malloc(dt_build_size(&whole));
	u64 hwid[8];

	(void)state;
	for (u32 size = 0; size < whole.nodes_size - 4; size += 4) {
		struct dt t = whole;

		nodes = malloc(MAX(size, 1u));
		memcpy(nodes, whole.nodes, size);
		t.nodes = nodes;
		t.nodes_size = size;
		assert_in_range(dt_cpus(&t, hwid, 8), 0, 4);
		assert_int_equal(dt_build(&t, &edit, buf, dt_build_size(&whole)), -EINVAL);
		free(nodes);
	}
	free(buf);
}

static void refuses_what_is_no_tree(void **state)
{
	static const struct {
		u32 at, value;
	} wrong[] = {
		{0, 0},		  {20, 3},	    {24, 18}, {8, 0x100000},
		{12, 0xfffffff0}, {16, 0xfffffff0}, {16, 7},
	};
	u8 *copy = malloc(virt_size());
	struct dt t;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		u32 v = __builtin_bswap32(wrong[i].value);

		memcpy(copy, virt_dtb, virt_size());
		memcpy(copy + wrong[i].at, &v, 4);
		assert_int_equal(dt_open(&t, copy), -EINVAL);
	}
	free(copy);
}

/* ---- ranges ---- */

static void check_cut(struct boot_ranges r, struct boot_range w, u64 base, u64 size, bool changed)
{
	assert_int_equal(ranges_cut(&r, &w), changed);
	assert_int_equal(w.base, base);
	assert_int_equal(w.size, size);
}

static void cuts_ranges(void **state)
{
	struct boot_ranges two = {.count = 2, .range = {{0x70, 0x10}, {0x20, 0x10}}};

	(void)state;
	check_cut(two, (struct boot_range){0x30, 0x40}, 0x30, 0x40, false);
	check_cut(two, (struct boot_range){0x10, 0x100}, 0x80, 0x90, true);
	check_cut(two, (struct boot_range){0x00, 0x74}, 0x30, 0x40, true);
	check_cut(two, (struct boot_range){0x20, 0x18}, 0x30, 0x08, true);
	check_cut(two, (struct boot_range){0x18, 0x18}, 0x18, 0x08, true);
	check_cut(two, (struct boot_range){0x24, 0x04}, 0x24, 0, true);
	struct boot_ranges full = {.count = ARRAY_SIZE(two.range)};
	assert_false(ranges_add(&full, 1, 1));
	assert_true(ranges_add(&full, 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_machine),
		cmocka_unit_test(hides_the_last_cpu),
		cmocka_unit_test(what_names_the_hidden_cpu),
		cmocka_unit_test(hides_another_cpu),
		cmocka_unit_test(names_the_monitor),
		cmocka_unit_test(disables_the_iommu),
		cmocka_unit_test(cuts_the_bridges_windows),
		cmocka_unit_test(leaves_the_firmwares_tree),
		cmocka_unit_test(survives_a_cut_tree),
		cmocka_unit_test(refuses_what_is_no_tree),
		cmocka_unit_test(cuts_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
