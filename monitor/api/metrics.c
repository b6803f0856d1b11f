/* SPDX-License-Identifier: BSD-2-Clause */
/* GET /metrics: the Prometheus text exposition format, version 0.0.4. */
#include "api/api.h"
#include "api/http.h"
#include "arch/time.h"
#include "core/log.h"
#include "core/pause.h"
#include "core/pool.h"
#include "core/version.h"
#include "net/net.h"
#include "net/nic.h"
#include "stage2/shadow.h"

/* The lines that stand before the samples of a metric. */
static void family(struct out *o, const char *name, const char *type, const char *help)
{
	out_format(o, "# HELP suture_%s %s\n# TYPE suture_%s %s\n", name, help, name, type);
}

/* A metric of one sample without labels. */
static void single(struct out *o, const char *name, const char *type, const char *help, u64 value)
{
	family(o, name, type, help);
	out_format(o, "suture_%s %llu\n", name, (unsigned long long)value);
}

static void seconds(struct out *o, const char *name, const char *help, u64 us)
{
	family(o, name, "gauge", help);
	out_format(o, "suture_%s %llu.%06llu\n", name, (unsigned long long)(us / 1000000),
		   (unsigned long long)(us % 1000000));
}

/* A sample with one label. */
static void sample(struct out *o, const char *name, const char *label, const char *which, u64 value)
{
	out_format(o, "suture_%s{%s=\"%s\"} %llu\n", name, label, which, (unsigned long long)value);
}

static void show_cpus(struct out *o)
{
	u32 counts[CPU_STATES] = {0};

	for_each_cpu (c) {
		u32 state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);

		if (state < CPU_STATES)
			counts[state]++;
	}
	family(o, "cpus", "gauge", "CPUs in each state.");
	for (u32 i = 0; i < CPU_STATES; i++)
		sample(o, "cpus", "state", cpu_state_names[i], counts[i]);
	family(o, "cpu_dead", "gauge", "1 for each CPU that cannot run the guest any more.");
	for_each_cpu (c)
		if (__atomic_load_n(&c->state, __ATOMIC_ACQUIRE) == CPU_DEAD)
			out_format(o, "suture_cpu_dead{cpu=\"%u\",cause=\"%s\"} 1\n", c->id,
				   c->dead_cause);

	family(o, "exits_total", "counter", "Exits from the guest into the monitor.");
	for_each_cpu (c) {
		if (c->state == CPU_SERVICE)
			continue;
		for (u32 i = 0; i < EXIT_CLASSES; i++)
			out_format(o, "suture_exits_total{cpu=\"%u\",class=\"%s\"} %llu\n", c->id,
				   exit_class_names[i], (unsigned long long)READ_ONCE(c->exits[i]));
	}
}

static void show_pauses(struct out *o)
{
	struct pause_stats s;

	pause_stats(&s);
	single(o, "pauses_total", "counter", "Pauses of the guest.", s.count);
	single(o, "pause_timeouts_total", "counter",
	       "Pauses that not all guest CPUs reached in time.", s.timeouts);
	seconds(o, "pause_last_seconds", "How long the last pause took.", s.last_us);
	seconds(o, "pause_max_seconds", "How long the longest pause took.", s.max_us);
}

static void show_pool(struct out *o)
{
	struct pool_stats s;

	pool_stats(&s);
	family(o, "pool_pages", "gauge", "The monitor's memory, 4 KiB pages.");
	sample(o, "pool_pages", "state", "used", s.used_pages);
	sample(o, "pool_pages", "state", "free", s.total_pages - s.used_pages);
	single(o, "pool_peak_pages", "gauge", "Most pages in use at once.", s.peak_pages);
}

