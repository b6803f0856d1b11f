/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that goes back to a checkpoint, and locks of an ended life. */
#include "fake.h"
#include "core/checkpoint.h"
#include "core/cpu.h"
#include "core/lock.h"
#include "core/pool.h"
#include "lib/errno.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static u64 variable;

static int setup(void **state)
{
	(void)state;
	fake_reset(1);
	checkpoint_forget();
	variable = 1;
	return 0;
}

static u64 used(void)
{
	struct pool_stats s;

	pool_stats(&s);
	return s.used_pages;
}

static void begin_anew(void)
{
	pool_restart();
	assert_int_equal(checkpoint_restore(), 0);
}

static void test_goes_back(void **state)
{
	u8 *p = checkpoint_alloc(2);

	(void)state;
	assert_int_equal(checkpoint_static(&variable, sizeof(variable)), 0);
	memset(p, 1, 2 * PAGE_SIZE);
	checkpoint_take();
	p[0] = p[2 * PAGE_SIZE - 1] = 2;
	variable = 2;
	begin_anew();
	assert_int_equal(p[0], 1);
	assert_int_equal(p[2 * PAGE_SIZE - 1], 1);
	assert_int_equal(variable, 1);
}

/* What was allocated since is free, what was freed since is there, and nothing is lost. */
static void test_blocks(void **state)
{
	u8 *stays = checkpoint_alloc(1), *freed = checkpoint_alloc(3), *fresh;
	u64 before;

	(void)state;
	freed[0] = 7;
	checkpoint_take();
	before = used();
	checkpoint_free(freed, 3);
	fresh = checkpoint_alloc(5);
	assert_non_null(fresh);
	assert_non_null(pool_alloc(11)); /* the network's, say */
	begin_anew();
	assert_int_equal(used(), before);
	assert_int_equal(freed[0], 7);
	checkpoint_free(freed, 3);
	checkpoint_take();
	assert_int_equal(used(), before - 6);
	checkpoint_free(stays, 1);
}

/* A block that is allocated and freed between two checkpoints is free at once. */
static void test_passing(void **state)
{
	u64 before;

	(void)state;
	checkpoint_take();
	checkpoint_free(checkpoint_alloc(1), 1);
	before = used();
	checkpoint_free(checkpoint_alloc(4), 4);
	assert_int_equal(used(), before);
}

static void test_adopted(void **state)
{
	u8 *p = pool_alloc(2);

	(void)state;
	assert_int_equal(checkpoint_adopt(p, 2), 0);
	checkpoint_take();
	begin_anew();
	assert_int_equal(pool_claim(p, 2), -EIO);
	checkpoint_free(p, 2);
	checkpoint_take();
	assert_int_equal(pool_claim(p, 2), 0);
}

/* Many blocks: the table of blocks grows. */
static void test_table(void **state)
{
	u8 *blocks[300];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(blocks); i++) {
		blocks[i] = checkpoint_alloc(1);
		blocks[i][0] = (u8)i;
	}
	checkpoint_take();
	for (u32 i = 0; i < ARRAY_SIZE(blocks); i++)
		blocks[i][0]++;
	begin_anew();
	for (u32 i = 0; i < ARRAY_SIZE(blocks); i++)
		assert_int_equal(blocks[i][0], (u8)i);
}

static void test_damaged(void **state)
{
	u64 *p = checkpoint_alloc(1), *twin = NULL;

	(void)state;
	p[0] = 0x1122334455667788;
	checkpoint_take();
	for (u64 *w = p + 1; !twin; w++)
		if (*w == p[0])
			twin = w;
	*twin += 1;
	pool_restart();
	assert_int_equal(checkpoint_restore(), -EIO);
}

static void test_lock(void **state)
{
	struct spinlock lock = {0};

	(void)state;
	cpus[1].state = CPU_GUEST;
	spin_lock(&lock);
	fake_become(&cpus[1]);
	assert_false(spin_trylock(&lock));
	cpus[0].life++;
	assert_true(spin_trylock(&lock));
	cpus[0].life++;
	fake_become(&cpus[0]);
	assert_false(spin_trylock(&lock)); /* the guest CPU's stays its own */
	spin_unlock(&lock);
	spin_lock(&lock);
	assert_false(spin_trylock(&lock));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_goes_back, setup),
		cmocka_unit_test_setup(test_blocks, setup),
		cmocka_unit_test_setup(test_passing, setup),
		cmocka_unit_test_setup(test_adopted, setup),
		cmocka_unit_test_setup(test_table, setup),
		cmocka_unit_test_setup(test_damaged, setup),
		cmocka_unit_test_setup(test_lock, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
