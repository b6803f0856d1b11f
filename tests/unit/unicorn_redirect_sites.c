/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The redirects of x86-64 in functions that have static keys, static calls and probes near their
 * entries: executed with every key both ways, or refused.
 */
#include "redirect_rig.h"

#define BASE   0xffffffff81234000ull /* of emulated.code */
#define FUNC   0x40
#define COLD   0x1800 /* of a split-off part, on the second page */
#define TARGET 0xffffffffc0123450ull
#define STACK  0xffffc90000100000ull

static const u8 nop2[] = {0x66, 0x90}, nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
static const u8 padding[] = {0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0};

/*
 * A function at FUNC: five bytes of ftrace site, and behind them what `code` says, in which
 * sites[] are (offsets from FUNC). Static keys are written as NOPs and as jumps in turn.
 */
static const struct shape_round {
	const char *name;
	u8 code[48];
	struct suture_decl_site sites[4];
	u32 padding; /* bytes of it in front of the function */
	u32 pieces;
} rounds[] = {
	{"key of 5 bytes first",
	 {0x0f, 0x1f, 0x44, 0, 0, 0x55, 0x48, 0x89, 0xe5, 0x53},
	 {{.kind = 1, .offset = 5, .len = 5, .target = 0x30, .room = 0x50}},
	 0,
	 2},
	{"key of 2 bytes first",
	 {0x66, 0x90, 0x55, 0x48, 0x89, 0xe5, 0x53, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = 0x30, .room = 0x50}},
	 0,
	 2},
	{"behind a prologue",
	 {0x55, 0x48, 0x89, 0xe5, 0x0f, 0x1f, 0x44, 0, 0, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 9, .len = 5, .target = 0x30, .room = 0x50}},
	 0,
	 3},
	{"2 bytes behind a prologue",
	 {0x41, 0x57, 0x41, 0x56, 0x66, 0x90, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 9, .len = 2, .target = 0x30, .room = 0x50}},
	 0,
	 3},
	{"target in a split-off part",
	 {0x55, 0x0f, 0x1f, 0x44, 0, 0, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 6, .len = 5, .target = COLD - FUNC, .room = 8}},
	 0,
	 3},
	{"target right behind the key",
	 {0x66, 0x90, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = 7, .room = 0x50}},
	 0,
	 1},
	{"target 3 bytes behind it",
	 {0x66, 0x90, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = 10, .room = 0x50}},
	 0,
	 2},
	{"target 5 bytes behind it",
	 {0x66, 0x90, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = 12, .room = 0x50}},
	 0,
	 2},
	{"two keys in a row",
	 {0x55, 0x66, 0x90, 0x0f, 0x1f, 0x44, 0, 0, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 6, .len = 2, .target = 0x30, .room = 0x50},
	  {.kind = 1, .offset = 8, .len = 5, .target = 0x38, .room = 0x48}},
	 0,
	 4},
	{"a key behind and at the target",
	 {0x66, 0x90, 0x53, 0x0f, 0x1f, 0x44, 0, 0, 0x53, 0x53, 0x53, 0x53, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = COLD - FUNC, .room = 0x40},
	  {.kind = 1, .offset = 8, .len = 5, .target = 0x30, .room = 0x50},
	  {.kind = 1, .offset = COLD - FUNC + 1, .len = 2, .target = 0x28, .room = 0x58}},
	 0,
	 6},
	{"static call behind 2 bytes",
	 {0x31, 0xff, 0xe8, 1, 2, 3, 4, 0x53},
	 {{.kind = 2, .offset = 7, .len = 5}},
	 11,
	 2},
	{"static call behind 4 bytes",
	 {0x55, 0x48, 0x89, 0xfb, 0xe8, 1, 2, 3, 4, 0x53},
	 {{.kind = 2, .offset = 9, .len = 5}},
	 5,
	 2},
	{"static call behind a key",
	 {0x66, 0x90, 0x55, 0x53, 0xe8, 1, 2, 3, 4, 0x53},
	 {{.kind = 1, .offset = 5, .len = 2, .target = 0x30, .room = 0x50},
	  {.kind = 2, .offset = 9, .len = 5}},
	 8,
	 3},
	{"padding of the function behind",
	 {0x31, 0xff, 0xe8, 1, 2, 3, 4, 0x53},
	 {{.kind = 2, .offset = 7, .len = 5}, {.kind = 4, .offset = 0x60, .len = 1}},
	 99,
	 2},
	{"padding of the function in front",
	 {0x31, 0xff, 0xe8, 1, 2, 3, 4, 0x53},
	 {{.kind = 2, .offset = 7, .len = 5}, {.kind = 4, .offset = -0x20, .len = 1}},
	 98,
	 2},
	{"end of the function", {0x31, 0xc0, 0xc3}, {{.kind = 1, .offset = 0x70, .len = 2}}, 6, 2},
};

