/* SPDX-License-Identifier: BSD-2-Clause */
/* The service CPU: network, engine, mailbox and timers in one loop. */
#include <suture/abi.h>
#include "agent/mailbox.h"
#include "agent/offer.h"
#include "api/http.h"
#include "arch/platform.h"
#include "arch/service.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "boot/boot.h"
#include "core/audit.h"
#include "core/checkpoint.h"
#include "core/heartbeat.h"
#include "core/log.h"
#include "core/reset.h"
#include "guest/bell.h"
#include "guest/drop.h"
#include "guest/kernel.h"
#include "guest/panic.h"
#include "guest/register.h"
#include "guest/wanted.h"
#include "guest/watch.h"
#include "lib/errno.h"
#include "net/net.h"
#include "patch/check/check.h"
#include "patch/engine/engine.h"
#include "patch/switch/readback.h"
#include "restart.h"
#include "stage2/shadow.h"
#include "tls/keys.h"
#include "tls/platform.h"
#include "tls/tls.h"

/* Intervals between attempts at a switch: most functions are free at once; for the others the
 * interval grows, to spare the guest and the log. */
#define RETRY_US     5000
#define RETRY_MAX_US 1000000

/* There was a switch since the last checkpoint. */
static bool switched;

static void tell_dropped(struct engine *e)
{
	u64 key;

	while (drop_take(&key))
		engine_dropped(e, key);
}

/* How the guest's kernel ended, as it was said first: by itself, if its agent lived. */
static enum kernel_end ended;

static void note_end(struct engine *e, enum kernel_end how)
{
	ended = how;
	engine_kernel_ends(e, how == KERNEL_REPLACED ? "the guest runs another kernel"
						     : "the guest said that its kernel ended");
	/* A message that was posted before says nothing about what is now. */
	mailbox_put_off();
}

static void forget_kernel(struct engine *e)
{
	engine_kernel_gone(e, ended == KERNEL_REPLACED ? "the guest's kernel was replaced"
						       : "the guest's kernel has shut down");
	guest_kernel_forget();
	guest_heartbeat_set(0);
	wanted_forget();
}

/*
 * The guest's kernel has ended, so it was said. The agent of a kernel that shuts down sends nothing
 * more; a new kernel's begins with HELLO. False: it is not known yet.
 */
static bool judge_end(struct engine *e, enum kernel_end how)
{
	enum kernel_fate fate = engine_kernel_fate(e);
	u32 type = mailbox_peek();

	if (fate == KERNEL_IS_FINE) {
		note_end(e, how);
		fate = engine_kernel_fate(e);
		type = 0;
	}
	if (fate == KERNEL_IS_OPEN && !type)
		return false;
	if (fate == KERNEL_IS_OPEN && type != SUTURE_MSG_HELLO && guest_kernel_is_same()) {
		engine_kernel_goes_on(e);
		kexec_goes_on();
	} else {
		forget_kernel(e);
	}
	return true;
}

static void tell_panic(struct engine *e)
{
	char text[SUTURE_TEXT_LEN];

	if (!panic_look(text, sizeof(text)))
		return;
	engine_panicked(e, text);
	checkpoint_take();
	panic_known();
}

/* True if there was a message. A kernel's end is handled first: no message of a new kernel may be
 * taken for the old one's. */
static bool serve_agent(struct engine *e)
{
	enum kernel_end how = kernel_end();

	tell_dropped(e);
	if (how != KERNEL_STAYS) {
		if (!judge_end(e, how))
			return false;
		checkpoint_take();
		kernel_end_known(how);
	}
	return mailbox_serve(e);
}

static int op_switch(void *ctx, const struct switch_set *set, struct transition_report *r)
{
	int err = switch_try(set, r);

	(void)ctx;
	switched |= !err;
	return err;
}

static int op_validate(void *ctx, const struct switch_set *set, struct transition_report *r)
{
	(void)ctx;
	return switch_validate(set, r);
}

static int op_look(void *ctx, u64 key, u64 to, char *why, size_t why_size)
{
	(void)ctx;
	return readback_redirect(key, to, why, why_size);
}

static int op_check_text(void *ctx, const struct text_query *q, char *why, size_t why_size)
{
	(void)ctx;
	return text_check(q, why, why_size);
}

static bool op_is_text(void *ctx, bool module, u64 va, u64 len)
{
	(void)ctx;
	return module ? guest_is_module_text(va, len) : guest_is_kernel_text(va, len);
}

static int op_panic_suspected(void *ctx)
{
	(void)ctx;
	return panic_suspected();
}

static const u8 *op_build_id(void *ctx, u32 *len)
{
	(void)ctx;
	*len = guest_kernel.build_id_len;
	return guest_kernel.registered ? guest_kernel.build_id : NULL;
}

static bool op_watching(void *ctx)
{
	(void)ctx;
	return guest_watch_id() != 0;
}

static void op_unwatch(void *ctx)
{
	(void)ctx;
	check_ahead_forget();
}

static void op_ended(void *ctx, const char *what)
{
	(void)ctx;
	audit_add(tls_utc(), "monitor", what, AUDIT_NO_ANSWER);
}

