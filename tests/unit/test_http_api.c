/* SPDX-License-Identifier: BSD-2-Clause */
/* The API's paths, what it refuses, and the requests that change something, over a real engine. */
#include "api_rig.h"

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
	assert_int_equal(request("POST", "/v1/patches/a"), 405);
	assert_string_equal(reply.allow, "GET, HEAD, DELETE");
	assert_int_equal(request("DELETE", "/v1/status"), 405);
	assert_string_equal(reply.allow, "GET, HEAD");
	assert_has("\"code\":\"EOPNOTSUPP\"");
	assert_int_equal(request("PUT", "/v1/patches"), 405);
	assert_string_equal(reply.allow, "GET, HEAD, POST, DELETE");
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
	assert_string_equal(text, "{\"patches\":[],\"wanted\":[]}\n");
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
	assert_int_equal(upload(bundle, size), 200);
	assert_string_equal(text, "{\"name\":\"fix\",\"already\":true}\n");
	size = make_bundle(bundle, "fix", 20008);
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

/* The same request with a query, which must be 0 or 1. */
static u16 upload_strictly(const void *bytes, size_t size, const char *strict)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "POST /v1/patches?strict=%s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n"
		 "Content-Type: application/octet-stream\r\n\r\n",
		 strict, size);
	return ask(line, bytes, size);
}

static void strict_upload(void **state)
{
	size_t size = make_bundle(bundle, "fix", 100);

	(void)state;
	agent_arrives();
	assert_int_equal(upload_strictly(bundle, size, "2"), 400);
	assert_has("strict is 0 or 1");
	assert_int_equal(upload_strictly(bundle, size, "0&downgrade=2"), 400);
	assert_has("so is downgrade");
	assert_int_equal(upload_strictly(bundle, size, "yes"), 400);
	assert_int_equal(upload_strictly(bundle, size, "1"), 202);
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("\"clones_total\":0");
	assert_has("\"clones\":[]");
}

/* The operator's word is stronger than the floor. */
static void upload_below_the_floor(void **state)
{
	size_t size = make_bundle(bundle, "fix", 100);

	(void)state;
	floors = (struct floors){1, {{"fix", "p"}}};
	agent_arrives();
	assert_int_equal(upload(bundle, size), 409);
	assert_has("floor for it is 'p': an operator's --allow-downgrade");
	assert_int_equal(request("GET", "/v1/patches/fix"), 404);
	assert_int_equal(upload_strictly(bundle, size, "0&downgrade=1"), 202);
	floors.count = 0;
}

/* What is refused for a patch that is not there, and for one that is only uploaded. */
static void upload_and_refuse(const char *path)
{
	size_t size = make_bundle(bundle, "fix", 100);

	agent_arrives();
	assert_int_equal(request("POST", path), 404);
	assert_has("\"code\":\"ENOENT\"");
	assert_int_equal(request("GET", path), 405);
	assert_string_equal(reply.allow, "POST");
	assert_int_equal(upload(bundle, size), 202);
	assert_int_equal(request("POST", path), 409);
	assert_has("\"code\":\"EBUSY\"");
}

static void cancels_a_transition(void **state)
{
	(void)state;
	upload_and_refuse("/v1/patches/fix/cancel");
	attempt.result = -EAGAIN;
	attempt.report = (struct transition_report){
		.blocker = {
			.valid = true, .pid = 412, .comm = "cat", .func = "f", .where = "stack"}};
	assert_int_equal(agent_loads("fix"), 0);
	/* 31 seconds in which a task is always in f */
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

/* The rollback itself is tested with the engine; this tests its refusals and answers. */
static void rolls_back(void **state)
{
	(void)state;
	upload_and_refuse("/v1/patches/fix/rollback");
	assert_has("patch 'fix' is uploaded: only one that is applied can be rolled back");
	assert_int_equal(agent_loads("fix"), 0);
	agent_works("fix");
	assert_int_equal(request("POST", "/v1/patches/fix/rollback"), 400);
	assert_has("\"code\":\"EINVAL\"");
	assert_has("patch 'fix' has replaced no patch");
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("\"phase\":\"applied\",\"final\":true,");
}

static void reverts_from_below(void **state)
{
	size_t size = make_bundle(bundle, "fix", 100);

	(void)state;
	agent_arrives();
	assert_int_equal(upload(bundle, size), 202);
	assert_int_equal(agent_loads("fix"), 0);
	agent_works("fix");
	assert_int_equal(request("POST", "/v1/patches/fix/revert?from_below=2"), 400);
	assert_has("from_below and force are 0 or 1, not ?from_below=2");
	assert_int_equal(request("POST", "/v1/patches/fix/revert?force=1"), 400);
	assert_has("force=1 is for from_below=1 only");
	assert_int_equal(request("POST", "/v1/patches/fix/revert?from_below=1"), 409);
	assert_has("the agent in the guest answers: `suture revert fix`");
	fake_time_set(60000000, 100);
	assert_int_equal(request("POST", "/v1/patches/fix/revert"), 503);
	assert_has("`suture revert --from-below fix` does it without the agent");
	assert_int_equal(request("POST", "/v1/patches/fix/revert?from_below=1&force=1"), 202);
	attempt.report.from_below = true; /* the test's attempt fills the report anew */
	for (u32 i = 0; i < 3; i++)
		engine_tick(engine);
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("\"phase\":\"disabled\",\"final\":true,");
	assert_has("\"forced\":true,");
	assert_has("\"why\":\"off from below by force, left out: no callbacks; ");
	assert_has("\"revert\":{\"from_below\":true,\"left_out\":\"\",");
}

static void clears_what_has_ended(void **state)
{
	size_t size = make_bundle(bundle, "fix", 100);

	(void)state;
	agent_arrives();
	assert_int_equal(request("DELETE", "/v1/patches/fix"), 404);
	assert_has("\"code\":\"ENOENT\"");
	assert_int_equal(upload(bundle, size), 202);
	assert_int_equal(request("DELETE", "/v1/patches/fix"), 409);
	assert_has("patch 'fix' is uploaded: only what is reverted or failed can be cleared");
	assert_int_equal(request("DELETE", "/v1/patches"), 200);
	assert_string_equal(text, "{\"cleared\":0}\n");
	assert_int_equal(request("POST", "/v1/patches/fix/revert"), 202);
	size = make_bundle(bundle, "other", 100);
	assert_int_equal(upload(bundle, size), 202);
	assert_int_equal(request("POST", "/v1/patches/other/revert"), 202);
	assert_int_equal(request("DELETE", "/v1/patches/fix"), 200);
	assert_string_equal(text, "{\"cleared\":1}\n");
	assert_int_equal(request("GET", "/v1/patches/fix"), 404);
	assert_int_equal(request("GET", "/v1/patches/other"), 200);
	assert_int_equal(request("DELETE", "/v1/patches"), 200);
	assert_string_equal(text, "{\"cleared\":1}\n");
	assert_int_equal(request("GET", "/v1/patches"), 200);
	assert_string_equal(text, "{\"patches\":[],\"wanted\":[]}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(knows_its_paths),
		T(escapes_a_path_in_its_answer),
		T(refuses_bodies_before_they_come),
		T(refuses_bundles),
		T(accepts_a_bundle_once),
		T(strict_upload),
		T(upload_below_the_floor),
		T(cancels_a_transition),
		T(rolls_back),
		T(reverts_from_below),
		T(clears_what_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
