/* SPDX-License-Identifier: BSD-2-Clause */
/* DECLARE, whose content is untrusted: each refusal, which must leave nothing behind. */
#include "engine_declaration.h"

#define REFUSED(error, change)                                                                     \
	do {                                                                                       \
		change;                                                                            \
		assert_int_equal(engine_declare(rig.e, m), -(error));                              \
		assert_no_patch();                                                                 \
		fresh();                                                                           \
	} while (0)

static void test_good(void **state)
{
	struct patch_func_info f;

	(void)state;
	assert_int_equal(engine_declare(rig.e, m), 0);
	assert_phase(&rig, "fix", PHASE_ENABLING);
	assert_int_equal(engine_patch_func(rig.e, 0, 1, &f), 0);
	assert_string_equal(f.object, "ext4");
	assert_int_equal(f.old_addr, symbol(&rig, "ext4", "ext4_map_blocks"));
	assert_int_equal(engine_declare(rig.e, m), -EAGAIN);
}

static void test_sizes(void **state)
{
	(void)state;
	REFUSED(EMSGSIZE, m->msg.size = sizeof(struct suture_msg));
	REFUSED(EMSGSIZE, m->msg.size--);
	REFUSED(EMSGSIZE, m->msg.size++);
	REFUSED(EMSGSIZE, m->msg.size = SUTURE_LONG_MAX + 8);
	REFUSED(EMSGSIZE, m->nr_funcs++);
	REFUSED(EMSGSIZE, m->nr_objects--);
	REFUSED(EMSGSIZE, m->nr_states = 0);
	REFUSED(E2BIG, m->nr_objects = 0);
	REFUSED(E2BIG, m->nr_objects = SUTURE_MAX_OBJECTS + 1);
	REFUSED(E2BIG, m->nr_funcs = 0xffffffff);
	REFUSED(E2BIG, m->nr_funcs = SUTURE_MAX_FUNCS + 1);
	REFUSED(E2BIG, m->nr_states = 0x80000000);
	/* counts whose tables would wrap around to the right size in 32 bits */
	REFUSED(E2BIG, m->nr_funcs += 0x80000000u / sizeof(*funcs) * 2);
	REFUSED(EINVAL, m->flags = 2);
	REFUSED(EINVAL, m->error = -EBUSY);
	REFUSED(EINVAL, (m->flags = SUTURE_DECL_RESTORE, m->error = EBUSY));
	REFUSED(EINVAL, (m->flags = SUTURE_DECL_RESTORE, memset(m->why, 'a', sizeof(m->why))));
	REFUSED(EINVAL, m->name[0] = 0);
	REFUSED(EINVAL, memset(m->name, 'a', sizeof(m->name)));
}

/* A declaration at all limits at once is within the message's size. */
static void test_largest(void **state)
{
	size_t size = sizeof(*m) + SUTURE_MAX_OBJECTS * sizeof(*objects) +
		      SUTURE_MAX_FUNCS * sizeof(*funcs) + SUTURE_MAX_STATES * sizeof(*states) +
		      SUTURE_MAX_PARTS * sizeof(*parts);
	struct patch_info i;

	(void)state;
	assert_true(size <= SUTURE_LONG_MAX);
	free(m);
	m = calloc(1, size);
	*m = (struct suture_declare){
		.msg.size = (su32)size,
		.text_start = payload_text(2),
		.text_end = payload_text(2) + MODULE_TEXT,
		.nr_objects = SUTURE_MAX_OBJECTS,
		.nr_funcs = SUTURE_MAX_FUNCS,
		.nr_states = SUTURE_MAX_STATES,
		.nr_parts = SUTURE_MAX_PARTS,
	};
	strcpy(m->name, "large");
	objects = (void *)(m + 1);
	funcs = (void *)(objects + m->nr_objects);
	states = (void *)(funcs + m->nr_funcs);
	parts = (void *)(states + m->nr_states);
	strcpy(objects[0].name, "vmlinux");
	objects[0].loaded = 1;
	for (u32 n = 1; n < SUTURE_MAX_OBJECTS; n++)
		snprintf(objects[n].name, sizeof(objects[n].name), "module%u", n);
	for (u32 n = 0; n < SUTURE_MAX_FUNCS; n++) {
		snprintf(funcs[n].name, sizeof(funcs[n].name), "function%u", n);
		funcs[n].old_addr = VMLINUX + n * 0x100;
		funcs[n].new_addr = payload_text(2) + n * 0x10;
		funcs[n].old_size = funcs[n].new_size = 0x10;
		funcs[n].ftrace_site = SUTURE_NONE;
	}
	for (u32 n = 0; n < SUTURE_MAX_STATES; n++)
		states[n].id = n + 1;
	for (u32 n = 0; n < SUTURE_MAX_PARTS; n++)
		parts[n] = (struct suture_decl_part){
			.func = n / 2, .addr = VMLINUX + n * 0x80 + 0x40, .size = 0x10};
	assert_int_equal(engine_declare(rig.e, m), 0);
	i = info(&rig, "large");
	assert_int_equal(i.nr_funcs, SUTURE_MAX_FUNCS);
	assert_int_equal(i.phase, PHASE_ENABLING);
}

