/* SPDX-License-Identifier: BSD-2-Clause */
/* The routes over a real engine: what each answers, and what each refuses. */
#include "net_engine.h"
#include "core/lib/format.h"
#include "core/log.h"
#include "net/api.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static char text[65536];
static char head[HTTP_HEAD_MAX];
static struct api_reply reply;
static u8 bundle[65536];

static int setup(void **state)
{
	(void)state;
	engine_setup();
	return 0;
}

/* Every page that a test took must be back when the engine is gone. */
static int teardown(void **state)
{
	(void)state;
	engine_destroy(engine);
	return (int)pool_used();
}

/* One request; body NULL: none. Returns the status; the answer is in text. */
static u16 ask(const char *request_head, const void *bytes, size_t size)
{
	const struct api_route *route;
	struct api_body body = {0};
	struct http_request rq;
	const char *why = "";

	strcpy(head, request_head);
	assert_int_equal(http_parse(&rq, head, strlen(head), &why), 0);
	reply = (struct api_reply){.out = {text, sizeof(text) - 1, 0}};
	route = api_route(&rq, &reply);
	if (route) {
		if (bytes) {
			body.size = size;
			body.data = pool_alloc(ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
			memcpy(body.data, bytes, size);
		}
		api_answer(route, &rq, &body, &reply);
		if (body.data)
			pool_free(body.data, ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
	}
	assert_true(out_fits(&reply.out));
	text[reply.out.len] = 0;
	return reply.status;
}

static u16 request(const char *method, const char *path)
{
	char line[512];

	snprintf(line, sizeof(line), "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, path);
	return ask(line, NULL, 0);
}

static u16 upload(const void *bytes, size_t size)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "POST /v1/patches HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n"
		 "Content-Type: application/octet-stream\r\n\r\n",
		 size);
	return ask(line, bytes, size);
}

static void assert_has(const char *part)
{
	if (!strstr(text, part))
		fail_msg("no %s in %s", part, text);
}

static void assert_lacks(const char *part)
{
	if (strstr(text, part))
		fail_msg("%s in %s", part, text);
}

/* ---- an agent ---- */

#define OLD_ADDR 0xffffffff81000100ull
#define NEW_ADDR 0xffffffffc0400010ull

static void agent_pumps(const struct suture_step *step)
{
	struct suture_step_reply next;

	do {
		memset(&next, 0, sizeof(next));
		engine_step(engine, step, &next);
	} while (next.kind != SUTURE_STEP_WAIT && next.kind != SUTURE_STEP_DONE);
}

/* The agent does what an uploaded patch needs, up to its declaration: then it is in transition. */
static int agent_loads(const char *name)
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
	struct suture_module live = {.msg.size = sizeof(live), .state = SUTURE_MODULE_LIVE};
	struct suture_step step = {.pump = SUTURE_PUMP_INIT};
	struct suture_work work = {0};
	struct suture_loaded loaded = {0};
	int r;

	engine_work(engine, &work);
	if (work.kind != SUTURE_WORK_LOAD)
		return -ENOENT;
	d.m.msg.size = sizeof(d);
	strcpy(d.m.name, name);
	strcpy(step.name, name);
	strcpy(live.name, name);
	r = engine_declare(engine, &d.m);
	if (!r)
		agent_pumps(&step);
	loaded.id = work.id;
	if (!r)
		r = engine_module(engine, &live);
	if (!r)
		r = engine_loaded(engine, &loaded);
	return r;
}

/* The agent does what the engine wants of it, until it wants no more. */
static void agent_works(const char *name)
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

/* ---- the tests ---- */

