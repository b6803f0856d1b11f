/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a call of a patched function costs on x86-64, counted by instruction: a direct jump more
 * than before, and what the compiler puts at the beginning of each function, here of the new one.
 */
#include "redirect_rig.h"

#define CALLER	 0x10
#define FUNCTION 0x100
#define AFTER	 (CALLER + 5) /* where the call returns to */

/* lea 7(%rdi), %eax; ret */
static const u8 body[] = {0x8d, 0x47, 0x07, 0xc3};
#define BODY_INSNS 2

static u64 base, to;
static u32 nr_blocks;

static void count_block(uc_engine *uc, uint64_t address, uint32_t size, void *arg)
{
	(void)uc, (void)address, (void)size, (void)arg;
	nr_blocks++;
}

static void put_function(u8 *at, bool endbr, const struct site *site)
{
	u32 entry = build_entry(endbr, site, at);

	memcpy(at + entry, body, sizeof(body));
}

static void put_call(void)
{
	s32 by = FUNCTION - AFTER;

	emulated.code[CALLER] = 0xe8;
	memcpy(emulated.code + CALLER + 1, &by, sizeof(by));
}

static void redirect(bool endbr, const struct site *site)
{
	struct redirect_request q = {.func = base + FUNCTION,
				     .size = 64,
				     .site = site_of(endbr, site),
				     .to = to,
				     .read = read_code,
				     .is_free = is_free};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o;

	assert_int_equal(arch_redirect_plan(&q, pieces, &o), 1);
	assert_int_equal(pieces[0].len, 5);
	assert_int_equal(pieces[0].bytes[0], 0xe9); /* JMP, direct */
	memcpy(emulated.code + (pieces[0].from - base), pieces[0].bytes, pieces[0].len);
}

/* Code that stood there before may have been translated. */
static void forget_code(u64 at, u64 size)
{
	for (u64 end = at + size; at < end; at++)
		uc_ctl_remove_cache(emulated.uc, at, at + 1);
}

/* The instructions from the call until it has returned. */
static u32 count_call(void)
{
	u64 stack = base + 0x100000, sp = stack + 2048, argument = 35, result = 0, ip = 0;

	assert_int_equal(uc_mem_map_ptr(emulated.uc, base, CODE_SIZE, UC_PROT_READ | UC_PROT_EXEC,
					emulated.code),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_map_ptr(emulated.uc, to, PAGE_SIZE, UC_PROT_READ | UC_PROT_EXEC,
					emulated.target),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_map(emulated.uc, stack, PAGE_SIZE, UC_PROT_READ | UC_PROT_WRITE),
			 UC_ERR_OK);
	forget_code(base, FUNCTION + 64);
	forget_code(to, 64);
	uc_reg_write(emulated.uc, UC_X86_REG_RSP, &sp);
	uc_reg_write(emulated.uc, UC_X86_REG_RDI, &argument);
	emulated.instructions = nr_blocks = 0;
	assert_int_equal(uc_emu_start(emulated.uc, base + CALLER, base + AFTER, 0, 100), UC_ERR_OK);
	uc_reg_read(emulated.uc, UC_X86_REG_RIP, &ip);
	uc_reg_read(emulated.uc, UC_X86_REG_RAX, &result);
	assert_int_equal(ip, base + AFTER);
	assert_int_equal(result, argument + 7);
	uc_mem_unmap(emulated.uc, base, CODE_SIZE);
	uc_mem_unmap(emulated.uc, to, PAGE_SIZE);
	uc_mem_unmap(emulated.uc, stack, PAGE_SIZE);
	return emulated.instructions;
}

static void one_direct_jump_more(void **state)
{
	uc_hook hook;

	(void)state;
	assert_int_equal(
		uc_hook_add(emulated.uc, &hook, UC_HOOK_BLOCK, (void *)count_block, NULL, 1, 0),
		UC_ERR_OK);
	base = emulated.base = 0xffffffff81000000;
	to = 0xffffffffc0100000;
	for (u32 i = 0; i < 2 * NR_SITES; i++) {
		const struct site *site = &sites[i / 2];
		bool endbr = i % 2;
		u32 entry = endbr + !!site->len, before, after, blocks;

		if (!site->executes)
			continue;
		memset(emulated.code, 0xf4, sizeof(emulated.code));
		put_call();
		put_function(emulated.code + FUNCTION, endbr, site);
		put_function(emulated.target, endbr, site);
		before = count_call();
		blocks = nr_blocks;
		redirect(endbr, site);
		after = count_call();
		print_message("x86-64, %s%s: a call executes %u instructions, patched %u: a jump "
			      "and %u of the new function's entry more; blocks of code %u, %u\n",
			      endbr ? "ENDBR64 and " : "", site->name, before, after, entry, blocks,
			      nr_blocks);
		assert_int_equal(nr_blocks, blocks + 1);
		assert_int_equal(before, 1 + entry + BODY_INSNS);
		assert_int_equal(after, before + 1 + entry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_direct_jump_more, machine_setup,
						machine_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
