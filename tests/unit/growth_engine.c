/* SPDX-License-Identifier: BSD-2-Clause */
/* The cost of patches in the engine, and of bundles: see growth.h. */
#include "synthetic.h"
#include "growth.h"
#include "patch/bundle.h"
#include "patch/engine/engine.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- the engine ---- */

static int try_switch(void *ctx, const struct switch_set *s, struct transition_report *r)
{
	(void)ctx, (void)s, (void)r;
	return 0;
}

static int validate(void *ctx, const struct switch_set *s, struct transition_report *r)
{
	(void)ctx, (void)s, (void)r;
	return 0;
}

static int look(void *ctx, u64 key, u64 to, char *why, size_t why_size)
{
	(void)ctx, (void)key, (void)to, (void)why, (void)why_size;
	return 0;
}

static bool is_text(void *ctx, bool module, u64 va, u64 len)
{
	(void)ctx, (void)module, (void)va, (void)len;
	return true;
}

static const u8 *build_id(void *ctx, u32 *len)
{
	(void)ctx, (void)len;
	return NULL;
}

static u64 clock_us;

static u64 now_us(void *ctx)
{
	(void)ctx;
	return clock_us;
}

static void *allocate(void *ctx, size_t size)
{
	(void)ctx;
	return calloc(1, size);
}

static void release(void *ctx, void *p, size_t size)
{
	(void)ctx, (void)size;
	free(p);
}

static struct engine *new_engine_with(void *(*alloc)(void *ctx, size_t size),
				      void (*free_)(void *ctx, void *p, size_t size))
{
	const struct engine_ops ops = {
		.try_switch = try_switch,
		.validate = validate,
		.look = look,
		.is_text = is_text,
		.build_id = build_id,
		.now_us = now_us,
		.alloc = alloc,
		.free = free_,
	};
	const struct engine_config config = {.guest_patches = true,
					     .guest_may_disable = true,
					     .retry_us = 10,
					     .retry_max_us = 10,
					     .budget_us = 1000,
					     .budget_max_us = 2000};
	struct engine *e = engine_create(&ops, &config);

	engine_agent_hello(e);
	return e;
}

static struct engine *new_engine(void)
{
	return new_engine_with(allocate, release);
}

#define TEXT   0xffffffffc0100000ull
#define MODULE 0xffffffffc0800000ull

static void name_function(struct suture_decl_func *f, u32 i, u32 count)
{
	*f = (struct suture_decl_func){.old_addr = MODULE + (u64)(i * 2654435761u % count) * 0x40,
				       .old_size = 0x40,
				       .ftrace_site = SUTURE_NONE};
	snprintf(f->name, sizeof(f->name), "function_%u", i * 2654435761u % count);
}

/* Half of the functions have a part that the compiler split off. */
static u32 add_parts(struct suture_decl_part *parts, const struct suture_decl_func *f, u32 count)
{
	for (u32 i = 0; i < count / 2; i++)
		parts[i] = (struct suture_decl_part){
			.func = i, .addr = f[i].old_addr + 0x20, .size = 8};
	return count / 2;
}

static struct suture_declare *declaration(u32 count, bool loaded)
{
	size_t size = sizeof(struct suture_declare) + sizeof(struct suture_decl_object) +
		      count * sizeof(struct suture_decl_func) +
		      (loaded ? count / 2 * sizeof(struct suture_decl_part) : 0);
	struct suture_declare *m = calloc(1, size);
	struct suture_decl_object *o = (void *)(m + 1);
	struct suture_decl_func *f = (void *)(o + 1);