static void write_key(const struct suture_decl_site *s, bool jump)
{
	u8 *at = emulated.code + FUNC + s->offset;
	s32 displacement = s->target - s->offset - s->len;
	bool fits = displacement == (int8_t)displacement;

	if (!jump || (s->len == 2 && !fits)) {
		memcpy(at, s->len == 2 ? nop2 : nop5, s->len);
	} else if (s->len == 2) {
		at[0] = 0xeb;
		at[1] = (u8)displacement;
	} else {
		at[0] = 0xe9;
		memcpy(at + 1, &displacement, 4);
	}
}

/* The pieces stand, the sites are as they were, and nothing else has changed. */
static void lay_round(const struct shape_round *s, const struct redirect *pieces, u32 n)
{
	u8 before[CODE_SIZE], owned[CODE_SIZE] = {0};

	memcpy(before, emulated.code, CODE_SIZE);
	for (u32 i = 0; i < n; i++) {
		u64 at = pieces[i].from - BASE;

		assert_memory_equal(emulated.code + at, pieces[i].old, pieces[i].len);
		for (u32 k = 0; k < pieces[i].len; k++)
			assert_int_equal(owned[at + k]++, 0);
		memcpy(emulated.code + at, pieces[i].bytes, pieces[i].len);
	}
	for (u32 i = 0; i < 4 && s->sites[i].len; i++)
		assert_memory_equal(emulated.code + FUNC + s->sites[i].offset,
				    before + FUNC + s->sites[i].offset, s->sites[i].len);
}

static u32 nr_sites(const struct shape_round *s)
{
	u32 n = 0;

	while (n < ARRAY_SIZE(s->sites) && s->sites[n].len)
		n++;
	return n;
}

static int plan_round(const struct shape_round *s, u64 size, struct redirect *pieces,
		      struct redirect_obstacle *o)
{
	struct redirect_request q = {.func = BASE + FUNC,
				     .size = size,
				     .site = 0,
				     .to = TARGET,
				     .sites = s->sites,
				     .nr_sites = nr_sites(s),
				     .read = read_code,
				     .is_free = is_free};

	emulated.base = BASE;
	return arch_redirect_plan(&q, pieces, o);
}

static void build_round(const struct shape_round *s)
{
	memset(emulated.code, 0x53, CODE_SIZE); /* push %rbx: seen by the stack */
	memcpy(emulated.code + FUNC, nop5, 5);
	memcpy(emulated.code + FUNC + 5, s->code, sizeof(s->code));
	for (u32 i = 0; i < sizeof(s->code); i++)
		if (!s->code[i] && i > 16)
			emulated.code[FUNC + 5 + i] = 0x53;
	if (s->padding == 99)
		memcpy(emulated.code + FUNC + 0x60 - 11, padding, 11);
	else if (s->padding == 98)
		memcpy(emulated.code + FUNC - 0x20 - 11, padding, 11);
	else if (s->padding)
		memcpy(emulated.code + FUNC - s->padding, padding + 11 - s->padding, s->padding);
	if (s->padding == 5)
		memcpy(emulated.code + FUNC - 5, nop5, 5);
	if (s->padding == 6)
		memcpy(emulated.code + FUNC - 6, "\xcc\xcc\x66\x90\x90\x90", 6);
	if (s->padding == 8)
		memcpy(emulated.code + FUNC - 8, "\x0f\x1f\x84\0\0\0\0\0", 8);
}

/* From the function's entry to the new one, with every key both ways. */
static void execute_round(const struct shape_round *s, u32 keys)
{
	struct registers before, after;
	u64 rip = 0;

	for (u32 i = 0; i < nr_sites(s); i++)
		if (s->sites[i].kind == SUTURE_SITE_KEY && s->sites[i].offset != 0x70)
			write_key(&s->sites[i], keys >> i & 1);
	random_registers(&before, STACK + 2048);
	emulated.writes = 0;
	assert_int_equal(uc_emu_start(emulated.uc, BASE + FUNC, TARGET, 0, 40), UC_ERR_OK);
	read_registers(&after);
	assert_int_equal(uc_reg_read(emulated.uc, UC_X86_REG_RIP, &rip), UC_ERR_OK);
	if (rip != TARGET)
		fail_msg("%s, keys %u: at %#llx", s->name, keys, (unsigned long long)rip);
	assert_memory_equal(&after, &before, sizeof(before));
	assert_int_equal(emulated.writes, 0);
}

