/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest and a hostile peer, at random: messages that are malformed or come when nobody
 * expects them, requests and bundles with damaged bytes, in any order. Nothing may be read or
 * written out of bounds (the sanitizers check that), no page be lost, no answer be malformed. The
 * seed is fixed; SUTURE_ROUNDS is the number of rounds, of 40 events each.
 */
#include "net_engine.h"
#include "agent/messages.h"
#include "agent/offer.h"
#include "api/api.h"
#include "core/log.h"
#include "lib/format.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROUNDS	 10000
#define EVENTS	 40
#define PAYLOADS 0xffffffffc0400000ull
#define MODULES	 0xffffffffc0800000ull

static const char *const names[] = {"fix", "other", "third", "ext4", "vmlinux"};
static _Alignas(8) u8 message[SUTURE_MSG_MAX], answer[SUTURE_MSG_MAX];
static char text[1 << 20];
static u64 now_us_, seed = 88172645463325252ull;
static u32 accepted, refused, served;

static u32 rnd(u32 limit)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (u32)(seed >> 20) % limit;
}

static const char *any_name(void)
{
	return names[rnd(3)];
}

/* Change a few bytes, mostly none. */
static void damage(u8 *bytes, size_t size)
{
	for (u32 n = rnd(3) ? 0 : 1 + rnd(4); n; n--)
		bytes[rnd((u32)size)] ^= (u8)(1u << rnd(8));
}

/* ---- the peer ---- */

