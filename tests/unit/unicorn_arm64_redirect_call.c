/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a call of a patched function costs on arm64, counted by instruction: a direct branch more
 * than before, and what the compiler puts at the beginning of each function, here of the new one.
 */
#include "arm64_redirect_rig.h"

#define CALLER	 0x10
#define FUNCTION 0x100
#define AFTER	 (CALLER + 4) /* where the call returns to */

#define ADD_7 0x11001c00u /* ADD W0, W0, #7 */
#define RET   0xd65f03c0u
#define BL_TO (0x94000000u | (FUNCTION - CALLER) / 4)

#define BODY_INSNS 2

static u32 instructions;

static void count_instruction(uc_engine *uc, uint64_t address, uint32_t size, void *arg)
{
	(void)uc, (void)address, (void)size, (void)arg;
	instructions++;
}

/* As compiled: landing pad, ftrace's site, body. Returns the instructions of the entry. */
static u32 put_function(u8 *at, bool pad, bool site)
{
	u32 code[6], n = 0, entry;

	if (pad)
		code[n++] = BTI_C;
	if (site)
		code[n++] = NOP, code[n++] = NOP;
	entry = n;
	code[n++] = ADD_7;
	code[n++] = RET;
	memcpy(at, code, n * sizeof(*code));
	return entry;
}

static void redirect(u64 to, bool pad, bool site)
{
	struct redirect_request q = {.func = emulated.base + FUNCTION,
				     .size = 64,
				     .site = !site ? SUTURE_NONE
					     : pad ? 8
						   : 4,
				     .to = to,
				     .read = read_code,
				     .is_free = is_free};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o = {0};

	assert_int_equal(arch_redirect_plan(&q, pieces, &o), 1);
	assert_int_equal(pieces[0].len, 4);
	lay(pieces, 1);
	assert_int_equal(get_insn(pieces[0].from) >> 26, 5); /* B */
}

/* The instructions from the call until it has returned. */
static u32 count_call(u64 to)
{
	u64 base = emulated.base, stack = base + 0x100000, sp = stack + 2048, x0 = 35, pc = 0;

	map_code(base, to, stack);
	for (u64 at = to; at < to + 64; at += 4)
		uc_ctl_remove_cache(emulated.uc, at, at + 4);
	uc_reg_write(emulated.uc, UC_ARM64_REG_SP, &sp);
	uc_reg_write(emulated.uc, UC_ARM64_REG_X0, &x0);
	instructions = 0;
	assert_int_equal(uc_emu_start(emulated.uc, base + CALLER, base + AFTER, 0, 100), UC_ERR_OK);
	uc_reg_read(emulated.uc, UC_ARM64_REG_PC, &pc);
	uc_reg_read(emulated.uc, UC_ARM64_REG_X0, &x0);
	assert_int_equal(pc, base + AFTER);
	assert_int_equal(x0, 35 + 7);
	unmap_code(base, to, stack);
	return instructions;
}

static void one_direct_branch_more(void **state)
{
	const u64 to = 0xffff800008800000;
	uc_hook hook;

	(void)state;
	emulated.base = 0xffff800008010000;
	emulated.to_page = to;
	assert_int_equal(uc_hook_add(emulated.uc, &hook, UC_HOOK_CODE, (void *)count_instruction,
				     NULL, 1, 0),
			 UC_ERR_OK);
	for (u32 i = 0; i < 4; i++) {
		bool pad = i & 1, site = i & 2;
		u32 entry, before, after;

		for (u64 at = emulated.base; at < emulated.base + CODE_SIZE; at += 4)
			put_insn(at, BRK_BUG);
		put_insn(emulated.base + CALLER, BL_TO);
		put_function(emulated.code + FUNCTION, pad, site);
		entry = put_function(emulated.target, pad, site);
		before = count_call(to);
		redirect(to, pad, site);
		after = count_call(to);
		print_message(
			"arm64%s%s: a call executes %u instructions, patched %u: a branch and "
			"%u of the new function's entry more\n",
			pad ? ", BTI" : "", site ? ", ftrace's site" : "", before, after, entry);
		assert_int_equal(before, 1 + entry + BODY_INSNS);
		assert_int_equal(after, before + 1 + entry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_direct_branch_more, machine_setup,
						machine_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