/* In front of the function it is free for others only; then that of another function serves. */
static void padding_that_is_taken(void)
{
	static const struct shape_round s = {
		"",
		{0x31, 0xff, 0xe8, 1, 2, 3, 4, 0x53},
		{{.kind = 2, .offset = 7, .len = 5}, {.kind = 4, .offset = 0x60, .len = 1}},
		11,
		0};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o = {0};

	build_round(&s);
	memcpy(emulated.code + FUNC + 0x60 - 11, padding, 11);
	assert_int_equal(plan_round(&s, 0x80, pieces, &o), 2);
	assert_int_equal(pieces[0].from, BASE + FUNC - 11);
	taken = BASE + FUNC - 1;
	assert_int_equal(plan_round(&s, 0x80, pieces, &o), 2);
	assert_int_equal(pieces[0].from, BASE + FUNC + 0x60 - 11);
	taken = 0;
}

/* What has no ftrace site may be assembly: where its symbol ends says nothing, nor what is before.
 */
static void no_short_jump_in_assembly(void)
{
	struct redirect_request q = {.func = BASE + FUNC,
				     .size = 3,
				     .site = SUTURE_NONE,
				     .to = TARGET,
				     .read = read_code,
				     .is_free = is_free};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o = {0};

	emulated.base = BASE;
	memset(emulated.code, 0xcc, FUNC);
	memset(emulated.code + FUNC, 0x53, 16);
	assert_int_equal(arch_redirect_plan(&q, pieces, &o), -ENOSPC);
}

static void round_the_sites(void **state)
{
	u32 runs = 0;

	(void)state;
	assert_int_equal(uc_mem_map_ptr(emulated.uc, BASE, CODE_SIZE, UC_PROT_READ | UC_PROT_EXEC,
					emulated.code),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_map_ptr(emulated.uc, TARGET & PAGE_MASK, PAGE_SIZE,
					UC_PROT_READ | UC_PROT_EXEC, emulated.target),
			 UC_ERR_OK);
	assert_int_equal(uc_mem_map(emulated.uc, STACK, PAGE_SIZE, UC_PROT_READ | UC_PROT_WRITE),
			 UC_ERR_OK);
	for (u32 i = 0; i < ARRAY_SIZE(rounds); i++) {
		const struct shape_round *s = &rounds[i];
		struct redirect pieces[REDIRECT_PIECES];
		struct redirect_obstacle o = {0};
		u64 size = s->sites[0].offset == 0x70 ? 8 : 0x80;
		int n;

		build_round(s);
		for (u32 k = 0; k < nr_sites(s); k++)
			if (s->sites[k].kind == SUTURE_SITE_KEY && s->sites[k].offset != 0x70)
				write_key(&s->sites[k], false);
		n = plan_round(s, size, pieces, &o);
		if (n != (int)s->pieces)
			fail_msg("%s: %d (%#llx, %u)", s->name, n, (unsigned long long)o.at,
				 o.kind);
		lay_round(s, pieces, (u32)n);
		for (u32 keys = 0; keys < 1u << nr_sites(s); keys++, runs++) {
			assert_int_equal(uc_ctl_remove_cache(emulated.uc, BASE, BASE + CODE_SIZE),
					 UC_ERR_OK);
			execute_round(s, keys);
		}
		print_message("  %-32s %d pieces\n", s->name, n);
	}
	padding_that_is_taken();
	no_short_jump_in_assembly();
	print_message("%u shapes, %u runs\n", (u32)ARRAY_SIZE(rounds), runs);
	assert_int_equal(uc_mem_unmap(emulated.uc, BASE, CODE_SIZE), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(emulated.uc, TARGET & PAGE_MASK, PAGE_SIZE), UC_ERR_OK);
	assert_int_equal(uc_mem_unmap(emulated.uc, STACK, PAGE_SIZE), UC_ERR_OK);
}

