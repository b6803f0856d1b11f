/* SPDX-License-Identifier: BSD-2-Clause */
/* Refusals with names of maximal length: nothing of them is cut for want of room. */
#include "engine_rig.h"
#include "core/log.h"
#include "lib/format.h"

#define PATCH  "p23456789012345678901234567890123456789012345678901234P"
#define OTHER  "o23456789012345678901234567890123456789012345678901234O"
#define MODULE "m23456789012345678901234567890123456789012345678901234M"
#define F126                                                                                       \
	"2345678901234567890123456789012345678901234567890123456789012345678901"                   \
	"23456789012345678901234567890123456789012345678901234567"
#define FUNC  "f" F126
#define FUNC2 "g" F126

static const struct def def = {
	.name = PATCH,
	.parts = true,
	.objects = {{"vmlinux", ALL_CALLBACKS}, {MODULE, 0}},
	.funcs = {{0, FUNC}, {1, FUNC2}},
	.states = {{.id = 3, .version = 0xffffffff, .block_disable = 1}},
};

static const struct def upper = {
	.name = OTHER,
	.objects = {{"vmlinux", 0}, {MODULE, 0}},
	.funcs = {{0, FUNC}, {1, FUNC2}},
	.states = {{.id = 3, .version = 0xffffffff}},
};

static struct rig rig;
static struct suture_declare *m;
static struct suture_decl_object *objects;
static struct suture_decl_func *funcs;
static struct suture_decl_part *parts;
static size_t longest;

static void fresh(const char *name)
{
	free(m);
	m = make_declaration(&rig, rig_payload(&rig, name));
	objects = (void *)(m + 1);
	funcs = (void *)(objects + m->nr_objects);
	parts = (void *)((struct suture_decl_state *)(void *)(funcs + m->nr_funcs) + m->nr_states);
}

static int setup_absent(void **state)
{
	(void)state;
	rig_start(&rig);
	rig_add(&rig, &def)->state = COMING;
	fresh(PATCH);
	return 0;
}

static int setup(void **state)
{
	setup_absent(state);
	assert_int_equal(insmod(&rig, MODULE), 0);
	fresh(PATCH);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(m);
	m = NULL;
	rig_stop(&rig);
	return 0;
}

/* What the engine said last has all of these, and would be a whole line of the log. */
static void assert_whole(const char *const *names)
{
	for (; *names; names++)
		if (!strstr(rig_said, *names))
			fail_msg("\"%s\" lacks %s", rig_said, *names);
	assert_null(strstr(rig_said, "..."));
	assert_in_range(strlen(rig_said), 1, LOG_LINE_MAX - 1);
	longest = strlen(rig_said) > longest ? strlen(rig_said) : longest;
}

#define REFUSED(error, change, ...)                                                                \
	do {                                                                                       \
		change;                                                                            \
		assert_int_equal(engine_declare(rig.e, m), -(error));                              \
		assert_whole((const char *const[]){__VA_ARGS__, NULL});                            \
		fresh(PATCH);                                                                      \
	} while (0)

static void declarations(void **state)
{
	(void)state;
	REFUSED(EFAULT, objects[1].text_start = VMLINUX, PATCH, MODULE, "modules are (EFAULT)");
	REFUSED(EINVAL, objects[1].loaded = 0, PATCH, FUNC2, MODULE, "is not loaded (EINVAL)");
	REFUSED(ENOENT, funcs[1].old_addr = 0, PATCH, FUNC2, MODULE, "(ENOENT)");
	REFUSED(EFAULT, funcs[1].old_addr = VMLINUX, PATCH, FUNC2, MODULE, "(EFAULT)");
	REFUSED(EFAULT, funcs[1].new_addr = VMLINUX, PATCH, FUNC2, "payload's text (EFAULT)");
	REFUSED(EINVAL, funcs[1] = funcs[0], PATCH, FUNC, "is there twice (EINVAL)");
	REFUSED(EFAULT, parts[3].addr = VMLINUX, PATCH, "a part of function", "(EFAULT)");
}

static void states(void **state)
{

	(void)state;
	assert_int_equal(engine_declare(rig.e, m), 0);
	assert_int_equal(pump(&rig, SUTURE_PUMP_INIT, PATCH, ""), 0);
	rig_add(&rig, &upper)->state = COMING;
	fresh(OTHER);
	assert_int_equal(engine_declare(rig.e, m), -EBUSY);
	assert_whole((const char *const[]){PATCH, OTHER, "one at a time (EBUSY)", NULL});
}

static void operators(void **state)
{
	char why[REASON_LEN];

	(void)state;
	assert_int_equal(engine_revert(rig.e, OTHER, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, OTHER));
	assert_non_null(strstr(why, "shows what is"));
	assert_int_equal(engine_cancel(rig.e, OTHER, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "in transition"));
}

/* A module that comes: three names, and the agent's own words. */
static void modules(void **state)
{
	struct suture_module *msg = calloc(1, sizeof(*msg));

	(void)state;
	assert_int_equal(engine_declare(rig.e, m), 0);
	*msg = (struct suture_module){
		.msg = {.type = SUTURE_MSG_MODULE, .size = sizeof(*msg)},
		.state = SUTURE_MODULE_COMING,
		.text_start = MODULES,
		.text_end = MODULES + MODULE_TEXT,
	};
	strcpy(msg->name, MODULE);
	assert_int_equal(engine_module(rig.e, msg), 0);
	assert_whole((const char *const[]){PATCH, MODULE, FUNC2, "there is no function", NULL});
	msg->error = -EINVAL;
	memset(msg->why, 'w', sizeof(msg->why) - 2);
	msg->why[sizeof(msg->why) - 2] = 'W';
	assert_int_equal(engine_module(rig.e, msg), 0);
	assert_whole((const char *const[]){MODULE, msg->why, NULL});
	free(msg);
}

/* Where there is a limit all the same, the text says that it was cut. */
static void a_cut_shows(void **state)
{
	char text[32], small[3];

	(void)state;
	assert_int_equal(format(text, sizeof(text), "%s", FUNC), SUTURE_SYM_LEN - 1);
	assert_string_equal(text, "f234567890123456789012345678...");
	assert_int_equal(format(text, sizeof(text), "%.31s", FUNC), 31);
	assert_null(strchr(text, '.'));
	assert_int_equal(format(small, sizeof(small), "abcdef"), 6);
	assert_string_equal(small, "ab");
	format(text, sizeof(text), "%.*s%s", BRIEF(FUNC, 8));
	assert_string_equal(text, "f2345678...");
	format(text, sizeof(text), "%.*s%s", BRIEF("short", 8));
	assert_string_equal(text, "short");
}

static void measure(void **state)
{
	(void)state;
	printf("measured the longest of these lines has %zu bytes, a line %zu\n", longest,
	       (size_t)LOG_LINE_MAX);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(declarations),
		T(states),
		T(operators),
		cmocka_unit_test_setup_teardown(modules, setup_absent, teardown),
		cmocka_unit_test(a_cut_shows),
		cmocka_unit_test(measure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
