/* SPDX-License-Identifier: BSD-2-Clause */
/* The routes that show something, in JSON. */
#include "net/api.h"
#include "core/arch.h"
#include "core/errno.h"
#include "core/lib/format.h"
#include "core/lib/string.h"
#include "core/log.h"
#include "core/pause.h"
#include "core/pool.h"
#include "core/service.h"
#include "core/version.h"
#include "guest/kernel.h"
#include "net/net.h"
#include "net/nic.h"

#define LOG_LINES_MAX 256

const char *const api_cpu_state_names[API_CPU_STATES] = {
	[CPU_ABSENT] = "absent", [CPU_PARKED] = "parked",   [CPU_GUEST] = "guest",
	[CPU_HELD] = "held",	 [CPU_SERVICE] = "service",
};

static void begin(struct json *j, struct api_reply *reply)
{
	*j = (struct json){&reply->out, false};
	json_object(j, NULL);
}

static void end(struct json *j)
{
	json_object_end(j);
	out_bytes(j->out, "\n", 1);
}

static void show_blocker(struct json *j, const struct blocker *b)
{
	if (!b->valid) {
		json_null(j, "blocker");
		return;
	}
	json_object(j, "blocker");
	json_u64(j, "pid", b->pid);
	json_strn(j, "comm", b->comm, sizeof(b->comm));
	json_strn(j, "func", b->func, sizeof(b->func));
	json_strn(j, "where", b->where, sizeof(b->where));
	json_address(j, "address", b->address);
	json_array(j, "stack");
	for (u32 i = 0; i < MIN(b->nr_stack, BLOCKER_STACK); i++) {
		json_object(j, NULL);
		json_address(j, "address", b->stack[i].address);
		json_strn(j, "func", b->stack[i].func, sizeof(b->stack[i].func));
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static void show_report(struct json *j, const char *key, const struct transition_report *r)
{
	json_object(j, key);
	json_u64(j, "attempts", r->attempts);
	json_u64(j, "pause_last_us", r->pause_last_us);
	json_u64(j, "pause_max_us", r->pause_max_us);
	json_u64(j, "cpus_paused", r->cpus_paused);
	json_u64(j, "tasks_checked", r->tasks_checked);
	json_u64(j, "words_checked", r->words_checked);
	json_u64(j, "words_cleared", r->words_cleared);
	json_u64(j, "pages_shadowed", r->pages_shadowed);
	json_u64(j, "functions_redirected", r->functions_redirected);
	json_strn(j, "reason", r->reason, sizeof(r->reason));
	show_blocker(j, &r->blocker);
	json_object_end(j);
}

static bool is_final(enum patch_phase p)
{
	return p == PHASE_APPLIED || p == PHASE_DISABLED || p == PHASE_REVERTED ||
	       p == PHASE_FAILED;
}

/* The members of a patch, without its functions. */
static void show_patch(struct json *j, const struct patch_info *p)
{
	json_strn(j, "name", p->name, sizeof(p->name));
	json_strn(j, "version", p->version, sizeof(p->version));
	json_str(j, "phase", patch_phase_name(p->phase));
	json_bool(j, "final", is_final(p->phase));
	json_bool(j, "replace", p->replace);
	json_bool(j, "bundle", p->from_bundle);
	if (p->error)
		json_str(j, "error", errno_name(p->error));
	else
		json_null(j, "error");
	json_strn(j, "why", p->why, sizeof(p->why));
	json_bool(j, "stuck", p->stuck);
	json_u64(j, "objects", p->nr_objects);
	json_u64(j, "functions_total", p->nr_funcs);
	json_u64(j, "states", p->nr_states);
	show_report(j, "apply", &p->apply);
	show_report(j, "revert", &p->revert);
}

static void show_functions(struct json *j, const struct engine *e, u32 patch)
{
	struct patch_func_info f;

	json_array(j, "functions");
	for (u32 i = 0; !engine_patch_func(e, patch, i, &f); i++) {
		json_object(j, NULL);
		json_strn(j, "object", f.object, sizeof(f.object));
		json_strn(j, "name", f.name, sizeof(f.name));
		json_address(j, "old", f.old_addr);
		json_u64(j, "size", f.old_size);
		json_address(j, "new", f.new_addr);
		json_bool(j, "redirected", f.redirected);
		json_object_end(j);
	}
	json_array_end(j);
}

void api_patches(const struct http_request *rq, const char *name, struct api_reply *reply)
{
	const struct engine *e = service_engine();
	struct patch_info p;
	struct json j;

	(void)rq, (void)name;
	begin(&j, reply);
	json_array(&j, "patches");
	for (u32 i = 0; !engine_patch_info(e, i, &p); i++) {
		json_object(&j, NULL);
		show_patch(&j, &p);
		json_object_end(&j);
	}
	json_array_end(&j);
	end(&j);
}

void api_patch(const struct http_request *rq, const char *name, struct api_reply *reply)
{
	const struct engine *e = service_engine();
	struct patch_info p;
	struct json j;
	u32 i = 0;

	(void)rq;
	for (; !engine_patch_info(e, i, &p); i++)
		if (!strcmp(p.name, name))
			break;
	if (engine_patch_info(e, i, &p)) {
		api_error(reply, 404, -ENOENT,
			  "no patch %s; GET /v1/patches lists those that there are", name);
		return;
	}
	begin(&j, reply);
	show_patch(&j, &p);
	show_functions(&j, e, i);
	end(&j);
}

static void show_kernel(struct json *j)
{
	if (!guest_kernel.registered) {
		json_null(j, "kernel");
		return;
	}
	json_object(j, "kernel");
	json_strn(j, "release", guest_kernel.release, sizeof(guest_kernel.release));
	json_bytes(j, "build_id", guest_kernel.build_id, guest_kernel.build_id_len);
	json_object_end(j);
}

void api_info(const struct http_request *rq, const char *name, struct api_reply *reply)
{
	struct json j;

	(void)rq, (void)name;
	if (!guest_kernel.registered) {
		api_error(reply, 503, -ESRCH,
			  "no agent has registered: load the suture module in the guest");
		return;
	}
	begin(&j, reply);
	show_kernel(&j);
	end(&j);
}

static void show_cpus(struct json *j)
{
	json_array(j, "cpus");
	for_each_cpu (c) {
		u32 state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);

		json_object(j, NULL);
		json_u64(j, "id", c->id);
		json_u64(j, "hwid", c->hwid);
		json_str(j, "state", state < API_CPU_STATES ? api_cpu_state_names[state] : "?");
		json_object(j, "exits");
		for (u32 i = 0; i < EXIT_CLASSES; i++)
			json_u64(j, exit_class_names[i], READ_ONCE(c->exits[i]));
		json_object_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

/* The patch that is in transition, and how many there are in each phase. */
static void show_transition_and_counts(struct json *j)
{
	u32 counts[PHASE_FAILED + 1] = {0}, total = 0;
	bool found = false;
	struct patch_info p;

	for (; !engine_patch_info(service_engine(), total, &p); total++) {
		const struct transition_report *r =
			p.phase == PHASE_PATCHING ? &p.apply : &p.revert;

		counts[p.phase]++;
		if (found || (p.phase != PHASE_PATCHING && p.phase != PHASE_UNPATCHING))
			continue;
		found = true;
		json_object(j, "transition");
		json_strn(j, "patch", p.name, sizeof(p.name));
		json_str(j, "phase", patch_phase_name(p.phase));
		json_u64(j, "attempts", r->attempts);
		json_bool(j, "stuck", p.stuck);
		json_strn(j, "why", p.why, sizeof(p.why));
		json_strn(j, "reason", r->reason, sizeof(r->reason));
		show_blocker(j, &r->blocker);
		json_object_end(j);
	}
	if (!found)
		json_null(j, "transition");
	json_object(j, "patches");
	json_u64(j, "total", total);
	for (u32 i = 0; i <= PHASE_FAILED; i++)
		if (counts[i])
			json_u64(j, patch_phase_name(i), counts[i]);
	json_object_end(j);
}

static void show_pauses_and_memory(struct json *j)
{
	struct pause_stats ps;
	struct pool_stats ms;

	pause_stats(&ps);
	pool_stats(&ms);
	json_object(j, "pauses");
	json_u64(j, "count", ps.count);
	json_u64(j, "timeouts", ps.timeouts);
	json_u64(j, "last_us", ps.last_us);
	json_u64(j, "max_us", ps.max_us);
	json_object_end(j);
	json_object(j, "memory");
	json_u64(j, "page_size", PAGE_SIZE);
	json_u64(j, "total_pages", ms.total_pages);
	json_u64(j, "used_pages", ms.used_pages);
	json_u64(j, "peak_pages", ms.peak_pages);
	json_object_end(j);
}

static void show_nic(struct json *j)
{
	const struct nic *n = net_nic();
	char mac[18];

	if (!n) {
		json_null(j, "nic");
		return;
	}
	format(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", n->mac[0], n->mac[1], n->mac[2],
	       n->mac[3], n->mac[4], n->mac[5]);
	json_object(j, "nic");
	json_str(j, "driver", n->ops->name);
	json_str(j, "mac", mac);
	json_bool(j, "link", n->link_up);
	json_bool(j, "interrupt", n->has_irq);
	json_u64(j, "rx_packets", n->rx_packets);
	json_u64(j, "tx_packets", n->tx_packets);
	json_u64(j, "rx_dropped", n->rx_dropped);
	json_u64(j, "tx_dropped", n->tx_dropped);
	json_object_end(j);
}

void api_status(const struct http_request *rq, const char *name, struct api_reply *reply)
{
	struct json j;

	(void)rq, (void)name;
	begin(&j, reply);
	json_str(&j, "version", MONITOR_VERSION);
	json_u64(&j, "abi", SUTURE_ABI_VERSION);
	json_u64(&j, "uptime_us", arch_time_us());
	show_cpus(&j);
	json_bool(&j, "agent", engine_agent_present(service_engine()));
	show_kernel(&j);
	show_transition_and_counts(&j);
	show_pauses_and_memory(&j);
	show_nic(&j);
	end(&j);
}

static const char *const level_names[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

void api_log(const struct http_request *rq, const char *name, struct api_reply *reply)
{
	u64 since = 0, limit = LOG_LINES_MAX;
	struct log_entry e;
	struct json j;

	(void)name;
	if (http_query_u64(rq, "since", &since) || http_query_u64(rq, "limit", &limit)) {
		api_error(reply, 400, -EINVAL, "since and limit are decimal numbers, not ?%.60s",
			  rq->query);
		return;
	}
	limit = MIN(limit, LOG_LINES_MAX);
	begin(&j, reply);
	json_array(&j, "lines");
	for (; limit && log_read(since, &e); limit--) {
		json_object(&j, NULL);
		json_u64(&j, "seq", e.seq);
		json_u64(&j, "time_us", e.time_us);
		json_str(&j, "level", level_names[e.level & 3]);
		json_strn(&j, "text", e.text, sizeof(e.text));
		json_object_end(&j);
		since = e.seq + 1;
	}
	json_array_end(&j);
	json_u64(&j, "next", since);
	end(&j);
}
