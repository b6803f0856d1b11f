/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the API: the real engine over simulated operations, a simulated agent, and a valid
 * bundle to upload. Included once in a program.
 */
#ifndef NET_ENGINE_H
#define NET_ENGINE_H

#include "fake.h"
#include "arch/time.h"
#include "core/checkpoint.h"
#include "core/pool.h"
#include "guest/kernel.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "patch/engine/engine.h"
#include "patch/floor.h"
#include <stdio.h>

/* The result and the report of the next attempt to switch. */
static struct {
	int result;
	struct transition_report report;
} attempt;

static struct engine *engine;

static int try_switch(void *ctx, const struct switch_set *set, struct transition_report *r)
{
	(void)ctx, (void)set;
	attempt.report.attempts = r->attempts + 1;
	*r = attempt.report;
	return attempt.result;
}

static int validate(void *ctx, const struct switch_set *set, struct transition_report *r)
{
	(void)ctx, (void)set, (void)r;
	return 0;
}

static bool is_text(void *ctx, bool module, u64 va, u64 len)
{
	(void)ctx, (void)module, (void)va, (void)len;
	return true;
}

static const u8 *build_id(void *ctx, u32 *len)
{
	(void)ctx;
	*len = guest_kernel.build_id_len;
	return guest_kernel.registered ? guest_kernel.build_id : NULL;
}

static u64 now_us(void *ctx)
{
	(void)ctx;
	return arch_time_us();
}

static void *alloc(void *ctx, size_t size)
{
	(void)ctx;
	return pool_alloc(ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
}

static void release(void *ctx, void *p, size_t size)
{
	(void)ctx;
	pool_free(p, ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
}

/* The guest's bundles are taken, from the next engine_setup() on. */
static bool guest_may_apply;

/* Of the engine. */
static struct floors floors;

/* What was allocated before, as the memory of TLS, stays over engine_setup(). */
static bool keep_machine;

static u64 pool_at_setup; /* the table of the checkpoint's blocks, which stays */

static inline u64 pool_pages(void)
{
	struct pool_stats s;

	pool_stats(&s);
	return s.used_pages;
}

static inline u64 pool_used(void)
{
	return pool_pages() - pool_at_setup;
}

/* What the comparison of a payload's text says. */
static int text_result;

static int check_text(void *ctx, const struct text_query *q, char *why, size_t why_size)
{
	(void)ctx;
	if (text_result)
		snprintf(why, why_size, "it differs at %#llx", (unsigned long long)q->start);
	return text_result;
}

/* guest_patches: patches without a bundle are accepted. */
static void engine_setup_own(bool guest_patches, bool guest_may_disable)
{
	static const struct engine_ops ops = {
		.try_switch = try_switch,
		.validate = validate,
		.check_text = check_text,
		.is_text = is_text,
		.build_id = build_id,
		.now_us = now_us,
		.alloc = alloc,
		.free = release,
	};
	const struct engine_config config = {.guest_patches = guest_patches,
					     .guest_may_disable = guest_may_disable,
					     .guest_may_apply = guest_may_apply,
					     .floors = &floors,
					     .compare_text = true,
					     .retry_us = 10,
					     .retry_max_us = 10,
					     .budget_us = 1000,
					     .budget_max_us = 2000,
					     .machine = SUTURE_MACHINE_X86_64};

	if (!keep_machine)
		fake_reset(2);
	checkpoint_forget();
	checkpoint_free(checkpoint_alloc(1), 1);
	pool_at_setup = pool_pages();
	fake_time_set(1000000, 100);
	memset(&guest_kernel, 0, sizeof(guest_kernel));
	memset(&attempt, 0, sizeof(attempt));
	text_result = 0;
	engine = engine_create(&ops, &config);
}

static inline void engine_setup(void)
{
	engine_setup_own(false, true);
}

/* An agent registers; the build-id of its kernel is 20 bytes of 0xab. */
static inline void agent_arrives(void)
{
	guest_kernel.registered = true;
	guest_kernel.build_id_len = 20;
	memset(guest_kernel.build_id, 0xab, 20);
	strcpy(guest_kernel.release, "6.1.0-test");
	engine_agent_hello(engine);
}

/*
 * Make a bundle with one function, `f` of vmlinux, and a payload of payload_size bytes. Returns its
 * size.
 */
static inline size_t make_bundle(u8 *to, const char *name, size_t payload_size)
{
	static const char strings[24] = "\0vmlinux\0f\0one";
	struct suture_manifest m = {.build_id_len = 20,
				    .version = 11,
				    .nr_objects = 1,
				    .nr_funcs = 1,
				    .strings_size = sizeof(strings)};
	struct suture_manifest_object object = {1, 1};
	struct suture_manifest_func func = {.name = 9};
	struct suture_bundle b = {.magic = SUTURE_BUNDLE_MAGIC,
				  .version = SUTURE_BUNDLE_VERSION,
				  .machine = SUTURE_MACHINE_X86_64,
				  .manifest_offset = sizeof(b),
				  .payload_size = (su32)payload_size,
				  .signature_size = sizeof(struct suture_signature)};
	u8 *at = to + sizeof(b);

	memset(m.build_id, 0xab, 20);
	strcpy(m.name, name);
	b.manifest_size = sizeof(m) + sizeof(object) + sizeof(func) + sizeof(strings);
	b.payload_offset = (su32)ALIGN_UP(b.manifest_offset + b.manifest_size, 8ul);
	b.signature_offset = (su32)ALIGN_UP(b.payload_offset + payload_size, 8ul);
	b.total_size = b.signature_offset + b.signature_size;
	memset(to, 0, b.total_size);
	memcpy(to, &b, sizeof(b));
	memcpy(at, &m, sizeof(m));
	memcpy(at += sizeof(m), &object, sizeof(object));
	memcpy(at += sizeof(object), &func, sizeof(func));
	memcpy(at += sizeof(func), strings, sizeof(strings));
	memset(to + b.payload_offset, 0x5a, payload_size);
	return b.total_size;
}

#endif