static void test_objects(void **state)
{
	(void)state;
	REFUSED(EINVAL, objects[0].name[0] = 0);
	REFUSED(EINVAL, memset(objects[1].name, 'a', SUTURE_NAME_LEN));
	REFUSED(EINVAL, objects[0].callbacks = 0x10);
	REFUSED(EINVAL, objects[0].loaded = 2);
	REFUSED(EINVAL, objects[0].loaded = 0);
	REFUSED(EINVAL, strcpy(objects[2].name, "ext4"));
	REFUSED(EFAULT, objects[1].text_start = VMLINUX);
	REFUSED(EFAULT, objects[1].text_end = objects[1].text_start);
	REFUSED(EFAULT, objects[1].text_end = ~0ull);
	REFUSED(EFAULT, objects[1].text_start += MODULE_TEXT / 2 + 0x4000;
		objects[1].text_end = objects[1].text_start + 0x10);
}

static void test_funcs(void **state)
{
	(void)state;
	REFUSED(EINVAL, funcs[0].name[0] = 0);
	REFUSED(EINVAL, memset(funcs[0].name, 'a', SUTURE_SYM_LEN));
	REFUSED(EINVAL, funcs[0].object = 3);
	REFUSED(EINVAL, funcs[0].object = 0xffffffff);
	REFUSED(ENOENT, funcs[0].old_addr = 0);
	REFUSED(EFAULT, funcs[0].old_addr = 0x1000);
	REFUSED(EFAULT, funcs[0].old_addr = MODULES);
	REFUSED(EFAULT, funcs[0].old_size = 0);
	REFUSED(EFAULT, funcs[0].old_size = ~0ull);
	REFUSED(EFAULT, funcs[0].old_addr = VMLINUX + VMLINUX_SIZE - 0x10);
	REFUSED(EFAULT, funcs[1].old_addr = symbol(&rig, "vmlinux", "cmdline_proc_show") + 0x20);
	REFUSED(EFAULT, funcs[1].old_addr = objects[1].text_end);
	REFUSED(EFAULT, funcs[1].old_size = MODULE_TEXT + 1);
	REFUSED(EINVAL, funcs[2].old_addr = MODULES);
	REFUSED(EINVAL, funcs[2].old_size = 4);
	REFUSED(EINVAL, funcs[2].missing = SUTURE_NOT_FOUND);
	REFUSED(EINVAL, funcs[0].missing = SUTURE_NOT_FOUND);
	REFUSED(EINVAL, funcs[0].missing = SUTURE_IN_INIT + 1; funcs[0].old_addr = 0;
		funcs[0].old_size = 0);
	REFUSED(EFAULT, funcs[0].new_addr = funcs[0].old_addr);
	REFUSED(EFAULT, funcs[0].new_addr = m->text_end);
	REFUSED(EFAULT, funcs[0].new_size = 0);
	REFUSED(EFAULT, funcs[0].new_size = MODULE_TEXT + 1);
	REFUSED(EFAULT, m->text_start = VMLINUX);
	REFUSED(EFAULT, m->text_end = m->text_start);
	REFUSED(EFAULT, m->text_end = 0);
	REFUSED(EFAULT, funcs[0].hook = VMLINUX);
	REFUSED(EFAULT, funcs[0].hook = m->text_start + 4);
	REFUSED(EFAULT, funcs[0].hook = ~7ull);
	/* twice: by name, and by address under another name */
	REFUSED(EINVAL, funcs[1] = funcs[0]);
	REFUSED(EINVAL, strcpy(funcs[1].name, "alias"); funcs[1].object = 0;
		funcs[1].old_addr = funcs[0].old_addr);
}

static const struct suture_decl_site key = {
	.kind = SUTURE_SITE_KEY, .offset = 5, .len = 2, .target = 0x40, .room = 0x40};

