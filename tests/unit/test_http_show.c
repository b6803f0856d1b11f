/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of the API over a real engine: status, patches, shadow variables, log, metrics. */
#include "guest/wanted.h"
#include "api_rig.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "document.h"
#include "lib/format.h"

static void shows_status_before_anything_has_happened(void **state)
{
	char abi[32];

	(void)state;
	cpus[1].exits[EXIT_CPU_ID] = 340;
	cpus[2].state = CPU_GUEST;
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_string_equal(reply.type, "application/json");
	format(abi, sizeof(abi), "\"abi\":%u,", SUTURE_ABI_VERSION);
	assert_has(abi);
	assert_has("{\"id\":0,\"hwid\":0,\"state\":\"service\",");
	assert_has("{\"id\":1,\"hwid\":1,\"state\":\"parked\",\"exits\":{\"hypercall\":0,"
		   "\"cpu_id\":340,");
	assert_has("{\"id\":2,\"hwid\":2,\"state\":\"guest\",");
	assert_has(
		"\"agent\":false,\"guest\":{\"state\":\"unknown\",\"silent_us\":null,\"why\":\"\"},"
		"\"kernel\":null,\"transition\":null,\"patches\":{\"total\":0}");
	assert_has("\"nic\":null");
	assert_int_equal(request("GET", "/v1/info"), 503);
	assert_has("\"code\":\"ESRCH\"");
	agent_arrives();
	assert_int_equal(request("GET", "/v1/info"), 200);
	assert_string_equal(text, "{\"kernel\":{\"release\":\"6.1.0-test\",\"build_id\":"
				  "\"abababababababababababababababababababab\"}}\n");
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("\"agent\":true,\"guest\":{\"state\":\"alive\",");
	assert_has("\"why\":\"\"},\"kernel\":{\"release\":\"6.1.0-test\",");
}

static void shows_a_silent_guest(void **state)
{
	(void)state;
	fake_time_set(1000000, 0);
	assert_int_equal(request("GET", "/metrics"), 200);
	assert_has("\nsuture_agent_silent_seconds 0.000000\n");
	assert_has("\nsuture_guest_state{state=\"unknown\"} 1\n");
	agent_arrives();
	fake_time_set(10999999, 0);
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("\"guest\":{\"state\":\"alive\",\"silent_us\":9999999,\"why\":\"\"},");
	fake_time_set(15200000, 0);
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("\"agent\":true,\"guest\":{\"state\":\"silent\",\"silent_us\":14200000,"
		   "\"why\":\"agent silent for 14 s: the guest hangs, or is stopped\"},");
	assert_int_equal(request("GET", "/metrics"), 200);
	assert_has("\nsuture_agent_silent_seconds 14.200000\n");
	assert_has("\nsuture_guest_state{state=\"alive\"} 0\n");
	assert_has("\nsuture_guest_state{state=\"silent\"} 1\n");
	engine_work(engine, &(struct suture_work){0});
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("\"state\":\"alive\",\"silent_us\":0,\"why\":\"\"");
}