	*m = (struct suture_declare){.msg.size = (su32)size,
				     .name = "large",
				     .text_start = TEXT,
				     .text_end = TEXT + count * 0x40ull,
				     .nr_objects = 1,
				     .nr_funcs = count};
	*o = (struct suture_decl_object){.name = "module"};
	if (loaded) {
		o->loaded = 1;
		o->text_start = MODULE;
		o->text_end = MODULE + count * 0x40ull;
	}
	for (u32 i = 0; i < count; i++) {
		name_function(&f[i], i, count);
		if (!loaded)
			f[i].old_addr = f[i].old_size = 0;
		f[i].new_addr = TEXT + i * 0x40ull;
		f[i].new_size = 0x40;
	}
	if (loaded)
		m->nr_parts = add_parts((void *)(f + count), f, count);
	return m;
}

static void pump(struct engine *e, enum suture_pump kind, const char *name, const char *module)
{
	struct suture_step step = {.pump = kind};
	struct suture_step_reply r = {.kind = SUTURE_STEP_LOG};

	strcpy(step.name, name);
	strcpy(step.module, module);
	while (r.kind != SUTURE_STEP_DONE && r.kind != SUTURE_STEP_WAIT) {
		r = (struct suture_step_reply){0};
		engine_step(e, &step, &r);
	}
	assert_int_equal(r.result, 0);
}

static void tell_module(struct engine *e, const char *name, u32 state)
{
	struct suture_module m = {.msg.size = sizeof(m), .state = state};

	strcpy(m.name, name);
	assert_int_equal(engine_module(e, &m), 0);
}

static void enable(struct engine *e, struct suture_declare *m)
{
	assert_int_equal(engine_declare(e, m), 0);
	pump(e, SUTURE_PUMP_INIT, m->name, "");
	tell_module(e, m->name, SUTURE_MODULE_LIVE);
	engine_tick(e);
	pump(e, SUTURE_PUMP_WORK, m->name, "");
}

static void look_at_all(struct engine *e)
{
	for (u32 i = 0; i < 2 * SUTURE_MAX_FUNCS / 32; i++) {
		clock_us += 5000;
		engine_tick(e);
	}
}

static void assert_applied(struct engine *e, u32 count)
{
	struct patch_info i;

	assert_int_equal(engine_patch_info(e, 0, &i), 0);
	assert_int_equal(i.phase, PHASE_APPLIED);
	assert_int_equal(i.nr_funcs, count);
}

static void a_patch_in_the_engine(void **state)
{
	u64 apply[3], looks[3], dropped[3], before;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct suture_declare *m = declaration(sizes[i], true);
		struct engine *e = new_engine();

		before = blocks;
		enable(e, m);
		apply[i] = blocks - before;
		assert_applied(e, sizes[i]);

		before = blocks;
		look_at_all(e);
		looks[i] = blocks - before;

		before = blocks;
		for (u32 k = 0; k < sizes[i]; k++)
			engine_dropped(e, MODULE + k * 0x40ull);
		dropped[i] = blocks - before;
		engine_destroy(e);
		free(m);
	}
	assert_growth("declare and switch", apply);
	assert_growth("tell of drops", dropped);
	print_message("look: %llu, %llu, %llu blocks\n", looks[0], looks[1], looks[2]);
}

static struct suture_module *coming(u32 count)
{
	size_t size = sizeof(struct suture_module) + count * sizeof(struct suture_decl_func) +
		      count / 2 * sizeof(struct suture_decl_part);
	struct suture_module *m = calloc(1, size);
	struct suture_decl_func *f = (void *)(m + 1);

	*m = (struct suture_module){.msg.size = (su32)size,
				    .name = "module",
				    .state = SUTURE_MODULE_COMING,
				    .nr_funcs = count,
				    .text_start = MODULE,
				    .text_end = MODULE + count * 0x40ull};
	for (u32 i = 0; i < count; i++)
		name_function(&f[i], count - 1 - i, count);
	m->nr_parts = add_parts((void *)(f + count), f, count);
	return m;
}

