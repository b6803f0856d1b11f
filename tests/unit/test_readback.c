/* SPDX-License-Identifier: BSD-2-Clause */
/* The proof that redirects are in force, through the guest's tables and stage 2. */
#include "leaf.h"
#include "switch_rig.h"
#include "arch/barrier.h"
#include "arch/time.h"
#include "patch/switch/readback.h"

static char why[256];

/* The page of va in the guest's tables, and one that holds the same. */
static u64 page_of_a, copy_of_a;

static void map_page(u64 va, u64 ipa)
{
	fake_map(syn.root, syn.levels, ALIGN_DOWN(va, PAGE_SIZE), IPA(ipa), PAGE_SIZE,
		 PT_READ | PT_EXEC, 0);
}

static u64 ipa_of(u64 va)
{
	return ALIGN_DOWN(arch_pa(syn_at(va)).v, PAGE_SIZE);
}

static u64 copy_page(u64 va)
{
	u64 copy = fake_guest_alloc(PAGE_SIZE).v;

	memcpy(arch_ptr(PA(copy)), arch_ptr(PA(ipa_of(va))), PAGE_SIZE);
	return copy;
}

static int setup_patched(void **state)
{
	int err = setup(state);

	page_of_a = ipa_of(A);
	copy_of_a = copy_page(A);
	add_func("a", A, A, NEW_A);
	add_func("c", C, C, NEW_2);
	assert_done();
	assert_int_equal(report.functions_verified, 2);
	why[0] = '\0';
	return err;
}

static int look(u64 key, u64 to)
{
	return readback_redirect(key, to, why, sizeof(why));
}

static void assert_in_force(void)
{
	assert_int_equal(look(A, NEW_A), 0);
	assert_int_equal(look(C, NEW_2), 0);
}

static void assert_lost(u64 key, u64 to, const char *text)
{
	assert_int_equal(look(key, to), -EILSEQ);
	if (!strstr(why, text))
		fail_msg("\"%s\" does not say \"%s\"", why, text);
}

static void a_remapped_page(void **state)
{
	(void)state;
	assert_in_force();
	map_page(A, copy_of_a);
	assert_lost(A, NEW_A, "the guest kernel maps 0xffffffff81001000 to another page since");
	assert_int_equal(look(C, NEW_2), 0);
	map_page(A, page_of_a);
	assert_in_force();
	/* a copy with the jump in it leads there too */
	memcpy(arch_ptr(PA(copy_of_a)), arch_ptr(PA(page_of_a)), PAGE_SIZE);
	fetch(A, (u8 *)arch_ptr(PA(copy_of_a)) + A % PAGE_SIZE, FAKE_REDIRECT_LEN);
	map_page(A, copy_of_a);
	assert_in_force();
}

/* Of the jump that crosses into it. */
static void a_remapped_second_page(void **state)
{
	u64 second = C + FAKE_REDIRECT_LEN - 1, page = ipa_of(second), copy = copy_page(second);

	(void)state;
	map_page(second, copy);
	assert_lost(C, NEW_2, "the guest kernel maps 0xffffffff81006000 to another page since");
	map_page(second, page);
	assert_in_force();
}

static void an_unmapped_page(void **state)
{
	(void)state;
	syn_unmap(ALIGN_DOWN(A, PAGE_SIZE));
	assert_lost(A, NEW_A, "the guest kernel does not map 0xffffffff81001000 to memory");
	/* nor is what is no RAM of the guest's: the monitor's memory */
	map_page(A, FAKE_POOL_BASE);
	assert_lost(A, NEW_A, "the guest kernel does not map");
	map_page(A, page_of_a);
	assert_in_force();
}

static void a_lost_shadow_page(void **state)
{
	struct pt_walk w;

	(void)state;
	assert_int_equal(pgtable_lookup(&stage2, IPA(page_of_a), &w), 0);
	set_leaf(&stage2, IPA(page_of_a), PA(page_of_a), PT_READ | PT_WRITE | PT_EXEC);
	assert_lost(A, NEW_A, "a CPU fetches 90 90 90 90 90 90 90 90 at 0xffffffff81001000");
	set_leaf(&stage2, IPA(page_of_a), PA(w.pa), PT_READ);
	assert_lost(A, NEW_A, "stage 2 does not let a CPU fetch");
	set_leaf(&stage2, IPA(page_of_a), PA(w.pa), w.attrs);
	assert_in_force();
}

static void changed_bytes(void **state)
{
	struct pt_walk w;
	u8 *code;

	(void)state;
	assert_int_equal(pgtable_lookup(&stage2, IPA(page_of_a), &w), 0);
	code = (u8 *)arch_ptr(PA(w.pa)) + A % PAGE_SIZE;
	code[FAKE_REDIRECT_LEN - 1] ^= 1;
	assert_lost(A, NEW_A, "a CPU fetches eb ");
	code[FAKE_REDIRECT_LEN - 1] ^= 1;
	code[FAKE_REDIRECT_LEN] ^= 1; /* behind it */
	assert_in_force();
}