/* Sites must be in the function's object. */
static void test_sites(void **state)
{
	struct suture_decl_func *f;

	(void)state;
#define SITE(change)                                                                               \
	REFUSED(EFAULT, f = &funcs[1]; f->nr_sites = 1; f->sites[0] = key; f->sites[0].change)
	SITE(kind = 0);
	SITE(kind = SUTURE_SITE_ENTRY + 1);
	SITE(kind = SUTURE_SITE_CALL); /* calls have no target */
	SITE(len = 0);
	SITE(offset = 0x7fffffff);
	SITE(offset = -0x7fffffff);
	SITE(target = 0x7fffffff);
	SITE(target = -0x7fffffff);
	SITE(room = 0xffff);
#undef SITE
	REFUSED(E2BIG, funcs[1].nr_sites = SUTURE_MAX_SITES + 1);
	REFUSED(E2BIG, funcs[1].nr_sites = 0xffffffff);
	funcs[1].nr_sites = 2;
	funcs[1].sites[0] = funcs[1].sites[1] = key;
	funcs[1].sites[1].room = 0; /* a target that is not known is not looked at */
	funcs[1].sites[1].target = -0x7fffffff;
	assert_int_equal(engine_declare(rig.e, m), 0);
}

/* The longest reason comes to the operator whole. */
static void test_reason_is_whole(void **state)
{
	const char *end = ": patch its callers";
	struct patch_info i;

	(void)state;
	memset(funcs[0].name, 'a', SUTURE_SYM_LEN - 1);
	rig.validate_error = -EOPNOTSUPP;
	rig.reason_spaces = REASON_LEN - SUTURE_SYM_LEN - 13 - (u32)strlen(end);
	assert_int_equal(engine_declare(rig.e, m), -EOPNOTSUPP);
	i = info(&rig, "fix");
	assert_int_equal(strlen(i.why), REASON_LEN - 1);
	assert_string_equal(i.why + REASON_LEN - 1 - strlen(end), end);
}

/* Each reason has Linux's words for the guest and others for the operator. */
static void test_missing(void **state)
{
	static const struct {
		u32 missing;
		int error;
		const char *line, *why;
	} cases[] = {
		{SUTURE_NOT_FOUND, -EINVAL, "symbol 'ext4_map_blocks' not found in symbol table",
		 "there is no function 'ext4_map_blocks' in 'ext4'"},
		{SUTURE_AMBIGUOUS, -EINVAL,
		 "unresolvable ambiguity for symbol 'ext4_map_blocks' in object 'ext4'",
		 "function 'ext4_map_blocks' is ambiguous: 'ext4' has several"},
		{SUTURE_NO_POSITION, -EINVAL,
		 "symbol position 0 for symbol 'ext4_map_blocks' in object 'ext4' not found",
		 "there is no function 'ext4_map_blocks' at position 0 in 'ext4'"},
		{SUTURE_NO_SIZE, -ENOENT, "kallsyms size lookup failed for 'ext4_map_blocks'",
		 "kallsyms does not know the size of 'ext4_map_blocks' in 'ext4'"},
		{SUTURE_IN_INIT, -EINVAL, "symbol 'ext4_map_blocks' not found in symbol table",
		 "function 'ext4_map_blocks' is in the init memory of 'ext4', which is gone"},
	};
	struct suture_step_reply r;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		funcs[1].missing = cases[i].missing;
		funcs[1].old_addr = funcs[1].old_size = 0;
		m->nr_parts = 0;
		m->msg.size = (u32)((u8 *)parts - (u8 *)m);
		assert_int_equal(engine_declare(rig.e, m), 0);
		give_step(&rig, SUTURE_PUMP_INIT, "fix", "", 0, &r);
		assert_int_equal(r.kind, SUTURE_STEP_LOG);
		assert_string_equal(r.text, cases[i].line);
		give_step(&rig, SUTURE_PUMP_INIT, "fix", "", 0, &r);
		assert_int_equal(r.kind, SUTURE_STEP_DONE);
		assert_int_equal(r.result, cases[i].error);
		assert_text(info(&rig, "fix").why, cases[i].why);
		assert_no_patch();
		fresh();
	}
}

static void test_states(void **state)
{
	(void)state;
	REFUSED(EINVAL, states[0].id = 0);
	REFUSED(EINVAL, states[1].id = 3);
	REFUSED(EINVAL, states[0].is_shadow = 2);
	REFUSED(EINVAL, states[0].block_disable = 7);
	REFUSED(EINVAL, states[0].callbacks = 0x20);
}

