/* SPDX-License-Identifier: BSD-2-Clause */
#include "main.h"
#include "core/arch.h"
#include "agent/drop.h"
#include "lib/errno.h"
#include "core/lock.h"
#include "core/log.h"
#include "agent/mailbox.h"
#include "guest/panic.h"
#include "core/pool.h"
#include "guest/kernel.h"
#include "net/net.h"
#include "patch/readback.h"
#include "stage2/shadow.h"

/* Between attempts at a switch: most functions are left at once; where one is not, neither the
 * guest nor the log is to be worn out. */
#define RETRY_US     5000
#define RETRY_MAX_US 1000000

static struct {
	struct engine *engine;
	const struct config *config;
} service;

/* Keys of dropped redirects on their way to the engine. A full queue says: ask for all of them. */
static struct {
	struct spinlock lock;
	u32 count;
	u64 keys[SUTURE_MAX_FUNCS];
} dropped;

struct engine *service_engine(void)
{
	return service.engine;
}

const struct config *service_config(void)
{
	return service.config;
}

void service_note_dropped(u64 key, void *arg)
{
	(void)arg;
	spin_lock(&dropped.lock);
	if (dropped.count < ARRAY_SIZE(dropped.keys))
		dropped.keys[dropped.count++] = key;
	else
		log_limited(LOG_AGENT, LOG_ERROR,
			    "too many redirects dropped at once: status of %#llx is stale",
			    (unsigned long long)key);
	spin_unlock(&dropped.lock);
}

static void tell_dropped(void)
{
	u64 key;
	bool any;

	do {
		spin_lock(&dropped.lock);
		any = dropped.count;
		key = any ? dropped.keys[--dropped.count] : 0;
		spin_unlock(&dropped.lock);
		if (any)
			engine_dropped(service.engine, key);
	} while (any);
}

/* The guest's kernel is no more: nothing that is known of it is true any longer. */
static void forget_kernel(void)
{
	enum kernel_end how = kernel_end_take();

	if (how == KERNEL_STAYS)
		return;
	spin_lock(&dropped.lock);
	dropped.count = 0;
	spin_unlock(&dropped.lock);
	engine_kernel_gone(service.engine, how == KERNEL_REPLACED
						   ? "the guest's kernel was replaced"
						   : "the guest's kernel has shut down");
	guest_kernel_forget();
	shadow_open();
}

static void tell_panic(void)
{
	char text[SUTURE_TEXT_LEN];

	if (panic_take(text, sizeof(text)))
		engine_panicked(service.engine, text);
}

/* True if there was a message. None may be served for a kernel that is taken for another one. */
static bool serve_agent(void)
{
	forget_kernel();
	return mailbox_serve();
}

static int op_switch(void *ctx, const struct switch_set *set, u64 budget_us,
		     struct transition_report *r)
{
	(void)ctx;
	return switch_try(set, budget_us, r);
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

static u64 op_now(void *ctx)
{
	(void)ctx;
	return arch_time_us();
}

static void *op_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return pool_alloc(ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
}

static void op_free(void *ctx, void *p, size_t size)
{
	(void)ctx;
	pool_free(p, ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
}

_Noreturn void service_main(const struct boot_info *bi)
{
	static const struct engine_ops ops = {
		.try_switch = op_switch,
		.validate = op_validate,
		.look = op_look,
		.is_text = op_is_text,
		.panic_suspected = op_panic_suspected,
		.build_id = op_build_id,
		.now_us = op_now,
		.alloc = op_alloc,
		.free = op_free,
	};
	struct engine_config config = {
		.guest_patches = bi->config.guest_patches,
		.retry_us = RETRY_US,
		.retry_max_us = RETRY_MAX_US,
		.budget_us = bi->config.pause_budget_us,
		.budget_max_us = bi->config.pause_limit_us,
	};
	int r;

	service.config = &bi->config;
	service.engine = engine_create(&ops, &config);
	if (!service.engine) {
		log_error("no memory for the engine: memory= in suture.conf is too small");
		for (;;)
			arch_service_idle(UINT64_MAX);
	}
	r = net_init(bi);
	if (r)
		log_error("the management network is down (%s): this machine can be patched only "
			  "after a boot with a working nic= and ip=",
			  errno_name(r));

	for (;;) {
		u64 next_us = UINT64_MAX;

		/* The guest waits for its answer: before the network's turn. */
		while (serve_agent())
			;
		tell_dropped();
		tell_panic();
		if (!r)
			next_us = net_poll();
		next_us = MIN(next_us, engine_tick(service.engine));
		shadow_reap();
		arch_service_idle(next_us);
	}
}
