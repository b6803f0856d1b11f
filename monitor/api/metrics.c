/* SPDX-License-Identifier: BSD-2-Clause */
/* GET /metrics: the Prometheus text exposition format, version 0.0.4. */
#include "api/api.h"
#include "api/http.h"
#include "arch/time.h"
#include "core/log.h"
#include "core/pause.h"
#include "core/pool.h"
#include "core/version.h"
#include "lib/string.h"
#include "net/net.h"
#include "net/nic.h"
#include "stage2/shadow.h"
#include "tls/keys.h"
#include "tls/platform.h"
#include "tls/tls.h"

/* The lines that stand before the samples of a metric. */
static void metric_family(struct out *o, const char *name, const char *type, const char *help)
{
	out_format(o, "# HELP suture_%s %s\n# TYPE suture_%s %s\n", name, help, name, type);
}

/* A metric of one sample without labels. */
static void metric_value(struct out *o, const char *name, const char *type, const char *help,
			 u64 value)
{
	metric_family(o, name, type, help);
	out_format(o, "suture_%s %llu\n", name, value);
}

static void metric_seconds(struct out *o, const char *name, const char *help, u64 us)
{
	metric_family(o, name, "gauge", help);
	out_format(o, "suture_%s %llu.%06llu\n", name, us / 1000000, us % 1000000);
}

/* A sample with one label. */
static void metric_sample(struct out *o, const char *name, const char *label, const char *which,
			  u64 value)
{
	out_format(o, "suture_%s{%s=\"%s\"} %llu\n", name, label, which, value);
}

static void show_cpus(struct out *o)
{
	u32 counts[CPU_STATES] = {0};

	for_each_cpu (c) {
		u32 state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);

		if (state < CPU_STATES)
			counts[state]++;
	}
	metric_family(o, "cpus", "gauge", "CPUs in each state.");
	for (u32 i = 0; i < CPU_STATES; i++)
		metric_sample(o, "cpus", "state", cpu_state_names[i], counts[i]);
	metric_family(o, "cpu_dead", "gauge", "1 for each CPU that cannot run the guest any more.");
	for_each_cpu (c)
		if (__atomic_load_n(&c->state, __ATOMIC_ACQUIRE) == CPU_DEAD)
			out_format(o, "suture_cpu_dead{cpu=\"%u\",cause=\"%s\"} 1\n", c->id,
				   c->dead_cause);

	metric_family(o, "exits_total", "counter", "Exits from the guest into the monitor.");
	for_each_cpu (c) {
		if (c->state == CPU_SERVICE)
			continue;
		for (u32 i = 0; i < EXIT_CLASSES; i++)
			out_format(o, "suture_exits_total{cpu=\"%u\",class=\"%s\"} %llu\n", c->id,
				   exit_class_names[i], READ_ONCE(c->exits[i]));
	}
}

static void show_pauses(struct out *o)
{
	struct pause_stats s;

	pause_stats(&s);
	metric_value(o, "pauses_total", "counter", "Pauses of the guest.", s.count);
	metric_value(o, "pause_timeouts_total", "counter",
		     "Pauses that not all guest CPUs reached in time.", s.timeouts);
	metric_seconds(o, "pause_last_seconds", "How long the last pause took.", s.last_us);
	metric_seconds(o, "pause_max_seconds", "How long the longest pause took.", s.max_us);
}

static void show_memory(struct out *o)
{
	struct pool_stats s;

	pool_stats(&s);
	metric_family(o, "memory_bytes", "gauge", "The monitor's memory.");
	metric_sample(o, "memory_bytes", "state", "used", s.used_pages * PAGE_SIZE);
	metric_sample(o, "memory_bytes", "state", "free",
		      (s.total_pages - s.used_pages) * PAGE_SIZE);
	metric_value(o, "memory_peak_bytes", "gauge", "Most memory in use at once.",
		     s.peak_pages * PAGE_SIZE);
}

/* A guest that makes patches itself can name them with any byte. */
static void patch_label(char label[SUTURE_NAME_LEN], const struct patch_info *p)
{
	str_copy(label, p->name, SUTURE_NAME_LEN);
	for (char *c = label; *c; c++)
		if (*c <= ' ' || *c >= 0x7f || *c == '"' || *c == '\\')
			*c = '?';
}

/* A sample for each patch; value: of one that is there. */
static void patch_samples(const struct engine *e, struct out *o, const char *name,
			  u64 (*value)(const struct patch_info *p))
{
	char label[SUTURE_NAME_LEN];
	struct patch_info p;

	for (u32 i = 0; !engine_patch_info(e, i, &p); i++) {
		patch_label(label, &p);
		metric_sample(o, name, "patch", label, value(&p));
	}
}

static u64 patch_in_force(const struct patch_info *p)
{
	return p->phase == PHASE_APPLIED && !p->nr_not_in_force;
}

static u64 patch_stuck(const struct patch_info *p)
{
	return p->stuck;
}

static u64 patch_changed_s(const struct patch_info *p)
{
	return p->changed_us / 1000000;
}