static void test_redirectability(void **state)
{
	(void)state;
	rig.validate_error = -ENOSPC;
	assert_int_equal(engine_declare(rig.e, m), -ENOSPC);
	assert_phase(&rig, "fix", PHASE_FAILED);
	assert_text(info(&rig, "fix").why, "cmdline_proc_show is too short");
	rig.validate_error = 0;
	assert_int_equal(engine_declare(rig.e, m), 0);
}

/* One of each original function, and of each new one: vmlinux, ext4, absent. */
static void test_parts(void **state)
{
	(void)state;
	assert_int_equal(m->nr_parts, 5);
	REFUSED(EMSGSIZE, m->nr_parts--);
	REFUSED(E2BIG, m->nr_parts = SUTURE_MAX_PARTS + 1);
	REFUSED(EINVAL, parts[0].func = 3);
	REFUSED(EINVAL, parts[0].is_new = 2);
	REFUSED(EFAULT, parts[0].func = 2); /* its module is not loaded */
	REFUSED(EFAULT, parts[0].func = 1); /* in another object */
	REFUSED(EFAULT, parts[0].size = 0);
	REFUSED(EFAULT, parts[0].size = ~0ull);
	REFUSED(EFAULT, parts[0].addr = VMLINUX - 0x10);
	REFUSED(EFAULT, parts[1].addr = VMLINUX);
	REFUSED(EFAULT, parts[1].size = 0);
	REFUSED(EFAULT, parts[3].addr = objects[1].text_start - 8);
	REFUSED(EFAULT, parts[3].size = MODULE_TEXT);
	assert_int_equal(engine_declare(rig.e, m), 0);
}

/* ---- clones ---- */

static void test_clones(void **state)
{
	struct suture_decl_clone *clones;
	struct patch_clone_info c;

	(void)state;
	REFUSED(EMSGSIZE, add_clones(2); m->nr_clones--);
	REFUSED(E2BIG, m->nr_clones = SUTURE_MAX_CLONES + 1);
	REFUSED(EINVAL, add_clones(1)->func = 3);
	REFUSED(EINVAL, add_clones(1)->nr_callers = 0);
	REFUSED(EINVAL, add_clones(1)->name[0] = 0);
	REFUSED(EINVAL, clones = add_clones(1); memset(clones->name, 'a', sizeof(clones->name)));
	REFUSED(EINVAL, clones = add_clones(1);
		memset(clones->callers[7], 'a', sizeof(clones->callers[7])));
	clones = add_clones(2);
	clones[1].nr_callers = 2;
	clones[1].name[0] = '\n';
	m->more_clones = 5;
	assert_int_equal(engine_declare(rig.e, m), 0);
	assert_int_equal(info(&rig, "fix").nr_clones, 2);
	assert_int_equal(info(&rig, "fix").more_clones, 5);
	assert_int_equal(engine_patch_clone(rig.e, 0, 0, &c), 0);
	assert_string_equal(c.object, "ext4");
	assert_string_equal(c.func, "ext4_map_blocks");
	assert_string_equal(c.name, "ext4_map_blocks.part.0");
	assert_int_equal(c.nr_callers, 9);
	assert_int_equal(c.nr_named, SUTURE_MAX_CALLERS);
	assert_string_equal(c.callers[7], "caller7");
	assert_int_equal(engine_patch_clone(rig.e, 0, 1, &c), 0);
	assert_string_equal(c.name, "?xt4_map_blocks.part.1");
	assert_int_equal(c.nr_named, 2);
	assert_int_equal(engine_patch_clone(rig.e, 0, 2, &c), -ENOENT);
	assert_int_equal(engine_patch_clone(rig.e, 9, 0, &c), -ENOENT);
}

/* Any changed byte: the declaration is refused or accepted, without an access out of bounds. */
static void test_every_byte(void **state)
{
	u32 size = m->msg.size, at, bit;

	(void)state;
	for (at = 0; at < size; at++) {
		for (bit = 0; bit < 8; bit += 3) {
			((u8 *)m)[at] ^= (u8)(1u << bit);
			if (m->msg.size <= size && !engine_declare(rig.e, m)) {
				/* taken: under whatever name */
				assert_int_equal(engine_withdraw(rig.e, m->name), 0);
			}
			assert_no_patch();
			((u8 *)m)[at] ^= (u8)(1u << bit);
		}
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_good),
		T(test_sizes),
		T(test_largest),
		T(test_objects),
		T(test_funcs),
		T(test_sites),
		T(test_reason_is_whole),
		T(test_states),
		T(test_redirectability),
		T(test_every_byte),
		T(test_parts),
		T(test_missing),
		T(test_clones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