static void knows_its_paths(void **state)
{
	(void)state;
	assert_int_equal(request("GET", "/"), 404);
	assert_has("\"code\":\"ENOENT\"");
	assert_has("no such path: /; there are GET /v1/status, ");
	assert_has("GET /metrics");
	assert_int_equal(request("GET", "/v1/statusx"), 404);
	assert_int_equal(request("GET", "/v1/patches/"), 404);
	assert_int_equal(request("GET", "/v1/patches/a/b"), 404);
	assert_int_equal(request("GET", "/v1/patches/"
					"a2345678901234567890123456789012345678901234567890123456"),
			 404);
	assert_int_equal(request("DELETE", "/v1/patches/a"), 405);
	assert_string_equal(reply.allow, "GET, HEAD");
	assert_has("\"code\":\"EOPNOTSUPP\"");
	assert_int_equal(request("PUT", "/v1/patches"), 405);
	assert_string_equal(reply.allow, "GET, HEAD, POST");
	assert_int_equal(request("GET", "/v1/patches/a/revert"), 405);
	assert_string_equal(reply.allow, "POST");
	assert_int_equal(request("HEAD", "/v1/status"), 200);
	assert_int_equal(request("GET", "/v1/status?x=1"), 200);
}

static void escapes_a_path_in_its_answer(void **state)
{
	(void)state;
	assert_int_equal(request("GET", "/\"\xff<>\\"), 404);
	assert_has("no such path: /\\\"\\u00ff<>\\\\;");
}

#define POST(path, headers) "POST " path " HTTP/1.1\r\nHost: a\r\n" headers "\r\n"

static void refuses_bodies_before_they_come(void **state)
{
	(void)state;
	assert_int_equal(ask(POST("/v1/patches", ""), NULL, 0), 411);
	assert_int_equal(ask(POST("/v1/patches", "Transfer-Encoding: chunked\r\n"), NULL, 0), 411);
	assert_int_equal(ask(POST("/v1/patches", "Content-Length: 0\r\n"), NULL, 0), 400);
	assert_int_equal(ask(POST("/v1/patches", "Content-Length: 16777217\r\n"), NULL, 0), 413);
	assert_has("16777217 bytes");
	assert_int_equal(
		ask(POST("/v1/patches", "Content-Length: 9\r\nContent-Type: text/plain\r\n"), NULL,
		    0),
		415);
	assert_has("application/octet-stream, not text/plain");
	assert_int_equal(ask(POST("/v1/patches/a/revert", "Content-Length: 1\r\n"), NULL, 0), 413);
	assert_int_equal(
		ask("GET /v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", NULL, 0),
		413);
	assert_int_equal(ask(POST("/v1/patches/a/revert", "Origin: http://evil\r\n"), NULL, 0),
			 403);
	assert_int_equal(ask(POST("/v1/patches/a/revert", "Expect: money\r\n"), NULL, 0), 417);
}

static void shows_status_before_anything_has_happened(void **state)
{
	char abi[32];

	(void)state;
	cpus[1].exits[EXIT_CPUID] = 340;
	cpus[2].state = CPU_GUEST;
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_string_equal(reply.type, "application/json");
	format(abi, sizeof(abi), "\"abi\":%u,", SUTURE_ABI_VERSION);
	assert_has(abi);
	assert_has("{\"id\":0,\"hwid\":0,\"state\":\"service\",");
	assert_has("{\"id\":1,\"hwid\":1,\"state\":\"parked\",\"exits\":{\"hypercall\":0,"
		   "\"cpuid\":340,");
	assert_has("{\"id\":2,\"hwid\":2,\"state\":\"guest\",");
	assert_has("\"agent\":false,\"kernel\":null,\"transition\":null,\"patches\":{\"total\":0}");
	assert_has("\"nic\":null");
	assert_int_equal(request("GET", "/v1/info"), 503);
	assert_has("\"code\":\"ESRCH\"");
	agent_arrives();
	assert_int_equal(request("GET", "/v1/info"), 200);
	assert_string_equal(text, "{\"kernel\":{\"release\":\"6.1.0-test\",\"build_id\":"
				  "\"abababababababababababababababababababab\"}}\n");
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("\"agent\":true,\"kernel\":{\"release\":\"6.1.0-test\",");
}

