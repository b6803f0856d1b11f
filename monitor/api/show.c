/* SPDX-License-Identifier: BSD-2-Clause */
/* The routes that show the monitor and its guest, in JSON. Patches are in patches.c. */
#include "api/api.h"
#include "arch/time.h"
#include "core/audit.h"
#include "core/lives.h"
#include "core/log.h"
#include "core/pause.h"
#include "core/pool.h"
#include "core/version.h"
#include "guest/kernel.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "net/net.h"
#include "net/nic.h"
#include "stage2/shadow.h"
#include "tls/keys.h"
#include "tls/platform.h"
#include "tls/tls.h"

#define LOG_LINES_MAX 256u

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

/* `agent` alone does not show that the guest hangs. */
static void show_guest(const struct engine *e, struct json *j)
{
	struct guest_health h;

	engine_guest_health(e, &h);
	json_object(j, "guest");
	json_str(j, "state", guest_state_name(h.state));
	if (h.state == GUEST_UNKNOWN)
		json_null(j, "silent_us");
	else
		json_u64(j, "silent_us", h.silent_us);
	json_str(j, "why", h.why);
	json_object_end(j);
}

void api_info(const struct engine *e, struct json *j, const struct http_request *rq,
	      const char *name, struct api_reply *reply)
{
	(void)e, (void)rq, (void)name;
	if (!guest_kernel.registered) {
		api_error(reply, 503, -ESRCH,
			  "no agent has registered: load the suture module in the guest");
		return;
	}
	show_kernel(j);
}

static void show_cpus(struct json *j)
{
	json_array(j, "cpus");
	for_each_cpu (c) {
		u32 state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);

		json_object(j, NULL);
		json_u64(j, "id", c->id);
		json_u64(j, "hwid", c->hwid);
		json_str(j, "state", state < CPU_STATES ? cpu_state_names[state] : "?");
		if (state == CPU_DEAD)
			json_str(j, "why", c->dead_why);
		json_object(j, "exits");
		for (u32 i = 0; i < EXIT_CLASSES; i++)
			json_u64(j, exit_class_names[i], READ_ONCE(c->exits[i]));
		json_object_end(j);
		json_object_end(j);
	}
	json_array_end(j);
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
	json_u64(j, "total_bytes", ms.total_pages * PAGE_SIZE);
	json_u64(j, "used_bytes", ms.used_pages * PAGE_SIZE);
	json_u64(j, "peak_bytes", ms.peak_pages * PAGE_SIZE);
	json_object_end(j);
}

static void show_service(struct json *j)
{
	json_object(j, "service");
	json_u64(j, "lives", 1 + lives.count);
	json_u64(j, "since_us", lives.began_us);
	if (lives.last)
		json_str(j, "ended", lives.last);
	else
		json_null(j, "ended");
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

static void show_security(struct json *j)
{
	json_object(j, "security");
	json_bool(j, "insecure", !tls_stats().on);
	json_u64(j, "trusted_keys", keys_signers());
	json_u64(j, "utc", tls_utc());
	json_object_end(j);
}

void api_status(const struct engine *e, struct json *j, const struct http_request *rq,
		const char *name, struct api_reply *reply)
{
	(void)rq, (void)name, (void)reply;
	json_str(j, "version", MONITOR_VERSION);
	json_u64(j, "abi", SUTURE_ABI_VERSION);
	json_u64(j, "uptime_us", arch_time_us());
	json_bool(j, "hide", shadow_is_hidden());
	show_cpus(j);
	json_bool(j, "agent", engine_agent_present(e));
	show_guest(e, j);
	show_kernel(j);
	api_show_current(e, j);
	show_pauses_and_memory(j);
	show_service(j);
	show_security(j);
	show_nic(j);
}

void api_shadow(const struct engine *e, struct json *j, const struct http_request *rq,
		const char *name, struct api_reply *reply)
{
	struct shadow_total total;
	struct shadow_id s;

	(void)rq, (void)name;
	engine_shadow_total(e, &total);
	if (!total.known) {
		api_error(
			reply, 503, -ESRCH,
			"the agent has not counted shadow variables yet: there is none, or it has "
			"just registered");
		return;
	}
	json_u64(j, "counted_us", total.when_us);
	json_u64(j, "count", total.count);
	json_u64(j, "bytes", total.bytes);
	json_array(j, "ids");
	for (u32 i = 0; !engine_shadow_id(e, i, &s); i++) {
		json_object(j, NULL);
		api_json_id(j, "id", s.id);
		json_u64(j, "count", s.count);
		json_u64(j, "bytes", s.bytes);
		if (s.patch[0])
			json_str(j, "patch", s.patch);
		else
			json_null(j, "patch");
		json_bool(j, "is_shadow", s.is_shadow);
		json_object_end(j);
	}
	json_array_end(j);
	json_object(j, "more");
	json_u64(j, "count", total.more_count);
	json_u64(j, "bytes", total.more_bytes);
	json_object_end(j);
}

static const char *const level_names[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

void api_audit(const struct engine *e, struct json *j, const struct http_request *rq,
	       const char *name, struct api_reply *reply)
{
	struct audit_record r;
	u8 chain[SHA256_SIZE];
	u64 since = 0;

	(void)e, (void)name;
	if (http_query_u64(rq, "since", &since)) {
		api_error(reply, 400, -EINVAL, "since is a decimal number, not ?%.*s%s",
			  BRIEF(rq->query, 60));
		return;
	}
	json_u64(j, "seq", audit_head(chain));
	json_bytes(j, "chain", chain, sizeof(chain));
	json_array(j, "records");
	for (; audit_read(since, &r); since = r.seq + 1) {
		json_object(j, NULL);
		json_u64(j, "seq", r.seq);
		json_str(j, "text", r.text);
		json_bytes(j, "chain", r.chain, sizeof(r.chain));
		json_object_end(j);
	}
	json_array_end(j);
}

void api_log(const struct engine *e, struct json *j, const struct http_request *rq,
	     const char *name, struct api_reply *reply)
{
	u64 since = 0, limit = LOG_LINES_MAX;
	struct log_entry line;

	(void)e, (void)name;
	if (http_query_u64(rq, "since", &since) || http_query_u64(rq, "limit", &limit)) {
		api_error(reply, 400, -EINVAL, "since and limit are decimal numbers, not ?%.*s%s",
			  BRIEF(rq->query, 60));
		return;
	}
	limit = MIN(limit, LOG_LINES_MAX);
	json_array(j, "lines");
	for (; limit && log_read(since, &line); limit--) {
		json_object(j, NULL);
		json_u64(j, "seq", line.seq);
		json_u64(j, "time_us", line.time_us);
		json_str(j, "level", level_names[line.level & 3]);
		json_str(j, "kind", log_kind_name(line.kind));
		json_strn(j, "text", line.text, sizeof(line.text));
		json_object_end(j);
		since = line.seq + 1;
	}
	json_array_end(j);
	json_u64(j, "next", since);
}