static void guest_writes(u64 va, u8 byte)
{
	*(u8 *)syn_at(va) = byte;
	assert_true(shadow_write_through(IPA(arch_pa(syn_at(va)).v), 1));
}

/* A breakpoint of the guest's is based on the jump, and carries it out; code of its own is not. */
static void what_the_guest_writes_on_it(void **state)
{
	(void)state;
	guest_writes(A, FAKE_BREAKPOINT);
	assert_in_force();
	guest_writes(A, 0x55);
	assert_lost(A, NEW_A, "a CPU fetches 55 ");
	guest_writes(A, 0x90); /* what was there */
	assert_in_force();
}

/* So does an optimized one's jump; one that leads elsewhere is code of the guest's own. */
static void an_optimized_probe(void **state)
{
	u64 slots = SYN_MODULE + 0x20000, elsewhere = SYN_MODULE + 0x30000, node = syn_alloc(64);

	(void)state;
	syn_set(node + SLOT_PAGE_INSNS, slots);
	syn_list_add_tail(node, guest_kernel.layout.optprobe_slots);
	*(u8 *)syn_at(A) = FAKE_JUMP;
	memcpy((u8 *)syn_at(A) + 1, &elsewhere, sizeof(elsewhere));
	assert_true(shadow_write_through(IPA(arch_pa(syn_at(A)).v), FAKE_REDIRECT_LEN));
	assert_lost(A, NEW_A, "a CPU fetches eb 00 00 03 ");
	memcpy((u8 *)syn_at(A) + 1, &slots, sizeof(slots));
	assert_true(shadow_write_through(IPA(arch_pa(syn_at(A)).v), FAKE_REDIRECT_LEN));
	assert_in_force();
}

/* The word of a hook, and the site that leads to it. */
static void a_hook_and_its_site(void **state)
{
	const u64 word = SYN_TEXT + 0x7000;
	struct pt_walk w;

	(void)state;
	syn_set(word, 0);
	guest_writes(B, FAKE_SITE);
	set.count = 0;
	add_func("b", B, B, NEW_B);
	funcs[0].old_size = FAKE_SITE_LEN + 1; /* no room for a jump */
	funcs[0].ftrace_site = 0;
	funcs[0].hook = word;
	assert_done();
	assert_int_equal(report.functions_verified, 3);
	assert_int_equal(look(B, NEW_B), 0);

	assert_int_equal(pgtable_lookup(&stage2, IPA(ipa_of(word)), &w), 0);
	set_leaf(&stage2, IPA(ipa_of(word)), PA(ipa_of(word)), PT_READ);
	assert_lost(B, NEW_B, "a CPU reads 00 00 00 00 00 00 00 00 at 0xffffffff81007000");
	set_leaf(&stage2, IPA(ipa_of(word)), PA(w.pa), w.attrs);
	assert_int_equal(look(B, NEW_B), 0);

	/* the copy was made before there was a tracer */
	map_page(B, copy_of_a);
	assert_lost(B, NEW_B,
		    "a CPU fetches 90 90 90 90 90 at 0xffffffff81001200, which does not "
		    "lead to ftrace");
	map_page(B, page_of_a);
	assert_int_equal(look(B, NEW_B), 0);
}

static void dropped_or_elsewhere(void **state)
{
	(void)state;
	assert_lost(A, NEW_2, "its redirect leads to");
	assert_int_equal(shadow_drop_range(A, A + 1, NULL, NULL), 1);
	assert_lost(A, NEW_A, "its redirect was taken off");
	assert_int_equal(look(C, NEW_2), 0);
}

/* Without a kernel, or during a pause of another CPU, the read-back has no result. */
static void nobody_can_tell(void **state)
{
	struct pause p;

	(void)state;
	assert_int_equal(pause_begin(&p, BUDGET_US), 0);
	assert_int_equal(look(A, NEW_A), -EAGAIN);
	pause_end(&p);
	assert_in_force();
	guest_kernel.registered = false;
	assert_int_equal(look(A, NEW_A), -EAGAIN);
	guest_kernel.registered = true;
	assert_in_force();
}

/* A guest CPU writes to the page: for that time the guest's own page is there. */
static u32 writes;

static void write_to_page(struct cpu *c)
{
	struct pause p;
	struct pt_walk w;

	if (c->id != 1 || pause_begin(&p, BUDGET_US))
		return;
	if (!pgtable_lookup(&stage2, IPA(page_of_a), &w)) {
		set_leaf(&stage2, IPA(page_of_a), PA(page_of_a), PT_READ | PT_EXEC);
		for (u64 until = arch_time_us() + 20; arch_time_us() < until;)
			arch_relax();
		set_leaf(&stage2, IPA(page_of_a), PA(w.pa), w.attrs);
	}
	pause_end(&p);
	__atomic_fetch_add(&writes, 1, __ATOMIC_RELAXED);
	for (u64 until = arch_time_us() + 50; arch_time_us() < until;)
		arch_relax();
}