static void refuses_bundles(void **state)
{
	size_t size = make_bundle(bundle, "fix", 100);

	(void)state;
	assert_int_equal(upload(bundle, size), 503); /* no agent */
	assert_has("\"code\":\"ESRCH\"");
	agent_arrives();
	assert_int_equal(upload(bundle, size - 1), 400);
	assert_has("\"code\":\"EMSGSIZE\"");
	assert_int_equal(upload(bundle, 7), 400);
	bundle[0] ^= 1;
	assert_int_equal(upload(bundle, size), 400);
	assert_has("\"code\":\"EBADMSG\"");
	bundle[0] ^= 1;
	guest_kernel.build_id[19] = 0;
	assert_int_equal(upload(bundle, size), 409);
	assert_has("\"code\":\"ENOEXEC\"");
	assert_has("abababababababababababababababababababab,");
	assert_has("ababababababababababababababababababab00");
	assert_int_equal(request("GET", "/v1/patches"), 200);
	assert_string_equal(text, "{\"patches\":[]}\n");
}

static void accepts_a_bundle_once(void **state)
{
	size_t size = make_bundle(bundle, "fix", 20000);
	u64 before = pool_used();

	(void)state;
	agent_arrives();
	assert_int_equal(upload(bundle, size), 202);
	assert_string_equal(text, "{\"name\":\"fix\"}\n");
	assert_string_equal(reply.location, "/v1/patches/fix");
	assert_true(pool_used() > before + size / PAGE_SIZE);
	assert_int_equal(upload(bundle, size), 409);
	assert_has("\"code\":\"EEXIST\"");
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("{\"name\":\"fix\",\"version\":\"one\",\"phase\":\"uploaded\",\"final\":false,");
	assert_has("\"error\":null,\"why\":\"\"");
	assert_int_equal(request("GET", "/v1/patches/fi"), 404);
	assert_has("no patch fi;");
	assert_int_equal(request("POST", "/v1/patches/fix/revert"), 202);
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("\"phase\":\"reverted\",\"final\":true,");
	assert_int_equal(request("POST", "/v1/patches/fix/revert"), 404);
	assert_has("\"code\":\"ENOENT\"");
}