static void a_module_comes_and_goes(void **state)
{
	u64 cost[3], before;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct suture_declare *d = declaration(sizes[i], false);
		struct suture_module *m = coming(sizes[i]);
		struct engine *e = new_engine();

		enable(e, d);
		before = blocks;
		assert_int_equal(engine_module(e, m), 0);
		pump(e, SUTURE_PUMP_MODULE, "", "module");
		tell_module(e, "module", SUTURE_MODULE_GOING);
		pump(e, SUTURE_PUMP_MODULE, "", "module");
		cost[i] = blocks - before;
		engine_destroy(e);
		free(d);
		free(m);
	}
	assert_growth("module", cost);
}

/* ---- memory ---- */

static u64 pages_allocated;

static void *allocate_pages(void *ctx, size_t size)
{
	pages_allocated += ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE;
	return allocate(ctx, size);
}

static void release_pages(void *ctx, void *p, size_t size)
{
	pages_allocated -= ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE;
	release(ctx, p, size);
}

/* The records of a hundred patches of one function, one on top of the other. */
static void a_hundred_patches(void **state)
{
	struct engine *e;

	(void)state;
	pages_allocated = 0;
	e = new_engine_with(allocate_pages, release_pages);
	for (u32 i = 0; i < 100; i++) {
		struct suture_declare *m = declaration(1, true);

		snprintf(m->name, sizeof(m->name), "patch_%u", i);
		enable(e, m);
		free(m);
	}
	print_message("100 patches: records of %llu KiB\n", pages_allocated * PAGE_SIZE >> 10);
	assert_true(pages_allocated * PAGE_SIZE <= 4 << 20);
	engine_destroy(e);
	assert_int_equal(pages_allocated, 0);
}

/* ---- a bundle ---- */

#define NAME_LEN 16u

static void *bundle(u32 count, size_t *size)
{
	size_t manifest = sizeof(struct suture_manifest) + sizeof(struct suture_manifest_object) +
			  count * sizeof(struct suture_manifest_func) + 16 + count * NAME_LEN;
	size_t payload = ALIGN_UP(sizeof(struct suture_bundle) + manifest, 8ul);
	struct suture_bundle *b;
	struct suture_manifest *m;
	struct suture_manifest_object *o;
	struct suture_manifest_func *f;
	char *strings;

	*size = payload + 8 + sizeof(struct suture_signature);
	b = calloc(1, *size);
	*b = (struct suture_bundle){.magic = SUTURE_BUNDLE_MAGIC,
				    .version = SUTURE_BUNDLE_VERSION,
				    .total_size = (su32)*size,
				    .machine = SUTURE_MACHINE_X86_64,
				    .manifest_offset = sizeof(*b),
				    .manifest_size = (su32)manifest,
				    .payload_offset = (su32)payload,
				    .payload_size = 8,
				    .signature_offset = (su32)payload + 8,
				    .signature_size = sizeof(struct suture_signature)};
	m = (void *)(b + 1);
	*m = (struct suture_manifest){.build_id_len = 20,
				      .name = "large",
				      .nr_objects = 1,
				      .nr_funcs = count,
				      .strings_size = 16 + count * NAME_LEN};
	o = (void *)(m + 1);
	*o = (struct suture_manifest_object){.name = 1, .nr_funcs = count};
	f = (void *)(o + 1);
	strings = (void *)(f + count);
	strcpy(strings + 1, "vmlinux");
	for (u32 i = 0; i < count; i++) {
		f[i].name = 16 + i * NAME_LEN;
		snprintf(strings + f[i].name, NAME_LEN, "f_%u", i * 2654435761u % count);
	}
	return b;
}

static void a_bundle(void **state)
{
	char why[128] = "";
	u64 cost[3], before;
	struct bundle b;
	size_t size;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *data = bundle(sizes[i], &size);

		before = blocks;
		if (bundle_parse(&b, data, size, why, sizeof(why)))
			fail_msg("%s", why);
		cost[i] = blocks - before;
		free(data);
	}
	assert_growth("bundle", cost);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_patch_in_the_engine),
		cmocka_unit_test(a_module_comes_and_goes),
		cmocka_unit_test(a_hundred_patches),
		cmocka_unit_test(a_bundle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