static void show_each_patch(const struct engine *e, struct out *o)
{
	metric_family(o, "patch_in_force", "gauge",
		      "1 for each patch that is applied with all of its functions in force.");
	patch_samples(e, o, "patch_in_force", patch_in_force);
	metric_family(o, "patch_stuck", "gauge",
		      "1 for each patch in transition that one function always blocks.");
	patch_samples(e, o, "patch_stuck", patch_stuck);
	metric_family(o, "patch_changed_seconds", "gauge",
		      "From the monitor's start to the last change of the patch's phase.");
	patch_samples(e, o, "patch_changed_seconds", patch_changed_s);
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
	metric_value(o, "agent_present", "gauge", "1 while the agent in the guest is registered.",
		     engine_agent_present(e));
	engine_guest_health(e, &h);
	metric_seconds(o, "agent_silent_seconds",
		       "Since the agent's last word; 0 while there is no agent.", h.silent_us);
	metric_family(o, "guest_state", "gauge", "1 for the state that the guest is in.");
	for (u32 i = 0; i < GUEST_STATES; i++)
		metric_sample(o, "guest_state", "state", guest_state_name((enum guest_state)i),
			      i == h.state);
	metric_family(o, "patches", "gauge", "Patches in each phase.");
	for (u32 i = 0; i <= PHASE_FAILED; i++)
		metric_sample(o, "patches", "phase", patch_phase_name(i), counts[i]);
	show_each_patch(e, o);
	metric_value(o, "functions_not_in_force", "gauge",
		     "Functions of patches that are redirected while other code runs.",
		     not_in_force);
}

static void show_variables(const struct engine *e, struct out *o)
{
	struct shadow_total t;

	engine_shadow_total(e, &t);
	metric_value(o, "shadow_variables", "gauge", "Shadow variables in the guest.", t.count);
	metric_value(o, "shadow_variable_bytes", "gauge", "Bytes in shadow variables.", t.bytes);
}

static void show_shadow(const struct engine *e, struct out *o)
{
	struct shadow_stats s;
	struct look_stats look;

	shadow_stats(&s);
	metric_value(o, "redirects", "gauge", "Functions that are redirected now.", s.redirects);
	engine_look_stats(e, &look);
	metric_value(o, "readback_functions", "gauge",
		     "Functions whose redirects the last look, once a second, has read back.",
		     look.functions);
	metric_seconds(o, "readback_last_seconds", "Time of the service CPU that it took.",
		       look.last_us);
	metric_seconds(o, "readback_max_seconds", "The most that any look took in one go.",
		       look.max_us);
	metric_value(o, "redirect_pages", "gauge", "Pages of the guest that carry redirects.",
		     s.pages);
}

static void show_net(struct out *o)
{
	const struct nic *n = net_nic();
	struct http_stats h;

	if (n) {
		metric_family(o, "nic_packets_total", "counter", "Frames of the management NIC.");
		metric_sample(o, "nic_packets_total", "direction", "receive", n->rx_packets);
		metric_sample(o, "nic_packets_total", "direction", "transmit", n->tx_packets);
		metric_family(o, "nic_dropped_total", "counter", "Frames that were dropped.");
		metric_sample(o, "nic_dropped_total", "direction", "receive", n->rx_dropped);
		metric_sample(o, "nic_dropped_total", "direction", "transmit", n->tx_dropped);
		metric_value(o, "nic_link_up", "gauge", "1 while the management NIC has a link.",
			     n->link_up);
	}
	http_stats(&h);
	metric_family(o, "http_requests_total", "counter",
		      "Answers of the API, by class of status.");
	metric_sample(o, "http_requests_total", "status", "2xx", h.good);
	metric_sample(o, "http_requests_total", "status", "4xx", h.refused);
	metric_sample(o, "http_requests_total", "status", "5xx", h.failed);
	metric_family(o, "http_over_limit_total", "counter",
		      "Requests refused because their certificate had its share.");
	metric_sample(o, "http_over_limit_total", "limit", "connections", h.over_places);
	metric_sample(o, "http_over_limit_total", "limit", "requests", h.over_requests);
	metric_value(o, "http_connections", "gauge", "Connections that are open.", h.connections);
}

static void show_tls(struct out *o)
{
	struct tls_stats s = tls_stats();

	metric_value(o, "insecure", "gauge",
		     "1: the API is plain HTTP, and whoever reaches it may change the guest.",
		     !s.on);
	metric_value(o, "trusted_keys", "gauge",
		     "Keys that may sign bundles; 0: unsigned ones are taken.", keys_signers());
	metric_value(o, "tls_handshakes_total", "counter", "TLS handshakes that succeeded.",
		     s.handshakes);
	metric_family(o, "tls_refused_total", "counter", "Clients that were refused, by reason.");
	for (u32 i = 0; i < TLS_REFUSALS; i++)
		metric_sample(o, "tls_refused_total", "reason",
			      tls_refusal_name((enum tls_refusal)i), s.refused[i]);
	metric_value(o, "tls_memory_bytes", "gauge", "Memory of TLS in use.", tls_memory().used);
}

static void show_log(struct out *o)
{
	metric_family(o, "log_lines_total", "counter", "Lines of the log, by kind.");
	for (u32 i = 0; i < LOG_KINDS; i++)
		metric_sample(o, "log_lines_total", "kind", log_kind_name(i), log_count(i).kept);
	metric_family(o, "log_left_out_total", "counter", "Lines above the limit of their kind.");
	for (u32 i = 0; i < LOG_KINDS; i++)
		metric_sample(o, "log_left_out_total", "kind", log_kind_name(i),
			      log_count(i).left_out);
}

void api_metrics(const struct engine *e, struct api_reply *reply)
{
	struct out *o = &reply->out;

	reply->type = "text/plain; version=0.0.4; charset=utf-8";
	metric_family(o, "info", "gauge", "The monitor's version.");
	out_format(o, "suture_info{version=\"%s\",abi=\"%u\"} 1\n", MONITOR_VERSION,
		   SUTURE_ABI_VERSION);
	metric_seconds(o, "uptime_seconds", "Since the monitor's start.", arch_time_us());
	show_cpus(o);
	show_pauses(o);
	show_memory(o);
	show_patches(e, o);
	show_variables(e, o);
	show_shadow(e, o);
	show_net(o);
	show_tls(o);
	show_log(o);
}