/* All phases of a patch, with a blocker whose name has characters that could break JSON. */
static void shows_a_transition_and_who_blocks_it(void **state)
{
	static const struct suture_wanted told = {
		.name = "other", .state = SUTURE_WANTED_WAITS, .text = "of \"another\"\n"};
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
		"f\",\"detail\":\"\",\"blocker\":{\"attempt\":1,\"pid\":412,"
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
	assert_has("\"apply\":{\"from_below\":false,\"left_out\":\"\",\"attempts\":1,\"pause_last_"
		   "us\":41,\"pause_max_us\":66,"
		   "\"cpus_paused\":2,\"tasks_checked\":71,\"tasks_before_pause\":64,"
		   "\"words_checked\":10433,\"words_cleared\":3,");
	assert_has("\"redirected\":false,\"in_force\":false,\"covered_by\":\"\","
		   "\"not_in_force\":\"\",\"uncalled\":false}],\"states\":[],\"clones\":[]}");

	attempt.result = 0;
	attempt.report.blocker.valid = false;
	attempt.report.reason[0] = 0;
	attempt.report.pages_remapped = 2;
	attempt.report.functions_redirected = attempt.report.functions_verified = 1;
	agent_works("fix");
	assert_int_equal(request("GET", "/v1/patches/fix"), 200);
	assert_has("\"phase\":\"applied\",\"final\":true,");
	assert_has("\"pages_remapped\":2,\"functions_redirected\":1,"
		   "\"functions_verified\":1,\"mismatch\":\"\",\"reason\":\"\",\"detail\":"
		   "\"\",\"blocker\":{\"attempt\":1,\"pid\":412,");
	assert_has("\"functions\":[{\"object\":\"vmlinux\",\"name\":\"f\","
		   "\"old\":\"0xffffffff81000100\",\"size\":32,\"new\":\"0xffffffffc0400010\","
		   "\"redirected\":true,\"in_force\":true,\"covered_by\":\"\","
		   "\"not_in_force\":\"\",\"uncalled\":false}],\"states\":[],\"clones\":[]}");
	assert_has("\"stack_order\":1,\"forced\":false,\"objects_total\":1,"
		   "\"functions_total\":1,\"functions_not_in_force\":0,\"states_total\":0,");
	assert_int_equal(wanted_tell(&told), 0);
	assert_int_equal(request("GET", "/v1/patches"), 200);
	assert_has("\"wanted\":[{\"name\":\"other\",\"state\":\"waits\","
		   "\"why\":\"of \\\"another\\\"\\u000a\"}]}");
	wanted_forget();
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

/* The guest may have patches of its own. */
static void own_patches(void)
{
	engine_destroy(engine);
	engine_setup_own(true, true);
	agent_arrives();
}

/* A patch of the guest's own with one module that is not loaded, and states. */
static void declare_with_states(void)
{
	struct {
		struct suture_declare m;
		struct suture_decl_object objects[2];
		struct suture_decl_func func;
		struct suture_decl_state states[2];
		struct suture_decl_clone clone;
	} d = {.m = {.text_start = NEW_ADDR,
		     .text_end = NEW_ADDR + 0x100,
		     .nr_objects = 2,
		     .nr_funcs = 1,
		     .nr_states = 2,
		     .nr_clones = 1,
		     .more_clones = 3},
	       .objects = {{.name = "vmlinux", .loaded = 1}, {.name = "ext4"}},
	       .func = {.name = "f",
			.old_addr = OLD_ADDR,
			.old_size = 32,
			.new_addr = NEW_ADDR,
			.new_size = 32},
	       .states = {{.id = 7, .version = 2, .is_shadow = 1},
			  {.id = 0xfedcba9876543210, .block_disable = 1}},
	       .clone = {.nr_callers = 2, .name = "f.part.0", .callers = {"g", "\"h"}}};

	assert_int_equal(agent_declares("own", &d.m, sizeof(d)), 0);
	agent_works("own");
}

static void shows_objects_and_states(void **state)
{
	(void)state;
	own_patches();
	declare_with_states();
	assert_int_equal(request("GET", "/v1/patches/own"), 200);
	assert_has("\"objects_total\":2,\"functions_total\":1,"
		   "\"functions_not_in_force\":0,\"states_total\":2,");
	assert_has("\"objects\":[{\"name\":\"vmlinux\",\"loaded\":true,\"patched\":true},"
		   "{\"name\":\"ext4\",\"loaded\":false,\"patched\":false}],");
	assert_has("\"states\":[{\"id\":\"7\",\"version\":2,\"is_shadow\":true,"
		   "\"block_disable\":false,\"owner\":\"own\"},"
		   "{\"id\":\"18364758544493064720\",\"version\":0,\"is_shadow\":false,"
		   "\"block_disable\":true,\"owner\":\"own\"}],");
	assert_has("\"clones_total\":4,");
	assert_has("\"clones\":[{\"object\":\"vmlinux\",\"function\":\"f\",\"name\":\"f.part.0\","
		   "\"callers_total\":2,\"callers\":[\"g\",\"\\\"h\"]}]}");
	assert_int_equal(request("GET", "/v1/patches"), 200);
	assert_lacks("\"states\":[");
	assert_lacks("\"clones\":[");
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
	own_patches();
	for (u64 n = 0; n < 2; n++) {
		char name[16];

		d.m = (struct suture_declare){.text_start = NEW_ADDR + n * 0x40000,
					      .text_end = NEW_ADDR + n * 0x40000 + 0x40000,
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
		format(name, sizeof(name), "large%u", (u32)n);
		assert_int_equal(agent_declares(name, &d.m, sizeof(d)), 0);
		agent_works(name);
	}
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("\"applied\":2},\"current\":[{\"name\":\"large0\",");
	assert_has("\"functions_total\":4096,");
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
	own_patches();
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
	rq.role = TLS_ROLE_ADMIN;
	rq.client = "";
	reply = (struct api_reply){.out = {small, sizeof(small), 0}};
	route = api_route(&rq, &reply);
	assert_true(api_repeatable(route));
	fake_time_set(1000000, 0);
	api_answer(engine, route, &rq, &body, &reply);
	assert_false(out_fits(&reply.out));
	need = reply.out.len;
	reply.out = (struct out){text, need, 0};
	api_answer(engine, route, &rq, &body, &reply);
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
	assert_has("\"level\":\"warn\",\"kind\":\"monitor\",\"text\":\"line 0 \\\"of\\\" the "
		   "log\\u0009.\"}");
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

static void shows_dead_cpus(void **state)
{
	(void)state;
	cpu_mark_dead(&cpus[1], "host-state", "exit code %#x", 0x400);
	assert_int_equal(request("GET", "/v1/status"), 200);
	assert_has("{\"id\":1,\"hwid\":1,\"state\":\"dead\",\"why\":\"exit code 0x400\",");
	assert_int_equal(request("GET", "/v1/log"), 200);
	assert_has("\"text\":\"CPU 1 is dead: exit code 0x400\"}");
}

/* Each line is a comment or a sample of a metric that was announced, with a number. */
static void metrics_are_well_formed(void **state)
{
	char family[128] = "";
	u32 samples = 0;

	(void)state;
	cpus[1].exits[EXIT_SYSREG] = 17;
	cpu_mark_dead(&cpus[1], "host-state", "exit code %#x", 0x400);
	fake_time_set(12345678, 0);
	assert_int_equal(request("GET", "/metrics"), 200);
	assert_string_equal(reply.type, "text/plain; version=0.0.4; charset=utf-8");
	assert_has("\nsuture_exits_total{cpu=\"1\",class=\"sysreg\"} 17\n");
	assert_has("\nsuture_uptime_seconds 12.345678\n");
	assert_has("\nsuture_cpus{state=\"parked\"} 1\n");
	assert_has("\nsuture_cpus{state=\"dead\"} 1\n");
	assert_has("\nsuture_cpu_dead{cpu=\"1\",cause=\"host-state\"} 1\n");
	assert_has("\nsuture_log_left_out_total{kind=\"access\"} ");
	assert_has("\nsuture_memory_bytes{state=\"used\"} ");
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
	assert_in_range(samples, 50, 120);
}

/* ---- docs/api.md ---- */

static struct {
	struct names members, metrics;
} answered;

static void note_names(void)
{
	names_find(&answered.members, text, "\"", "\":");
	names_find(&answered.metrics, text, "# TYPE suture_", " ");
}

/* What only a monitor with a NIC has. */
static const char *const nic_members[] = {"driver",	"mac",	      "link",	    "interrupt",
					  "rx_packets", "tx_packets", "rx_dropped", "tx_dropped"};
static const char *const nic_metrics[] = {"nic_packets_total", "nic_dropped_total", "nic_link_up"};

/*
 * The last test: of all answers that the others had, each member and each metric is in the
 * document, and what is there was in one of them. tests/qemu/test_api.py looks at where it stands
 * as well.
 */
static void names_are_documented(void **state)
{
	struct names members = {0}, metrics = {0};
	const char *api = document("docs/api.md");
	size_t wrong;

	(void)state;
	agent_arrives();
	assert_int_equal(request("GET", "/v1/info"), 200);
	assert_int_equal(request("DELETE", "/v1/patches"), 200);
	assert_int_equal(request("GET", "/v1/audit"), 200);
	assert_int_equal(upload(bundle, make_bundle(bundle, "fix", 100)), 202);
	assert_int_equal(upload(bundle, make_bundle(bundle, "fix", 100)), 200);
	assert_int_equal(request("DELETE", "/v1/patches"), 200);
	for (u32 i = 0; i < ARRAY_SIZE(nic_members); i++)
		names_put(&answered.members, nic_members[i]);
	for (u32 i = 0; i < ARRAY_SIZE(nic_metrics); i++)
		names_put(&answered.metrics, nic_metrics[i]);
	names_find(&members, api, "\"", "\":");
	names_find(&metrics, api, "`suture_", "`");
	/* these are members of "patches", of which the document shows one */
	for (u32 i = 0; i <= PHASE_FAILED; i++) {
		names_put(&members, patch_phase_name(i));
		names_put(&answered.members, patch_phase_name(i));
	}
	wrong = names_missing(&answered.members, &members, "a member that docs/api.md lacks");
	wrong += names_missing(&answered.metrics, &metrics, "a metric that docs/api.md lacks");
	wrong += names_missing(&members, &answered.members, "documented, and in no answer");
	wrong += names_missing(&metrics, &answered.metrics, "documented, and no metric");
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(shows_status_before_anything_has_happened),
		T(shows_a_silent_guest),
		T(shows_a_transition_and_who_blocks_it),
		T(shows_objects_and_states),
		T(status_stays_small),
		T(counts_shadow_variables),
		T(says_how_much_room_it_needs),
		T(shows_dead_cpus),
		T(pages_through_the_log),
		T(metrics_are_well_formed),
		T(names_are_documented),
	};

	on_answer = note_names;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
