/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Beginning anew, in the order in which things may be relied upon: the pause, the locks, the
 * memory, the records, the redirects. docs/restart.md has the reasons.
 */
#include "restart.h"
#include "agent/mailbox.h"
#include "agent/offer.h"
#include "agent/parts.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "boot/boot.h"
#include "core/checkpoint.h"
#include "core/cpu.h"
#include "core/heartbeat.h"
#include "core/lives.h"
#include "core/log.h"
#include "core/pause.h"
#include "core/pool.h"
#include "guest/kernel.h"
#include "guest/wanted.h"
#include "guest/watch.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "net/net.h"
#include "patch/check/check.h"
#include "patch/engine/engine.h"
#include "patch/switch/redo.h"
#include "stage2/shadow.h"

/* So many lives in a row that end within this time: the cause is in what they are given. */
#define SHORT_US  100000u
#define SHORT_MAX 8u

/* Of so many it is the transition under way that is suspected. */
#define SUSPICIOUS 3u

/* image.lds: the variables of the network and the API */
extern u8 session_data[], session_data_end[], session_bss[], session_bss_end[];

static struct {
	bool prepared, given_up;
	u32 in_a_row;
	u64 began_us;
	u8 *session; /* as they were before the first life */
} life;

static size_t session_size(void)
{
	return (size_t)(session_data_end - session_data);
}

bool life_is_another(void)
{
	return life.prepared;
}

bool service_restarts(const char *why)
{
	/* Before the boot CPU is in the guest nobody waits for this one. */
	if (!life.prepared || life.given_up || READ_ONCE(cpus[0].state) == CPU_ABSENT) {
		heartbeat_end();
		return false;
	}
	lives.why = why;
	return true;
}

bool life_begins(void)
{
	u64 now = arch_time_us();

	if (!life.prepared)
		return true;
	if (life.given_up) {
		heartbeat_end();
		return false;
	}
	heartbeat();
	cpu_this()->life++;
	lives.count++;
	life.in_a_row = now - life.began_us < SHORT_US ? life.in_a_row + 1 : 0;
	life.began_us = now;
	lives.began_us = now;
	lives.last = lives.why ? lives.why : "it was lost";
	lives.why = NULL;
	if (life.in_a_row < SHORT_MAX)
		return true;
	life.given_up = true;
	heartbeat_end();
	log_error("the service CPU failed %u times within %u ms each: it stays off until the next "
		  "boot, and patches stay as they are",
		  SHORT_MAX, SHORT_US / 1000);
	return false;
}

int life_prepare(void)
{
	int err;

	life.session = pool_alloc(ALIGN_UP(session_size(), PAGE_SIZE) / PAGE_SIZE);
	if (!life.session)
		return -ENOMEM;
	memcpy(life.session, session_data, session_size());
	pool_keep_all();
	err = checkpoint_static(&guest_kernel, sizeof(guest_kernel));
	if (!err)
		err = mailbox_keep();
	if (!err)
		err = parts_keep();
	if (!err)
		err = offer_keep();
	if (!err)
		err = wanted_keep();
	if (!err)
		err = switch_keep();
	return err;
}

void life_is_ready(void)
{
	checkpoint_take();
	life.began_us = arch_time_us();
	life.prepared = true;
}

static void restore_session(void)
{
	memcpy(session_data, life.session, session_size());
	memset(session_bss, 0, (size_t)(session_bss_end - session_bss));
}

static int restore_memory(void)
{
	int err;

	pool_restart();
	err = checkpoint_restore();
	if (!err)
		err = shadow_restart();
	return err;
}

int life_resume(const struct boot_info *bi, struct engine *e, bool *in_message)
{
	struct checkpoint_stats stats;
	int err;

	pause_restart(cpu_this());
	net_halt(bi);
	err = restore_memory();
	if (err)
		return err;
	restore_session();
	check_restart();
	guest_watch_restart();
	switch_restart();
	*in_message = mailbox_restart();
	engine_restarted(e, life.in_a_row >= SUSPICIOUS);
	checkpoint_stats(&stats);
	log_warn("the service CPU has begun anew (%s), for the %llu. time: %llu pages of its "
		 "records "
		 "went back%s",
		 lives.last, (unsigned long long)lives.count,
		 (unsigned long long)stats.restored_pages,
		 switch_is_behind() ? ", and a switch is taken up that it had made" : "");
	return 0;
}

void life_is_settled(struct engine *e)
{
	switch_settled();
	engine_compare(e, shadow_target);
	checkpoint_take();
}