static void show_patches(const struct engine *e, struct out *o)
{
	u32 counts[PHASE_FAILED + 1] = {0}, not_in_force = 0;
	struct guest_health h;
	struct patch_info p;

	for (u32 i = 0; !engine_patch_info(e, i, &p); i++) {
		counts[p.phase]++;
		not_in_force += p.nr_not_in_force;
	}
	single(o, "agent_present", "gauge", "1 while the agent in the guest is registered.",
	       engine_agent_present(e));
	engine_guest_health(e, &h);
	seconds(o, "agent_silent_seconds",
		"Since the agent's last word; 0 while there is no agent.", h.silent_us);
	family(o, "guest", "gauge", "1 for the state that the guest is in.");
	for (u32 i = 0; i < GUEST_STATES; i++)
		sample(o, "guest", "state", guest_state_name((enum guest_state)i), i == h.state);
	family(o, "patches", "gauge", "Patches in each phase.");
	for (u32 i = 0; i <= PHASE_FAILED; i++)
		sample(o, "patches", "phase", patch_phase_name(i), counts[i]);
	single(o, "functions_not_in_force", "gauge",
	       "Functions of patches that are redirected while other code runs.", not_in_force);
}

static void show_variables(const struct engine *e, struct out *o)
{
	struct shadow_total t;

	engine_shadow_total(e, &t);
	single(o, "shadow_variables", "gauge", "Shadow variables in the guest.", t.count);
	single(o, "shadow_variable_bytes", "gauge", "Bytes in shadow variables.", t.bytes);
}

static void show_shadow(const struct engine *e, struct out *o)
{
	struct shadow_stats s;
	struct look_stats look;

	shadow_stats(&s);
	single(o, "redirects", "gauge", "Functions that are redirected now.", s.redirects);
	engine_look_stats(e, &look);
	single(o, "readback_functions", "gauge",
	       "Functions whose redirects the last look, once a second, has read back.",
	       look.functions);
	seconds(o, "readback_last_seconds", "Time of the service CPU that it took.", look.last_us);
	seconds(o, "readback_max_seconds", "The most that any look took in one go.", look.max_us);
	single(o, "shadow_pages", "gauge", "Pages that carry redirects.", s.pages);
}

static void show_net(struct out *o)
{
	const struct nic *n = net_nic();
	struct http_stats h;

	if (n) {
		family(o, "nic_packets_total", "counter", "Frames of the management NIC.");
		sample(o, "nic_packets_total", "direction", "receive", n->rx_packets);
		sample(o, "nic_packets_total", "direction", "transmit", n->tx_packets);
		family(o, "nic_dropped_total", "counter", "Frames that were dropped.");
		sample(o, "nic_dropped_total", "direction", "receive", n->rx_dropped);
		sample(o, "nic_dropped_total", "direction", "transmit", n->tx_dropped);
		single(o, "nic_link_up", "gauge", "1 while the management NIC has a link.",
		       n->link_up);
	}
	http_stats(&h);
	family(o, "http_requests_total", "counter", "Answers of the API, by class of status.");
	sample(o, "http_requests_total", "status", "2xx", h.good);
	sample(o, "http_requests_total", "status", "4xx", h.refused);
	sample(o, "http_requests_total", "status", "5xx", h.failed);
	single(o, "http_connections", "gauge", "Connections that are open.", h.connections);
}

static void show_log(struct out *o)
{
	family(o, "log_lines_total", "counter", "Lines of the log, by kind.");
	for (u32 i = 0; i < LOG_KINDS; i++)
		sample(o, "log_lines_total", "kind", log_kind_name(i), log_count(i).kept);
	family(o, "log_left_out_total", "counter", "Lines above the limit of their kind.");
	for (u32 i = 0; i < LOG_KINDS; i++)
		sample(o, "log_left_out_total", "kind", log_kind_name(i), log_count(i).left_out);
}

void api_metrics(const struct engine *e, struct api_reply *reply)
{
	struct out *o = &reply->out;

	reply->type = "text/plain; version=0.0.4; charset=utf-8";
	family(o, "info", "gauge", "The monitor's version.");
	out_format(o, "suture_info{version=\"%s\",abi=\"%u\"} 1\n", MONITOR_VERSION,
		   SUTURE_ABI_VERSION);
	seconds(o, "uptime_seconds", "Since the monitor's start.", arch_time_us());
	show_cpus(o);
	show_pauses(o);
	show_pool(o);
	show_patches(e, o);
	show_variables(e, o);
	show_shadow(e, o);
	show_net(o);
	show_log(o);
}