/* The whole life of a patch, with a task whose name is made to break readers in its way. */
static void shows_a_transition_and_who_blocks_it(void **state)
{
	size_t size = make_bundle(bundle, "fix", 100);

	(void)state;
	agent_arrives();
	assert_int_equal(upload(bundle, size), 202);
	attempt.result = -EAGAIN;
	attempt.report = (struct transition_report){
		.pause_last_us = 41,
		.pause_max_us = 66,
		.cpus_paused = 2,
		.tasks_checked = 71,
		.tasks_before_pause = 64,
		.words_checked = 10433,
		.words_cleared = 3,
		.blocker = {.valid = true,
			    .pid = 412,
			    .comm = "x\",\"pid\":0,\"\n",
			    .func = "f",
			    .address = 0xffffffffc0301044,
			    .where = "stack",
			    .nr_stack = 2,
			    .stack = {{0xffffffff8171f0a2, "", "schedule+0x42/0xa0"},
				      {0xffffffffc0301044, "f", ""}}},
		.reason = "task 412 is in f"};
	assert_int_equal(agent_loads("fix"), 0);
	engine_tick(engine);
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has(
		"\"transition\":{\"patch\":\"fix\",\"phase\":\"patching\",\"attempts\":1,"
		"\"stuck\":false,\"why\":\"\",\"reason\":\"task 412 is in "
		"f\",\"blocker\":{\"pid\":412,"
		"\"comm\":\"x\\\",\\\"pid\\\":0,\\\"\\u000a\",\"func\":\"f\",\"where\":\"stack\","
		"\"address\":\"0xffffffffc0301044\",\"symbol\":\"\",\"stack\":[{\"address\":"
		"\"0xffffffff8171f0a2\",\"func\":\"\",\"symbol\":\"schedule+0x42/0xa0\"},"
		"{\"address\":\"0xffffffffc0301044\",\"func\":\"f\",\"symbol\":\"\"}]}},"
		"\"patches\":{\"total\":1,\"patching\":1},\"current\":[{\"name\":\"fix\",");
	assert_has("\"objects\":[{\"name\":\"vmlinux\",\"loaded\":true,\"patched\":true}],"
		   "\"functions\":[{\"object\":\"vmlinux\",\"name\":\"f\",");
	assert_int_equal(request("GET", "/metrics"), 200);
	assert_has("suture_patches{phase=\"patching\"} 1\n");
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("\"apply\":{\"attempts\":1,\"pause_last_us\":41,\"pause_max_us\":66,"
		   "\"cpus_paused\":2,\"tasks_checked\":71,\"tasks_before_pause\":64,"
		   "\"words_checked\":10433,\"words_cleared\":3,");
	assert_has("\"redirected\":false}],\"states\":[]}");

	attempt.result = 0;
	attempt.report.blocker.valid = false;
	attempt.report.reason[0] = 0;
	attempt.report.pages_shadowed = 2;
	attempt.report.functions_redirected = 1;
	agent_works("fix");
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("\"phase\":\"applied\",\"final\":true,");
	assert_has("\"pages_shadowed\":2,\"functions_redirected\":1,\"reason\":\"\",\"blocker\":"
		   "null}");
	assert_has("\"functions\":[{\"object\":\"vmlinux\",\"name\":\"f\","
		   "\"old\":\"0xffffffff81000100\",\"size\":32,\"new\":\"0xffffffffc0400010\","
		   "\"redirected\":true}],\"states\":[]}");
	assert_has("\"stack_order\":1,\"forced\":false,\"objects_total\":1,"
		   "\"functions_total\":1,\"states_total\":0,");
	assert_int_equal(request("GET", "/v1/patches"), 200);
	assert_lacks("\"functions\":");
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("\"transition\":null,\"patches\":{\"total\":1,\"applied\":1},"
		   "\"current\":[{\"name\":\"fix\",");

	assert_int_equal(request("POST", "/v1/patches/fix/revert"), 202);
	agent_works("fix");
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("\"phase\":\"reverted\",\"final\":true,");
	assert_has("\"stack_order\":null,");
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("\"patches\":{\"total\":1,\"reverted\":1},\"current\":[],");
}

/* A patch of the guest's own with one module that is not loaded, and states. */
static void declare_with_states(void)
{
	struct {
		struct suture_declare m;
		struct suture_decl_object objects[2];
		struct suture_decl_func func;
		struct suture_decl_state states[2];
	} d = {.m = {.text_start = NEW_ADDR,
		     .text_end = NEW_ADDR + 0x100,
		     .nr_objects = 2,
		     .nr_funcs = 1,
		     .nr_states = 2},
	       .objects = {{.name = "vmlinux", .loaded = 1}, {.name = "ext4"}},
	       .func = {.name = "f",
			.old_addr = OLD_ADDR,
			.old_size = 32,
			.new_addr = NEW_ADDR,
			.new_size = 32},
	       .states = {{.id = 7, .version = 2, .is_shadow = 1},
			  {.id = 0xfedcba9876543210, .block_disable = 1}}};
	struct suture_module live = {.msg.size = sizeof(live), .state = SUTURE_MODULE_LIVE};
	struct suture_step step = {.pump = SUTURE_PUMP_INIT};

	d.m.msg.size = sizeof(d);
	strcpy(d.m.name, "own");
	strcpy(step.name, "own");
	strcpy(live.name, "own");
	assert_int_equal(engine_declare(engine, &d.m), 0);
	agent_pumps(&step);
	assert_int_equal(engine_module(engine, &live), 0);
	agent_works("own");
}