static void writes_of_the_guest_are_no_difference(void **state)
{
	u32 told = 0, looks = 0;

	(void)state;
	fake_guest_stop();
	fake_guest_start(write_to_page);
	for (writes = 0; __atomic_load_n(&writes, __ATOMIC_RELAXED) < 3000; looks++) {
		int err = look(A, NEW_A);

		if (err && err != -EAGAIN)
			fail_msg("%s", why);
		told += !err;
	}
	printf("%u looks during 3000 writes, %u told\n", looks, told);
	assert_true(told > 0);
}

/*
 * The same at a certain moment: a CPU makes its write when the look's first walk of stage 2 begins,
 * and the page is there again when the next walk begins.
 */
static struct {
	bool (*in_range)(u64 addr);
	u32 walks;
	struct pt_walk leaf;
} disturbed;

static void write_from_walk(u64 pa, u32 attrs)
{
	struct pause p;

	assert_int_equal(pause_begin(&p, BUDGET_US), 0);
	set_leaf(&stage2, IPA(page_of_a), PA(pa), attrs);
	pause_end(&p);
}

static bool in_range_disturbed(u64 addr)
{
	fake_stage2_format()->in_range = disturbed.in_range;
	if (disturbed.walks++)
		write_from_walk(disturbed.leaf.pa, disturbed.leaf.attrs);
	else
		write_from_walk(page_of_a, PT_READ | PT_EXEC);
	if (disturbed.walks == 1)
		fake_stage2_format()->in_range = in_range_disturbed;
	return disturbed.in_range(addr);
}

static void a_write_during_a_look(void **state)
{
	(void)state;
	fake_guest_stop();
	fake_time_set(1000, 1);
	assert_int_equal(pgtable_lookup(&stage2, IPA(page_of_a), &disturbed.leaf), 0);
	disturbed.walks = 0;
	disturbed.in_range = fake_stage2_format()->in_range;
	fake_stage2_format()->in_range = in_range_disturbed;
	assert_int_equal(look(A, NEW_A), 0);
	assert_int_equal(disturbed.walks, 2);
	assert_in_force();
}

/* Stage 2 does not let CPUs execute the page: the switch changes that as little as anything else.
 */
static void what_is_wrong_after_the_switch_is_told(void **state)
{
	ipa_t page = IPA(ipa_of(A));

	(void)state;
	assert_int_equal(pgtable_split(&stage2, page, NULL), 0);
	assert_int_equal(set_leaf(&stage2, page, PA(page.v), PT_READ | PT_WRITE), 0);
	add_func("a", A, A, NEW_A);
	add_func("c", C, C, NEW_2);
	assert_int_equal(attempt(), 0);
	assert_int_equal(report.functions_redirected, 2);
	assert_int_equal(report.functions_verified, 1);
	assert_string_equal(report.mismatch,
			    "a: stage 2 does not let a CPU fetch at 0xffffffff81001000");
	assert_string_equal(report.reason, "");

	/* it is told of one switch, and counted in all */
	set.count = 0;
	add_func("c", C, NEW_2, 0);
	assert_int_equal(attempt(), 0);
	assert_int_equal(report.functions_verified, 2);
	assert_string_equal(report.mismatch, "");
	set.count = 0;
	add_func("a", A, NEW_A, 0);
	assert_int_equal(attempt(), 0);
	assert_int_equal(report.functions_verified, 2);
	assert_string_equal(report.mismatch,
			    "a: stage 2 does not let a CPU fetch at 0xffffffff81001000");
}

/* The look at many is bounded: what the service CPU spends on it in a second. */
static void a_look_at_512_functions(void **state)
{
	u64 start, took;

	(void)state;
	for (u32 i = 0; i < 512; i++)
		add_func("many", SYN_TEXT + 32ull * i, SYN_TEXT + 32ull * i, NEW_B);
	for (u32 i = 0; i < set.count; i++)
		funcs[i].active_size = funcs[i].old_size = 32;
	assert_done();
	assert_int_equal(report.functions_verified, 512);
	start = arch_time_us();
	for (u32 i = 0; i < 512; i++)
		assert_int_equal(look(SYN_TEXT + 32ull * i, NEW_B), 0);
	took = arch_time_us() - start;
	printf("512 functions read back in %llu us (with sanitizers)\n", (unsigned long long)took);
}

#define PATCHED(f) cmocka_unit_test_setup_teardown(f, setup_patched, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATCHED(a_remapped_page),
		PATCHED(a_remapped_second_page),
		PATCHED(an_unmapped_page),
		PATCHED(a_lost_shadow_page),
		PATCHED(changed_bytes),
		PATCHED(what_the_guest_writes_on_it),
		PATCHED(an_optimized_probe),
		PATCHED(a_hook_and_its_site),
		PATCHED(dropped_or_elsewhere),
		PATCHED(nobody_can_tell),
		PATCHED(writes_of_the_guest_are_no_difference),
		PATCHED(a_write_during_a_look),
		TEST(what_is_wrong_after_the_switch_is_told),
		TEST(a_look_at_512_functions),
	};

	return cmocka_run_group_tests_name("readback", tests, NULL, NULL);
}
