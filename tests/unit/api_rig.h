/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the API's routes: one request at a time, and a simulated agent. */
#ifndef API_RIG_H
#define API_RIG_H

#include "net_engine.h"
#include "api/api.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static char text[65536]; /* the last answer */
static char head[HTTP_HEAD_MAX];
static struct api_reply reply;
static u8 bundle[65536];
static void (*on_answer)(void); /* called after each answer; NULL: nothing */

static inline int setup(void **state)
{
	(void)state;
	engine_setup();
	return 0;
}

/* All pages that a test has allocated must be free after the engine is. */
static inline int teardown(void **state)
{
	(void)state;
	engine_destroy(engine);
	return (int)pool_used();
}

/* Send one request; body NULL: none. Returns the status; the answer is in text. */
static inline u16 ask(const char *request_head, const void *bytes, size_t size)
{
	const struct api_route *route;
	struct api_body body = {0};
	struct http_request rq;
	const char *why = "";

	strcpy(head, request_head);
	assert_int_equal(http_parse(&rq, head, strlen(head), &why), 0);
	rq.role = TLS_ROLE_ADMIN;
	rq.client = "";
	reply = (struct api_reply){.out = {text, sizeof(text) - 1, 0}};
	route = api_route(&rq, &reply);
	if (route) {
		if (bytes) {
			body.size = size;
			body.data = pool_alloc(ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
			memcpy(body.data, bytes, size);
		}
		api_answer(engine, route, &rq, &body, &reply);
		if (body.data)
			pool_free(body.data, ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
	}
	assert_true(out_fits(&reply.out));
	text[reply.out.len] = 0;
	if (on_answer)
		on_answer();
	return reply.status;
}

static inline u16 request(const char *method, const char *path)
{
	char line[512];

	snprintf(line, sizeof(line), "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, path);
	return ask(line, NULL, 0);
}

static inline u16 upload(const void *bytes, size_t size)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "POST /v1/patches HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n"
		 "Content-Type: application/octet-stream\r\n\r\n",
		 size);
	return ask(line, bytes, size);
}

static inline void assert_has(const char *part)
{
	if (!strstr(text, part))
		fail_msg("no %s in %s", part, text);
}

static inline void assert_lacks(const char *part)
{
	if (strstr(text, part))
		fail_msg("%s in %s", part, text);
}

/* ---- an agent ---- */

#define OLD_ADDR 0xffffffff81000100ull
#define NEW_ADDR 0xffffffffc0400010ull

static inline void agent_pumps(const struct suture_step *step)
{
	struct suture_step_reply next;

	do {
		memset(&next, 0, sizeof(next));
		engine_step(engine, step, &next);
	} while (next.kind != SUTURE_STEP_WAIT && next.kind != SUTURE_STEP_DONE);
}

/* The module of a patch declares it, and becomes live. */
static inline int agent_declares(const char *name, struct suture_declare *m, size_t size)
{
	struct suture_module live = {.msg.size = sizeof(live), .state = SUTURE_MODULE_LIVE};
	struct suture_step step = {.pump = SUTURE_PUMP_INIT};
	int err;

	m->msg.size = (su32)size;
	strcpy(m->name, name);
	strcpy(step.name, name);
	strcpy(live.name, name);
	err = engine_declare(engine, m);
	if (err)
		return err;
	agent_pumps(&step);
	return engine_module(engine, &live);
}

/*
 * The agent does its part for an uploaded patch up to the declaration; then the patch is in
 * transition.
 */
static inline int agent_loads(const char *name)
{
	struct {
		struct suture_declare m;
		struct suture_decl_object object;
		struct suture_decl_func func;
	} d = {.m = {.text_start = NEW_ADDR,
		     .text_end = NEW_ADDR + 0x100,
		     .nr_objects = 1,
		     .nr_funcs = 1},
	       .object = {.name = "vmlinux", .loaded = 1},
	       .func = {.name = "f",
			.old_addr = OLD_ADDR,
			.old_size = 32,
			.new_addr = NEW_ADDR,
			.new_size = 32}};
	struct suture_work work = {0};
	struct suture_loaded loaded = {0};
	int err;

	engine_work(engine, &work);
	if (work.kind != SUTURE_WORK_LOAD)
		return -ENOENT;
	err = agent_declares(name, &d.m, sizeof(d));
	loaded.id = work.id;
	return err ? err : engine_loaded(engine, &loaded);
}

/* The agent carries out the engine's work items until there are none. */
static inline void agent_works(const char *name)
{
	struct suture_step step = {.pump = SUTURE_PUMP_WORK};

	strcpy(step.name, name);
	for (int i = 0; i < 100; i++) {
		struct suture_work work = {0};
		struct suture_loaded loaded = {0};

		engine_tick(engine);
		engine_work(engine, &work);
		loaded.id = work.id;
		if (work.kind == SUTURE_WORK_UNLOAD)
			engine_loaded(engine, &loaded);
		if (work.kind == SUTURE_WORK_PUMP)
			agent_pumps(&step);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