static u64 op_now(void *ctx)
{
	(void)ctx;
	return arch_time_us();
}

static void *op_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return checkpoint_alloc(ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
}

static void op_free(void *ctx, void *p, size_t size)
{
	(void)ctx;
	checkpoint_free(p, ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
}

static void start_listening(struct engine *e, const struct boot_info *bi)
{
	const struct config *c = &bi->config;
	char why[REASON_LEN] = "";
	int err = tls_init(bi, !c->insecure, why, sizeof(why));

	if (!keys_signers())
		log_warn("bundles need no signature: this monitor has no key that signs them");
	/* Keys that cannot be read may be those that keep unsigned bundles out. */
	if (err && !(c->insecure && err == -ENOENT)) {
		log_error("not listening: %s", why);
		return;
	}
	err = http_listen(e, c->port, !c->insecure);
	if (err)
		log_error("cannot listen on port %u: %s", c->port, errno_name(err));
	else if (c->insecure)
		log_warn("listening on port %u without TLS and client certificates (insecure=yes)",
			 c->port);
	else
		log_info("listening on port %u with TLS 1.3 and client certificates", c->port);
}

static struct engine *make_engine(const struct boot_info *bi)
{
	static const struct engine_ops ops = {
		.try_switch = op_switch,
		.validate = op_validate,
		.look = op_look,
		.check_text = op_check_text,
		.is_text = op_is_text,
		.watching = op_watching,
		.unwatch = op_unwatch,
		.panic_suspected = op_panic_suspected,
		.build_id = op_build_id,
		.ended = op_ended,
		.now_us = op_now,
		.alloc = op_alloc,
		.free = op_free,
	};
	const struct engine_config config = {
		.guest_patches = bi->config.guest_patches,
		.guest_may_disable = bi->config.guest_may_disable,
		.guest_may_apply = bi->config.guest_may_apply,
		.compare_text = bi->config.compare_text,
		.floors = &bi->config.floors,
		.retry_us = RETRY_US,
		.retry_max_us = RETRY_MAX_US,
		.budget_us = bi->config.pause_budget_us,
		.budget_max_us = bi->config.pause_limit_us,
		.machine = arch_machine(),
	};

	return engine_create(&ops, &config);
}

static _Noreturn void halt_for_ever(void)
{
	for (;;)
		arch_service_idle(UINT64_MAX);
}

static struct engine *begin_first(const struct boot_info *bi)
{
	int err = life_prepare();
	struct engine *e = err ? NULL : make_engine(bi);

	if (!e) {
		log_error("no memory for the engine: memory= in suture.conf is too small");
		heartbeat_end();
		halt_for_ever();
	}
	life_is_ready();
	return e;
}

/* Attempt what is due. A switch is visible: its record must not be lost. */
static u64 attend_engine(struct engine *e)
{
	u64 next_us = engine_tick(e);

	if (switched)
		checkpoint_take();
	switched = false;
	return next_us;
}

/*
 * A switch that was made is taken up before anybody can ask for another: it was that of a message,
 * or that of the transition.
 */
static void begin_anew(const struct boot_info *bi, struct engine *e)
{
	bool in_message = false;
	int err = life_resume(bi, e, &in_message);

	if (!err) {
		if (in_message)
			serve_agent(e);
		attend_engine(e);
		life_is_settled(e);
		return;
	}
	log_error("the service CPU's memory is damaged (%s): it stays off until the next boot, and "
		  "patches stay as they are",
		  errno_name(err));
	heartbeat_end();
	halt_for_ever();
}

static int begin_network(const struct boot_info *bi, struct engine *e)
{
	int err = net_init(bi);

	if (err)
		log_error("the management network is down (%s): this machine can be patched only "
			  "after a boot with a working nic= and ip=",
			  errno_name(err));
	else
		start_listening(e, bi); /* without a listener the card still answers pings */
	return err;
}

static _Noreturn void serve_all(struct engine *e, bool network)
{
	for (;;) {
		u64 next_us = UINT64_MAX;

		heartbeat();
		if (reset_is_due())
			arch_machine_reset();
		/* The guest waits for its answer, so it comes before the network. */
		while (serve_agent(e))
			heartbeat();
		tell_panic(e);
		if (guest_heartbeat())
			engine_agent_lives(e);
		if (network)
			next_us = net_poll();
		next_us = MIN(next_us, attend_engine(e));
		next_us = MIN(next_us, guest_bell_tick(engine_wants_agent(e), arch_time_us()));
		next_us = MIN(next_us, guest_heartbeat_due(arch_time_us()));
		next_us = MIN(next_us, offer_tick(arch_time_us()));
		shadow_reap();
		arch_service_idle(MIN(next_us, arch_time_us() + HEARTBEAT_US));
	}
}

_Noreturn void service_main(const struct boot_info *bi)
{
	static struct engine *engine;

	if (!life_begins())
		halt_for_ever();
	if (life_is_another())
		begin_anew(bi, engine);
	else
		engine = begin_first(bi);
	serve_all(engine, !begin_network(bi, engine));
}