/* What cannot be gone round, and what the guest says that is not so. */
static void sites_that_stop_it(void **state)
{
	static const struct {
		struct shape_round s;
		int error;
		u32 kind;
		u32 at; /* from FUNC */
	} cases[] = {
		{{"call first", {0xe8, 1, 2, 3, 4}, {{.kind = 2, .offset = 5, .len = 5}}, 11, 0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_CALL,
		 5},
		{{"call behind one byte",
		  {0x55, 0xe8, 1, 2, 3, 4},
		  {{.kind = 2, .offset = 6, .len = 5}},
		  11,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_CALL,
		 6},
		{{"no padding",
		  {0x31, 0xff, 0xe8, 1, 2, 3, 4},
		  {{.kind = 2, .offset = 7, .len = 5}},
		  0,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_CALL,
		 7},
		{{"call too far from the padding",
		  {0x66, 0x90},
		  {{.kind = 1, .offset = 5, .len = 2, .target = COLD - FUNC, .room = 0x40},
		   {.kind = 2, .offset = COLD - FUNC + 2, .len = 5}},
		  11,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_CALL,
		 COLD - FUNC + 2},
		{{"the padding of a function out of reach",
		  {0x31, 0xff, 0xe8, 1, 2, 3, 4, 0x53},
		  {{.kind = 2, .offset = 7, .len = 5}, {.kind = 4, .offset = 0xa0, .len = 1}},
		  0,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_CALL,
		 7},
		{{"target not known", {0x66, 0x90}, {{.kind = 1, .offset = 5, .len = 2}}, 0, 0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_KEY,
		 5},
		{{"a loop around nothing but the key",
		  {0x55, 0x66, 0x90},
		  {{.kind = 1, .offset = 6, .len = 2, .target = 5, .room = 0x50}},
		  0,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_KEY,
		 5},
		{{"the same, 2 bytes before it",
		  {0x55, 0x66, 0x90},
		  {{.kind = 1, .offset = 6, .len = 2, .target = 3, .room = 0x50}},
		  0,
		  0},
		 -EOPNOTSUPP,
		 SUTURE_SITE_KEY,
		 5},
		{{"no key is there",
		  {0x55, 0x48, 0x89, 0xe5, 0x53},
		  {{.kind = 1, .offset = 6, .len = 2, .target = 0x30, .room = 0x50}},
		  0,
		  0},
		 -EILSEQ,
		 SUTURE_SITE_KEY,
		 6},
		{{"of another length",
		  {0x55, 0x66, 0x90},
		  {{.kind = 1, .offset = 6, .len = 3, .target = 0x30, .room = 0x50}},
		  0,
		  0},
		 -EILSEQ,
		 SUTURE_SITE_KEY,
		 6},
		{{"a target in the key",
		  {0x0f, 0x1f, 0x44, 0, 0},
		  {{.kind = 1, .offset = 5, .len = 5, .target = 7, .room = 0x50}},
		  0,
		  0},
		 -EILSEQ,
		 SUTURE_SITE_KEY,
		 5},
		{{"a part without room",
		  {0x66, 0x90},
		  {{.kind = 1, .offset = 5, .len = 2, .target = COLD - FUNC, .room = 4}},
		  0,
		  0},
		 -ENOSPC,
		 0,
		 COLD - FUNC + 4},
		{{"a probe that is not armed",
		  {0x55, 0x53, 0x53, 0x53, 0x53, 0x53},
		  {{.kind = 3, .offset = 7, .len = 1}},
		  0,
		  0},
		 -EBUSY,
		 SUTURE_SITE_PROBE,
		 7},
		{{"a probe at the target",
		  {0x66, 0x90},
		  {{.kind = 1, .offset = 5, .len = 2, .target = 0x30, .room = 0x50},
		   {.kind = 3, .offset = 0x34, .len = 1}},
		  0,
		  0},
		 -EBUSY,
		 SUTURE_SITE_PROBE,
		 0x34},
		{{"a part that cannot be read",
		  {0x66, 0x90},
		  {{.kind = 1, .offset = 5, .len = 2, .target = 0x10000, .room = 0x50}},
		  0,
		  0},
		 -EFAULT,
		 0,
		 0x10000},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct redirect pieces[REDIRECT_PIECES];
		struct redirect_obstacle o = {0};
		int n;

		build_round(&cases[i].s);
		n = plan_round(&cases[i].s, 0x80, pieces, &o);
		if (n != cases[i].error || o.kind != cases[i].kind ||
		    o.at != BASE + FUNC + cases[i].at)
			fail_msg("%s: %d at %#llx, %u", cases[i].s.name, n,
				 (unsigned long long)(o.at - BASE - FUNC), o.kind);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(round_the_sites, machine_setup, machine_teardown),
		cmocka_unit_test(sites_that_stop_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
