/* SPDX-License-Identifier: BSD-2-Clause */
/* DECLARE of a patch that was uploaded: it must agree with the bundle's manifest. */
#include "engine_declaration.h"

static struct suture_work work;

static void start_load(void)
{
	work = (struct suture_work){0};
	assert_int_equal(upload(&rig, &def), 0);
	engine_work(rig.e, &work);
	assert_int_equal(work.kind, SUTURE_WORK_LOAD);
	/* parts are no part of a manifest */
	m->msg.size -= m->nr_parts * (u32)sizeof(*parts);
	m->nr_parts = 0;
}

/* With `strict` a clone that others call is a reason to refuse; without one there is none. */
static void test_strict(void **state)
{
	struct suture_loaded l = {.result = -ECANCELED};

	(void)state;
	start_load();
	engine_be_strict(rig.e, "fix");
	add_clones(1);
	assert_int_equal(engine_declare(rig.e, m), -ECANCELED);
	l.id = work.id;
	assert_int_equal(engine_loaded(rig.e, &l), 0);
	assert_phase(&rig, "fix", PHASE_FAILED);
	assert_text(info(&rig, "fix").why,
		    "ext4_map_blocks.part.0 is called by caller0 directly: patch that one as "
		    "well, or apply without --strict");
	fresh();

	start_load();
	engine_be_strict(rig.e, "fix");
	assert_int_equal(engine_declare(rig.e, m), 0);
	assert_phase(&rig, "fix", PHASE_ENABLING);
}

/* The declaration is refused, the load reported as failed: the reason stays the first one. */
static void refused_in_load(int error, const char *text)
{
	struct suture_loaded l = {.id = work.id, .result = -error, .text = "init_module failed"};

	assert_int_equal(engine_declare(rig.e, m), -error);
	assert_phase(&rig, "fix", PHASE_LOADING);
	assert_int_equal(engine_loaded(rig.e, &l), 0);
	assert_phase(&rig, "fix", PHASE_FAILED);
	assert_text(info(&rig, "fix").why, text);
	assert_int_equal(info(&rig, "fix").error, -error);
	fresh();
}

static void refused_by_manifest(const char *text)
{
	refused_in_load(EBADMSG, text);
}

/* Two names of one function are named, both; positions 0 and 1 of one name are that name twice. */
static void test_aliases(void **state)
{
	(void)state;
	start_load();
	strcpy(funcs[1].name, "__do_sys_getppid");
	funcs[1].object = 0;
	funcs[1].old_addr = funcs[0].old_addr;
	refused_in_load(EINVAL, "'__do_sys_getppid' and 'cmdline_proc_show' are the same function");

	start_load();
	funcs[1] = funcs[0];
	funcs[1].sympos = 1;
	refused_in_load(EINVAL, "function 'cmdline_proc_show' is there twice");
}

static void shrink(u32 by)
{
	m->msg.size -= by;
}

static void test_manifest(void **state)
{
	(void)state;
	start_load();
	funcs[0].sympos = 1;
	refused_by_manifest("does not declare function 'cmdline_proc_show' (sympos 0)");

	start_load();
	strcpy(funcs[2].name, "another");
	refused_by_manifest("does not declare function 'absent_func'");

	start_load();
	funcs[0].object = 1;
	funcs[0].old_addr = objects[1].text_start + 0x4000;
	refused_by_manifest("does not declare function 'cmdline_proc_show'");

	start_load();
	strcpy(objects[2].name, "another");
	refused_by_manifest("does not declare object 'absent'");

	start_load();
	funcs[0].old_size = 0x60;
	refused_by_manifest("has 96 bytes in this kernel, 112 in the one");

	start_load();
	funcs[0].old_size = 0x70 + 64;
	refused_by_manifest("has 176 bytes in this kernel");

	start_load();
	m->flags = SUTURE_DECL_REPLACE;
	refused_by_manifest("differ in the replace flag");

	start_load();
	states[0].version = 2;
	refused_by_manifest("does not declare state 3 as the manifest does");

	start_load();
	states[1].is_shadow = 0;
	refused_by_manifest("does not declare state 4");

	start_load();
	m->nr_states = 1;
	shrink(sizeof(*states));
	refused_by_manifest("declares 3 objects, 3 functions, 1 states");

	start_load();
	assert_int_equal(engine_declare(rig.e, m), 0);
}

static void test_only_bundles(void **state)
{
	struct engine_config config = {.retry_us = 1000,
				       .budget_us = 1,
				       .budget_max_us = 1,
				       .machine = SUTURE_MACHINE_X86_64};

	(void)state;
	engine_destroy(rig.e);
	rig_engine(&rig, &config);
	assert_int_equal(engine_declare(rig.e, m), -EPERM);
	start_load();
	assert_int_equal(engine_declare(rig.e, m), 0);
}

/* Whichever allocation fails: the patch is on, or it failed and says why; then it works. */
static void test_out_of_memory(void **state)
{
	struct rig_payload *p = rig_payload(&rig, "fix");
	struct bundle b;
	size_t size;
	u32 n;
	int r;

	(void)state;
	p->state = ABSENT;
	for (n = 1; n < 12; n++) {
		u8 *data = make_bundle(&rig, &def, &size);

		assert_int_equal(bundle_parse(&b, data, size, rig.why, sizeof(rig.why)), 0);
		rig.fail_alloc = n;
		r = engine_upload(rig.e, &b, rig.why, sizeof(rig.why));
		if (r) {
			assert_int_equal(r, -ENOMEM);
			assert_why(&rig, "no memory for patch 'fix'");
			rig_free(&rig, data, size);
			continue;
		}
		settle(&rig, 100);
		if (info(&rig, "fix").phase != PHASE_APPLIED) {
			assert_phase(&rig, "fix", PHASE_FAILED);
			assert_int_equal(info(&rig, "fix").error, -ENOMEM);
			assert_int_equal(p->state, ABSENT);
			continue;
		}
		rig.fail_alloc = 0;
		assert_int_equal(revert(&rig, "fix"), 0);
		settle(&rig, 100);
		assert_phase(&rig, "fix", PHASE_REVERTED);
	}
	assert_int_equal(rig.fail_alloc, 0);
	rig_clear(&rig);
}

static void test_wrong_machine(void **state)
{
	struct bundle b;
	size_t size;
	u8 *data = make_bundle(&rig, &def, &size);

	(void)state;
	((struct suture_bundle *)data)->machine = SUTURE_MACHINE_ARM64;
	assert_int_equal(bundle_parse(&b, data, size, rig.why, sizeof(rig.why)), 0);
	assert_int_equal(engine_upload(rig.e, &b, rig.why, sizeof(rig.why)), -ENOEXEC);
	assert_why(&rig, "patch 'fix' is for arm64, and this machine is x86-64");
	rig_free(&rig, data, size);
	assert_int_equal(upload(&rig, &def), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_manifest), T(test_only_bundles), T(test_out_of_memory),
		T(test_aliases),  T(test_strict),	T(test_wrong_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
