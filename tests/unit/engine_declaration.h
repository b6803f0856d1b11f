/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the tests of DECLARE: a valid declaration, in which a test changes something. */
#ifndef TESTS_ENGINE_DECLARATION_H
#define TESTS_ENGINE_DECLARATION_H

#include "engine_rig.h"

static const struct def def = {
	.name = "fix",
	.parts = true,
	.objects = {{"vmlinux", ALL_CALLBACKS}, {"ext4", 0}, {"absent", 0}},
	.funcs = {{0, "cmdline_proc_show"}, {1, "ext4_map_blocks"}, {2, "absent_func"}},
	.states = {{.id = 3, .version = 1}, {.id = 4, .is_shadow = 1}},
};

static struct rig rig;
static struct suture_declare *m;
static struct suture_decl_object *objects;
static struct suture_decl_func *funcs;
static struct suture_decl_state *states;
static struct suture_decl_part *parts;

static inline void fresh(void)
{
	free(m);
	m = make_declaration(&rig, rig_payload(&rig, "fix"));
	objects = (void *)(m + 1);
	funcs = (void *)(objects + m->nr_objects);
	states = (void *)(funcs + m->nr_funcs);
	parts = (void *)(states + m->nr_states);
}

static inline int setup(void **state)
{
	(void)state;
	rig_start(&rig);
	rig_add(&rig, &def)->state = COMING;
	assert_int_equal(insmod(&rig, "ext4"), 0);
	fresh();
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	free(m);
	m = NULL;
	rig_stop(&rig);
	return 0;
}

static inline void assert_no_patch(void)
{
	struct patch_info i;
	u32 n;

	for (n = 0; !engine_patch_info(rig.e, n, &i); n++)
		assert_true(i.phase == PHASE_FAILED || i.phase == PHASE_LOADING);
}

/* Append `count` clones of the second function to the declaration. */
static inline struct suture_decl_clone *add_clones(u32 count)
{
	u32 size = m->msg.size, more = count * (u32)sizeof(struct suture_decl_clone);
	struct suture_decl_clone *clones;

	m = realloc(m, size + more);
	assert_non_null(m);
	clones = (void *)((u8 *)m + size);
	memset(clones, 0, more);
	m->msg.size = size + more;
	m->nr_clones = count;
	for (u32 i = 0; i < count; i++) {
		clones[i].func = 1;
		clones[i].nr_callers = 9 + i;
		snprintf(clones[i].name, sizeof(clones[i].name), "ext4_map_blocks.part.%u", i);
		for (u32 n = 0; n < SUTURE_MAX_CALLERS; n++)
			snprintf(clones[i].callers[n], sizeof(clones[i].callers[n]), "caller%u", n);
	}
	return clones;
}

#endif