static void request(const char *line, const u8 *bytes, size_t size)
{
	struct api_reply reply = {.out = {text, sizeof(text), 0}};
	char head[HTTP_HEAD_MAX];
	const struct api_route *route;
	struct api_body body = {0};
	struct http_request rq;
	const char *why = "";
	size_t len = (size_t)format(head, sizeof(head),
				    "%s HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n\r\n", line,
				    (u32)size);

	damage((u8 *)head, len);
	if (http_parse(&rq, head, len, &why)) {
		assert_true(*why);
		return;
	}
	rq.role = TLS_ROLE_ADMIN;
	rq.client = "";
	route = api_route(&rq, &reply);
	if (route) {
		body.size = size;
		body.data = size ? pool_alloc(ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE) : NULL;
		if (body.data)
			memcpy(body.data, bytes, size);
		api_answer(engine, route, &rq, &body, &reply);
		if (body.data)
			checkpoint_free(body.data, ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
	}
	served++;
	assert_true(out_fits(&reply.out));
	for (size_t i = 0; i < reply.out.len; i++)
		assert_true((text[i] >= ' ' && text[i] < 0x7f) || text[i] == '\n');
}

static void peer(void)
{
	static const char *const gets[] = {"/v1/status", "/v1/patches", "/v1/shadow",
					   "/metrics",	 "/v1/info",	"/v1/log?limit=3&since=1"};
	static const char *const verbs[] = {"revert", "cancel", "rollback"};
	static u8 bundle[4096];
	char line[128];
	size_t size;

	switch (rnd(4)) {
	case 0:
		size = make_bundle(bundle, any_name(), 100);
		damage(bundle, size);
		request("POST /v1/patches", bundle, size);
		return;
	case 1:
		format(line, sizeof(line), "POST /v1/patches/%s/%s", any_name(), verbs[rnd(3)]);
		break;
	case 2:
		format(line, sizeof(line), "GET /v1/patches/%s", any_name());
		break;
	default:
		format(line, sizeof(line), "GET %s", gets[rnd(ARRAY_SIZE(gets))]);
	}
	request(line, NULL, 0);
}

/* ---- the guest ---- */

static void post(u32 type, size_t size)
{
	struct suture_msg *m = (struct suture_msg *)message, *r = (struct suture_msg *)answer;

	*m = (struct suture_msg){.type = type, .size = (su32)size, .seq = rnd(1000)};
	message_answer(engine, m, r);
	assert_int_equal(r->type, type);
	assert_int_equal(r->seq, m->seq);
	assert_in_range(r->size, sizeof(*r), SUTURE_MSG_MAX);
	if (r->status)
		refused++;
	else
		accepted++;
}

static void declare(void)
{
	struct suture_declare *m = (void *)message;
	struct suture_decl_object *o = (void *)(m + 1);
	u32 slot = rnd(3), objects = 1 + rnd(2), states = rnd(2);
	struct suture_decl_func *f = (void *)(o + objects);
	struct suture_decl_state *s = (void *)(f + objects);
	size_t size = (size_t)((u8 *)(s + states) - message);

	memset(message, 0, size);
	*m = (struct suture_declare){.text_start = PAYLOADS + slot * 0x10000,
				     .text_end = PAYLOADS + slot * 0x10000 + 0x1000,
				     .flags = rnd(4) ? 0 : SUTURE_DECL_REPLACE,
				     .nr_objects = objects,
				     .nr_funcs = objects,
				     .nr_states = states};
	strcpy(m->name, names[slot]);
	for (u32 i = 0; i < objects; i++) {
		strcpy(o[i].name, i ? "ext4" : "vmlinux");
		o[i].loaded = !i;
		o[i].callbacks = rnd(16);
		strcpy(f[i].name, "f");
		f[i].object = i;
		f[i].old_addr = i ? 0 : 0xffffffff81000100ull;
		f[i].old_size = i ? 0 : 32;
		f[i].new_addr = m->text_start + 64ull * i;
		f[i].new_size = 32;
	}
	if (states)
		*s = (struct suture_decl_state){.id = 7 + rnd(2),
						.callbacks = rnd(32),
						.is_shadow = rnd(2),
						.block_disable = !rnd(8)};
	damage(message + sizeof(m->msg), size - sizeof(m->msg));
	post(SUTURE_MSG_DECLARE, size);
}

static void module(void)
{
	struct suture_module *m = (void *)message;
	struct suture_decl_func *f = (void *)(m + 1);
	struct suture_decl_clone *c = (void *)(f + 1);
	bool clones = rnd(2);
	size_t size = sizeof(*m) + sizeof(*f) + (clones ? sizeof(*c) : 0);

	memset(message, 0, size);
	m->nr_clones = clones;
	if (clones) {
		c->nr_callers = 1 + rnd(3);
		strcpy(c->name, "f.part.0");
		for (u32 i = 0; i < c->nr_callers; i++)
			strcpy(c->callers[i], "caller");
	}
	strcpy(m->name, names[rnd(4)]);
	m->state = rnd(3);
	m->text_start = MODULES;
	m->text_end = MODULES + 0x1000;
	m->nr_funcs = 1;
	strcpy(f->name, "f");
	f->old_addr = MODULES + 64;
	f->old_size = 32;
	damage(message + sizeof(m->msg), size - sizeof(m->msg));
	post(SUTURE_MSG_MODULE, size);
}

static void steps(void)
{
	struct suture_step *m = (void *)message;

	memset(m, 0, sizeof(*m));
	strcpy(m->name, any_name());
	strcpy(m->module, rnd(2) ? "" : "ext4");
	m->pump = rnd(5);
	m->result = rnd(4) ? 0 : -(s32)rnd(200);
	for (u32 n = 1 + rnd(20); n; n--)
		post(SUTURE_MSG_STEP, sizeof(*m));
}

static void job(void)
{
	struct suture_loaded *m = (void *)message;
	const struct suture_work *work = (const void *)answer;
	su32 id;

	post(SUTURE_MSG_POLL, sizeof(struct suture_msg));
	id = work->id;
	memset(m, 0, sizeof(*m));
	m->id = rnd(8) ? id : rnd(10);
	m->result = rnd(3) ? 0 : -(s32)rnd(200);
	memset(m->text, 'x', sizeof(m->text));
	post(SUTURE_MSG_LOADED, sizeof(*m));
}

static void set(void)
{
	struct suture_set *m = (void *)message;

	memset(m, 0, sizeof(*m));
	strcpy(m->name, any_name());
	m->what = rnd(3);
	m->value = rnd(3);
	post(SUTURE_MSG_SET, sizeof(*m));
}

/* A bundle, in one part or two; often some byte of it is another. */
static void offer(void)
{
	struct suture_offer *m = (void *)message;
	static u8 bundle[4096];
	u32 size = (u32)make_bundle(bundle, any_name(), 100), at = 0, len;

	damage(bundle, size);
	while (at < size) {
		len = rnd(2) ? size - at : 1 + rnd(size - at);
		m->total = size;
		m->offset = rnd(16) ? at : rnd(size);
		memcpy(m + 1, bundle + at, len);
		damage((u8 *)&m->total, sizeof(m->total) + sizeof(m->offset));
		post(SUTURE_MSG_OFFER, sizeof(*m) + len);
		at += rnd(16) ? len : 0;
		if (!rnd(16))
			return;
	}
}

static void wanted(void)
{
	struct suture_wanted *m = (void *)message;

	memset(m, 'x', sizeof(*m));
	format(m->name, sizeof(m->name), "%s%u", any_name(), rnd(2) ? 0 : rnd(100));
	m->state = rnd(SUTURE_WANTED_STATES + 1);
	post(SUTURE_MSG_WANTED, sizeof(*m));
}

/* Any message, its content at random. */
static void noise(void)
{
	size_t size = sizeof(struct suture_msg) + (rnd(2) ? rnd(1200) : rnd(64));
	u32 type = rnd(24), dense = rnd(3);

	if (type == SUTURE_MSG_HELLO)
		return; /* reads the guest's memory: test_guest_kernel.c */
	for (size_t i = 0; i < size; i++)
		message[i] = rnd(3) < dense ? (u8)rnd(256) : 0;
	post(type, size);
}

/* ---- the machine ---- */

static void machine(void)
{
	attempt.result = rnd(2) ? 0 : rnd(4) ? -EAGAIN : -ENOSPC;
	attempt.report = (struct transition_report){0};
	if (attempt.result == -EAGAIN && rnd(2)) {
		struct blocker *b = &attempt.report.blocker;

		*b = (struct blocker){.valid = true, .pid = rnd(100), .nr_stack = rnd(40)};
		memset(b->comm, (int)rnd(256), sizeof(b->comm));
		strcpy(b->func, "f");
	}
	switch (rnd(40)) {
	case 0:
		engine_kernel_gone(engine, "gone");
		break;
	case 1:
		engine_agent_hello(engine);
		break;
	case 2:
		engine_dropped(engine, 0xffffffff81000100ull);
		break;
	case 3:
		now_us_ += 30000000;
		break;
	}
	now_us_ += rnd(3000);
	fake_time_set(now_us_, 1);
	engine_tick(engine);
}

static void test_hostile(void **state)
{
	static void (*const events[])(void) = {peer, declare, module,  steps,	steps, job,
					       set,  noise,   machine, machine, offer, wanted};
	const char *given = getenv("SUTURE_ROUNDS");
	u32 rounds = given ? (u32)atoi(given) : ROUNDS;

	(void)state;
	log_set_level(LOG_ERROR);
	guest_may_apply = true;
	for (u32 i = 0; i < rounds; i++) {
		if (rnd(2))
			engine_setup();
		else
			engine_setup_own(true, true);
		now_us_ = 1000000;
		agent_arrives();
		for (u32 n = 0; n < EVENTS; n++)
			events[rnd(ARRAY_SIZE(events))]();
		request("GET /v1/status", NULL, 0);
		now_us_ += 60000000;
		offer_tick(now_us_);
		engine_destroy(engine);
		assert_int_equal(pool_used(), 0);
	}
	print_message("%u rounds: %u messages accepted, %u refused, %u requests served\n", rounds,
		      accepted, refused, served);
	assert_true(accepted > rounds && refused > rounds && served > rounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hostile)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
