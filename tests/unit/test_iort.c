/* SPDX-License-Identifier: BSD-2-Clause */
/* Ways past an SMMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "boot/iort.h"
#include "lib/string.h"

struct mapping {
	u32 input, last, output, node, flags;
};

struct node {
	u8 type;
	u8 length[2];
	u8 revision;
	u32 id, mappings, first;
	struct mapping mapping[2];
} __attribute__((packed));

enum { ITS, SMMU, ROOT, NODES };
#define AT(n) (48u + (n) * (u32)sizeof(struct node))

static struct {
	struct acpi_header header;
	u32 nodes, first, reserved;
	struct node node[NODES];
} __attribute__((packed)) iort;

static void add(u32 i, u8 type, u32 mappings, struct mapping a, struct mapping b)
{
	iort.node[i] = (struct node){.type = type,
				     .length = {sizeof(struct node)},
				     .mappings = mappings,
				     .first = 16,
				     .mapping = {a, b}};
}

/* A root complex whose IDs go through one SMMU to the ITS, in two pieces there. */
static int build(void **state)
{
	const struct mapping none = {0};

	(void)state;
	memset(&iort, 0, sizeof(iort));
	memcpy(iort.header.signature, "IORT", 4);
	iort.header.length = sizeof(iort);
	iort.nodes = NODES;
	iort.first = AT(0);
	add(ITS, 0, 0, none, none);
	add(SMMU, 4, 2, (struct mapping){0x1000, 0xff, 0x20000, AT(ITS), 0},
	    (struct mapping){0x2000, 0xffff, 0x50000, AT(ITS), 0});
	add(ROOT, 2, 2, (struct mapping){0, 0xff, 0x1000, AT(SMMU), 0},
	    (struct mapping){0x100, 0xff, 0x2080, AT(SMMU), 0});
	return 0;
}

static void check(u32 i, u32 output, u32 node)
{
	struct mapping m;

	memcpy(&m, &iort.node[ROOT].mapping[i], sizeof(m));
	assert_int_equal(m.output, output);
	assert_int_equal(m.node, node);
	assert_int_equal(m.input, i * 0x100);
	assert_int_equal(m.last, 0xff);
}

static void leads_past_it(void **state)
{
	(void)state;
	assert_false(iort_is_stuck(&iort.header));
	check(0, 0x1000, AT(SMMU)); /* looked at only */
	iort_pass_smmus(&iort.header);
	check(0, 0x20000, AT(ITS));
	check(1, 0x50080, AT(ITS));
	assert_int_equal(iort.node[SMMU].type, 0xff);
	assert_int_equal(acpi_sum(&iort, sizeof(iort)), 0);
	/* and there is nothing more to do */
	iort_pass_smmus(&iort.header);
	check(1, 0x50080, AT(ITS));
}

static void knows_when_it_cannot(void **state)
{
	(void)state;
	iort.node[ROOT].mapping[0].last = 0x100; /* over the end of the SMMU's piece */
	assert_true(iort_is_stuck(&iort.header));
	build(NULL);
	iort.node[SMMU].mapping[0].flags = 1; /* of its own interrupts */
	assert_true(iort_is_stuck(&iort.header));
	build(NULL);
	iort.node[SMMU].mappings = 0; /* no way on, as without an ITS */
	assert_true(iort_is_stuck(&iort.header));
}

static void survives_nonsense(void **state)
{
	(void)state;
	iort.node[ROOT].mapping[0].node = 0xfffffff0;
	iort.node[ROOT].mapping[1].node = 8;
	assert_false(iort_is_stuck(&iort.header));
	iort.node[ROOT].mappings = 0xffffffff;
	iort.node[ROOT].first = 0xffffffff;
	assert_false(iort_is_stuck(&iort.header));
	iort.node[ITS].length[0] = 0;
	iort.nodes = 0xffffffff;
	assert_false(iort_is_stuck(&iort.header));
	for (iort.header.length = 36; iort.header.length < sizeof(iort); iort.header.length++)
		iort_is_stuck(&iort.header);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(leads_past_it, build),
		cmocka_unit_test_setup(knows_when_it_cannot, build),
		cmocka_unit_test_setup(survives_nonsense, build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