static void shows_objects_and_states(void **state)
{
	(void)state;
	engine_destroy(engine);
	engine_setup_own(true);
	agent_arrives();
	declare_with_states();
	assert_int_equal(request("GET", "/v1/patches/own"), 200);
	assert_has("\"objects_total\":2,\"functions_total\":1,\"states_total\":2,");
	assert_has("\"objects\":[{\"name\":\"vmlinux\",\"loaded\":true,\"patched\":true},"
		   "{\"name\":\"ext4\",\"loaded\":false,\"patched\":false}],");
	assert_has("\"states\":[{\"id\":\"7\",\"version\":2,\"is_shadow\":true,"
		   "\"block_disable\":false,\"owner\":\"own\"},"
		   "{\"id\":\"18364758544493064720\",\"version\":0,\"is_shadow\":false,"
		   "\"block_disable\":true,\"owner\":\"own\"}]}");
	assert_int_equal(request("GET", "/v1/patches"), 200);
	assert_lacks("\"states\":[");
}

/* The status of so many functions that they would not fit: who wants them asks for the patch. */
static void status_stays_small(void **state)
{
	static struct {
		struct suture_declare m;
		struct suture_decl_object object;
		struct suture_decl_func funcs[SUTURE_MAX_FUNCS];
	} d;

	(void)state;
	engine_destroy(engine);
	engine_setup_own(true);
	agent_arrives();
	for (u64 n = 0; n < 2; n++) {
		struct suture_module live = {.msg.size = sizeof(live), .state = SUTURE_MODULE_LIVE};
		struct suture_step step = {.pump = SUTURE_PUMP_INIT};

		d.m = (struct suture_declare){.msg.size = sizeof(d),
					      .text_start = NEW_ADDR + n * 0x10000,
					      .text_end = NEW_ADDR + n * 0x10000 + 0x10000,
					      .nr_objects = 1,
					      .nr_funcs = SUTURE_MAX_FUNCS};
		d.object = (struct suture_decl_object){.name = "vmlinux", .loaded = 1};
		for (u32 i = 0; i < SUTURE_MAX_FUNCS; i++) {
			d.funcs[i] = (struct suture_decl_func){
				.old_addr = OLD_ADDR + (n * SUTURE_MAX_FUNCS + i) * 64,
				.old_size = 32,
				.new_addr = d.m.text_start + i * 64,
				.new_size = 32};
			format(d.funcs[i].name, SUTURE_SYM_LEN, "f%u_%u", (u32)n, i);
		}
		format(d.m.name, sizeof(d.m.name), "large%u", (u32)n);
		strcpy(step.name, d.m.name);
		strcpy(live.name, d.m.name);
		assert_int_equal(engine_declare(engine, &d.m), 0);
		agent_pumps(&step);
		assert_int_equal(engine_module(engine, &live), 0);
		agent_works(d.m.name);
	}
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("\"applied\":2},\"current\":[{\"name\":\"large0\",");
	assert_has("\"functions_total\":512,");
	assert_lacks("\"functions\":");
	assert_true(reply.out.len < 10000);
}

static void counts_shadow_variables(void **state)
{
	struct {
		struct suture_shadow m;
		struct suture_shadow_id ids[3];
	} report = {
		.m = {.msg.size = sizeof(report), .nr_ids = 3, .more_count = 1, .more_bytes = 10},
		.ids = {{7, 2, 16}, {8, 1, 100}, {0xfedcba9876543210, 4, 0}}};

	(void)state;
	engine_destroy(engine);
	engine_setup_own(true);
	agent_arrives();
	assert_int_equal(request("GET", "/v1/shadow"), 503);
	assert_has("\"code\":\"ESRCH\"");
	declare_with_states();
	assert_int_equal(engine_shadow(engine, &report.m), 0);
	assert_int_equal(request("GET", "/v1/shadow"), 200);
	assert_has("\"count\":8,\"bytes\":126,\"ids\":["
		   "{\"id\":\"7\",\"count\":2,\"bytes\":16,\"patch\":\"own\","
		   "\"is_shadow\":true},"
		   "{\"id\":\"8\",\"count\":1,\"bytes\":100,\"patch\":null,"
		   "\"is_shadow\":false},"
		   "{\"id\":\"18364758544493064720\",\"count\":4,\"bytes\":0,"
		   "\"patch\":\"own\",\"is_shadow\":false}],"
		   "\"more\":{\"count\":1,\"bytes\":10}}");
	assert_int_equal(request("GET", "/metrics"), 200);
	assert_has("\nsuture_shadow_variables 8\n");
	assert_has("\nsuture_shadow_variable_bytes 126\n");
	assert_int_equal(request("POST", "/v1/shadow"), 405);
}

