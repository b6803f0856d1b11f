/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/offer.h"
#include "arch/time.h"
#include "core/audit.h"
#include "core/checkpoint.h"
#include "core/log.h"
#include "core/pool.h"
#include "guest/wanted.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "tls/intake.h"
#include "tls/platform.h"

#define SILENCE_US 10000000u /* without more bytes it is forgotten */
#define MINUTE_US  60000000u

#define TAKEN_STATUS 202 /* of HTTP: in the audit log */

static struct {
	u8 *bytes;
	u32 total, have;
	u64 heard_us;
	/* bundles that were looked at within the minute that began then */
	u64 minute_us;
	u32 in_minute;
} offer;

static size_t offer_pages(void)
{
	return ((size_t)offer.total + PAGE_SIZE - 1) / PAGE_SIZE;
}

static void offer_drop(void)
{
	if (offer.bytes)
		checkpoint_free(offer.bytes, offer_pages());
	offer.bytes = NULL;
	offer.total = offer.have = 0;
}

/* A bundle of an operator must have room as well. */
static bool has_room(size_t pages)
{
	struct pool_stats s;

	pool_stats(&s);
	return MUTATION(offers_leave_room) ||
	       s.used_pages + pages <= s.total_pages - s.total_pages / 4;
}

static int offer_begin(u32 total, char *why, size_t why_size)
{
	offer_drop();
	if (!total || total > SUTURE_BUNDLE_MAX) {
		format(why, why_size, "a bundle of %u bytes; the limit is %u", total,
		       SUTURE_BUNDLE_MAX);
		return -EMSGSIZE;
	}
	offer.total = total;
	if (has_room(offer_pages()))
		offer.bytes = pool_alloc(offer_pages());
	/* No copy is needed: bytes that have come stay as they are. */
	if (offer.bytes && !checkpoint_adopt(offer.bytes, offer_pages()))
		return 0;
	offer_drop();
	format(why, why_size,
	       "no memory for the bundle: revert patches, or boot with a larger memory= in "
	       "suture.conf");
	return -ENOMEM;
}

static int offer_append(const struct suture_offer *m, char *why, size_t why_size)
{
	u32 len = m->msg.size - (u32)sizeof(*m);

	if (!offer.bytes || !len || m->total != offer.total || m->offset != offer.have ||
	    len > offer.total - offer.have) {
		format(why, why_size, "the bundle's bytes did not come in order");
		return -EINVAL;
	}
	memcpy(offer.bytes + offer.have, m + 1, len);
	offer.have += len;
	offer.heard_us = arch_time_us();
	return 0;
}

/* Bundles of the guest must neither keep the service CPU busy nor fill its memory with records. */
static int check_number(const struct engine *e, char *why, size_t why_size)
{
	u64 now = arch_time_us();
	struct patch_info p;
	u32 going = 0;

	if (now - offer.minute_us >= MINUTE_US) {
		offer.minute_us = now;
		offer.in_minute = 0;
	}
	for (u32 i = 0; !engine_patch_info(e, i, &p); i++)
		going += p.phase != PHASE_REVERTED && p.phase != PHASE_FAILED;
	if (MUTATION(number_of_offers) ||
	    (offer.in_minute < SUTURE_WANTED_MAX && going < SUTURE_WANTED_MAX)) {
		offer.in_minute++;
		return 0;
	}
	format(why, why_size, "the guest offers too many bundles: at most %u within a minute",
	       SUTURE_WANTED_MAX);
	return -EAGAIN;
}

static void record_taken(const struct bundle *b)
{
	char what[AUDIT_TEXT], hash[AUDIT_HASH];

	audit_hash(hash, b->digest);
	format(what, sizeof(what), "OFFER %s%s", b->manifest.name, hash);
	audit_add(tls_utc(), "guest", what, TAKEN_STATUS);
	log_limited(LOG_AGENT, LOG_INFO, "patch '%s': offered by the guest, which wants it",
		    b->manifest.name);
}

/* The bundle is complete. The engine owns it on 0. */
static int give_bundle(struct engine *e, struct suture_offer_reply *reply, char *why,
		       size_t why_size)
{
	struct bundle b;
	int r = check_number(e, why, why_size);

	if (r)
		return r;
	r = intake_bundle(e, &b, offer.bytes, offer.total, false, LOG_AGENT, why, why_size);
	str_copy(reply->name, b.manifest.name, sizeof(reply->name));
	if (r < 0)
		return r;
	reply->state = r ? SUTURE_OFFER_KNOWN : SUTURE_OFFER_TAKEN;
	if (r)
		return 0;
	offer.bytes = NULL;
	record_taken(&b);
	return 0;
}

int offer_take(struct engine *e, const struct suture_offer *m, struct suture_offer_reply *reply)
{
	char why[REASON_LEN] = "";
	int r = 0;

	if (!engine_config(e)->guest_may_apply && !MUTATION(guest_may_apply)) {
		format(why, sizeof(why),
		       "the monitor takes no bundles of its guest: guest_may_apply=yes in "
		       "suture.conf");
		r = -EPERM;
	}
	if (!r && !m->offset)
		r = offer_begin(m->total, why, sizeof(why));
	if (!r)
		r = offer_append(m, why, sizeof(why));
	if (!r && offer.have < offer.total)
		return 0;
	if (!r)
		r = give_bundle(e, reply, why, sizeof(why));
	offer_drop();
	str_copy(reply->text, why, sizeof(reply->text));
	return r;
}

/* ---- what has become of it ---- */

static enum suture_known_state known_state(enum patch_phase phase)
{
	switch (phase) {
	case PHASE_APPLIED:
		return SUTURE_KNOWN_APPLIED;
	case PHASE_FAILED:
		return SUTURE_KNOWN_FAILED;
	case PHASE_REVERTED:
	case PHASE_DISABLED:
		return SUTURE_KNOWN_NOT;
	default:
		return SUTURE_KNOWN_GOING;
	}
}

static void fill_known(const struct engine *e, const char *name, struct suture_wanted_reply *reply)
{
	struct patch_info p;

	for (u32 i = 0; !engine_patch_info(e, i, &p); i++) {
		if (strcmp(p.name, name) != 0)
			continue;
		reply->known = known_state(p.phase);
		str_copy(reply->text, p.why, sizeof(reply->text));
	}
}

int offer_wanted(struct engine *e, const struct suture_wanted *m, struct suture_wanted_reply *reply)
{
	int r = wanted_tell(m);

	if (!r)
		fill_known(e, m->name, reply);
	return r;
}

u64 offer_tick(u64 now_us)
{
	if (offer.bytes && now_us - offer.heard_us >= SILENCE_US)
		offer_drop();
	return offer.bytes ? offer.heard_us + SILENCE_US : UINT64_MAX;
}

int offer_keep(void)
{
	return checkpoint_static(&offer, sizeof(offer));
}