static void cancels_a_transition(void **state)
{
	size_t size = make_bundle(bundle, "fix", 100);

	(void)state;
	agent_arrives();
	assert_int_equal(request("POST", "/v1/patches/fix/cancel"), 404);
	assert_has("\"code\":\"ENOENT\"");
	assert_int_equal(request("GET", "/v1/patches/fix/cancel"), 405);
	assert_string_equal(reply.allow, "POST");
	assert_int_equal(upload(bundle, size), 202);
	assert_int_equal(request("POST", "/v1/patches/fix/cancel"), 409);
	assert_has("\"code\":\"EBUSY\"");
	attempt.result = -EAGAIN;
	attempt.report = (struct transition_report){
		.blocker = {
			.valid = true, .pid = 412, .comm = "cat", .func = "f", .where = "stack"}};
	assert_int_equal(agent_loads("fix"), 0);
	/* 31 seconds in which somebody is always in f */
	for (u32 i = 0; i < 62; i++) {
		fake_time_set(2000000 + i * 500000ull, 100);
		engine_tick(engine);
	}
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("\"stuck\":true,\"why\":\"somebody always sleeps in f (last: cat, pid 412): ");
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("`suture cancel fix`\",\"stuck\":true,");
	engine_work(engine, &(struct suture_work){0}); /* the agent is there */
	assert_int_equal(request("POST", "/v1/patches/fix/cancel"), 202);
	assert_string_equal(text, "{\"name\":\"fix\"}\n");
	assert_string_equal(reply.location, "/v1/patches/fix");
	attempt.result = 0;
	agent_works("fix");
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("\"phase\":\"failed\",\"final\":true,");
	assert_has("\"error\":\"ECANCELED\",\"why\":\"cancelled by the operator\",\"stuck\":false");
}

/* Its way is the engine's tests'; here is who may ask, and what he is told. */
static void rolls_back(void **state)
{
	size_t size = make_bundle(bundle, "fix", 100);

	(void)state;
	agent_arrives();
	assert_int_equal(request("POST", "/v1/patches/fix/rollback"), 404);
	assert_has("\"code\":\"ENOENT\"");
	assert_int_equal(request("GET", "/v1/patches/fix/rollback"), 405);
	assert_string_equal(reply.allow, "POST");
	assert_int_equal(upload(bundle, size), 202);
	assert_int_equal(request("POST", "/v1/patches/fix/rollback"), 409);
	assert_has("\"code\":\"EBUSY\"");
	assert_has("patch 'fix' is uploaded: only one that is applied can be rolled back");
	assert_int_equal(agent_loads("fix"), 0);
	agent_works("fix");
	assert_int_equal(request("POST", "/v1/patches/fix/rollback"), 400);
	assert_has("\"code\":\"EINVAL\"");
	assert_has("patch 'fix' has replaced no patch");
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("\"phase\":\"applied\",\"final\":true,");
}

/* An answer that does not fit says how much it needs, and then it fits. */
static void says_how_much_room_it_needs(void **state)
{
	struct http_request rq;
	const struct api_route *route;
	struct api_body body = {0};
	const char *why;
	char small[16];
	size_t need;

	(void)state;
	strcpy(head, "GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(http_parse(&rq, head, strlen(head), &why), 0);
	reply = (struct api_reply){.out = {small, sizeof(small), 0}};
	route = api_route(&rq, &reply);
	assert_true(api_repeatable(route));
	fake_time_set(1000000, 0);
	api_answer(route, &rq, &body, &reply);
	assert_false(out_fits(&reply.out));
	need = reply.out.len;
	reply.out = (struct out){text, need, 0};
	api_answer(route, &rq, &body, &reply);
	assert_true(out_fits(&reply.out));
	assert_int_equal(reply.out.len, need);
	assert_int_equal(text[need - 2], '}');
}

static void pages_through_the_log(void **state)
{
	struct log_entry e;
	u64 first = 1;
	char path[64], expect[64];

	(void)state;
	while (log_read(first, &e))
		first = e.seq + 1;
	for (int i = 0; i < 300; i++)
		log_warn("line %d \"of\" the log\t.", i);
	snprintf(path, sizeof(path), "/v1/log?since=%llu", (unsigned long long)first);
	assert_int_equal(request("GET", path), 200);
	assert_has("\"level\":\"warn\",\"text\":\"line 0 \\\"of\\\" the log\\u0009.\"}");
	assert_has("line 255 ");
	assert_lacks("line 256 ");
	snprintf(expect, sizeof(expect), "],\"next\":%llu}", (unsigned long long)first + 256);
	assert_has(expect);
	snprintf(path, sizeof(path), "/v1/log?limit=2&since=%llu", (unsigned long long)first + 256);
	assert_int_equal(request("GET", path), 200);
	assert_lacks("line 255 ");
	assert_has("line 256 ");
	assert_has("line 257 ");
	assert_lacks("line 258 ");
	assert_int_equal(request("GET", "/v1/log?since=100000"), 200);
	assert_string_equal(text, "{\"lines\":[],\"next\":100000}\n");
	assert_int_equal(request("GET", "/v1/log?since=x"), 400);
	assert_has("\"code\":\"EINVAL\"");
	assert_int_equal(request("GET", "/v1/log?limit=-1"), 400);
}

/* Each line is a comment or a sample of a metric that was announced, with a number. */
static void metrics_are_well_formed(void **state)
{
	char family[128] = "";
	u32 samples = 0;

	(void)state;
	cpus[1].exits[EXIT_MSR] = 17;
	fake_time_set(12345678, 0);
	assert_int_equal(request("GET", "/metrics"), 200);
	assert_string_equal(reply.type, "text/plain; version=0.0.4; charset=utf-8");
	assert_has("\nsuture_exits_total{cpu=\"1\",class=\"msr\"} 17\n");
	assert_has("\nsuture_uptime_seconds 12.345678\n");
	assert_has("\nsuture_cpus{state=\"parked\"} 2\n");
	assert_has("\nsuture_pool_pages{state=\"used\"} ");
	assert_has("\nsuture_patches{phase=\"failed\"} 0\n");
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		size_t name = strcspn(line, "{ ");
		char *end;

		if (!strncmp(line, "# TYPE ", 7)) {
			assert_int_equal(sscanf(line + 7, "%127s", family), 1);
			assert_true(strstr(line, " counter") || strstr(line, " gauge"));
			continue;
		}
		if (!strncmp(line, "# HELP ", 7))
			continue;
		assert_int_equal(strlen(family), name);
		assert_memory_equal(line, family, name);
		strtod(strrchr(line, ' ') + 1, &end);
		assert_int_equal(*end, 0);
		samples++;
	}
	assert_in_range(samples, 50, 100);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(knows_its_paths),
		T(escapes_a_path_in_its_answer),
		T(refuses_bodies_before_they_come),
		T(shows_status_before_anything_has_happened),
		T(refuses_bundles),
		T(accepts_a_bundle_once),
		T(shows_a_transition_and_who_blocks_it),
		T(shows_objects_and_states),
		T(status_stays_small),
		T(counts_shadow_variables),
		T(cancels_a_transition),
		T(rolls_back),
		T(says_how_much_room_it_needs),
		T(pages_through_the_log),
		T(metrics_are_well_formed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
