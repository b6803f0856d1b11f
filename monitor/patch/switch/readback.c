/* SPDX-License-Identifier: BSD-2-Clause */
#include "patch/switch/readback.h"
#include "arch/barrier.h"
#include "arch/pagetable.h"
#include "arch/redirect.h"
#include "arch/time.h"
#include "core/pause.h"
#include "guest/hooks.h"
#include "guest/kernel.h"
#include "guest/mem.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"

/* How long to wait for a moment without a pause. */
#define PATIENCE_US 3000

#define SHOWN_BYTES 8u

struct look {
	u64 key, to;
	const struct shadow_plan *plan; /* or NULL */
	char *why;
	size_t why_size;
};

#define why_line(l, ...) format((l)->why, (l)->why_size, __VA_ARGS__)
#define VA(at)		 ((unsigned long long)(at))

/* ---- what is there ---- */

static int is_on_page(u64 page, void *arg)
{
	return *(const u64 *)arg - page < PAGE_SIZE;
}

/* Is what a CPU fetches there the redirect under a probe of the guest's? */
static bool is_probed(const struct redirect *r, const u8 *expected, const u8 *now)
{
	u64 to = arch_redirect_jump(now, r->len, r->from);
	u8 own[REDIRECT_MAX];

	if (r->is_data || guest_read(GVA(r->from), own, r->len))
		return false;
	if (to && guest_for_each_slot_page(is_on_page, &to) == 1)
		return true;
	for (u32 i = 0; i < r->len; i++)
		if (now[i] != expected[i] &&
		    !(now[i] == own[i] && arch_is_breakpoint(now, r->len, i)))
			return false;
	return true;
}

/* The page to which the guest's tables map it now, if that is another one than at the switch. */
static bool is_remapped(const struct redirect *r, u64 *at, ipa_t *now)
{
	u64 last = ALIGN_DOWN(r->from + r->len - 1, PAGE_SIZE);

	*at = r->from;
	if (!guest_translate(GVA(*at), now) && now->v != r->ipa.v)
		return true;
	*at = last;
	return last > r->from && !guest_translate(GVA(last), now) && now->v != r->ipa2.v;
}

static int say_difference(const struct look *l, const struct redirect *r, const u8 *now)
{
	char bytes[3 * SHOWN_BYTES + 1];
	ipa_t ipa;
	u64 at;

	if (is_remapped(r, &at, &ipa)) {
		why_line(l,
			 "the guest kernel maps %#llx to another page since (physical %#llx): what "
			 "a CPU fetches there is not what should be",
			 VA(at), VA(ipa.v));
		return -EILSEQ;
	}
	for (u32 i = 0; i < MIN(r->len, SHOWN_BYTES); i++)
		format(bytes + (size_t)3 * i, 4, "%02x ", now[i]);
	bytes[3 * MIN(r->len, SHOWN_BYTES) - 1] = '\0';
	why_line(l, "a CPU %s %s at %#llx, which is not what should be there",
		 r->is_data ? "reads" : "fetches", bytes, VA(r->from));
	return -EILSEQ;
}

static int fetch_bytes(const struct look *l, u64 at, u8 *now, size_t len, u32 access)
{
	int err = guest_fetch(GVA(at), now, len, access);

	if (!err)
		return 0;
	why_line(l,
		 err == -EACCES ? "stage 2 does not let a CPU fetch at %#llx"
				: "the guest kernel does not map %#llx to memory any more",
		 VA(at));
	return -EILSEQ;
}

static int look_at(const struct look *l, const struct redirect *r, const u8 *expected)
{
	u8 now[REDIRECT_MAX];
	int err = fetch_bytes(l, r->from, now, r->len, r->is_data ? PT_READ : PT_EXEC);

	if (err)
		return err;
	if (!memcmp(now, expected, r->len) || is_probed(r, expected, now))
		return 0;
	return say_difference(l, r, now);
}

/* The word of a hook is read only by calls that come from ftrace's site. */
static int look_at_site(const struct look *l, u64 site)
{
	u8 now[ARCH_SITE_LEN];
	int err = fetch_bytes(l, site, now, sizeof(now), PT_EXEC);

	if (err || arch_site_is_on(now))
		return err;
	why_line(l,
		 "a CPU fetches %02x %02x %02x %02x %02x at %#llx, which does not lead to ftrace "
		 "and its hook",
		 now[0], now[1], now[2], now[3], now[4], VA(site));
	return -EILSEQ;
}

/* ---- what should be there ---- */

static int look_at_piece(const struct redirect *r, void *arg)
{
	const struct look *l = arg;
	int err;

	if (!l->plan && r->to != l->to) {
		why_line(l, "its redirect leads to %#llx, not to %#llx", VA(r->to), VA(l->to));
		return -EILSEQ;
	}
	err = look_at(l, r, r->bytes);
	return !err && r->site ? look_at_site(l, r->site) : err;
}

static int look_at_original(const struct redirect *r, void *arg)
{
	const struct look *l = arg;

	if (!shadow_plan_is_free(l->plan, r->from, r->from + r->len))
		return 0;
	return look_at(l, r, r->old);
}

static int look_at_redirect(struct look *l)
{
	int err = shadow_for_each_piece(l->key, look_at_piece, l);

	if (err != -ENOENT)
		return err;
	why_line(l, "its redirect was taken off");
	return -EILSEQ;
}

static int look_at_plan(struct look *l)
{
	int err = shadow_plan_for_removed(l->plan, l->key, look_at_original, l);

	return err ? err : shadow_plan_for_added(l->plan, l->key, look_at_piece, l);
}

/*
 * Other CPUs change these bytes in pauses. A write of the guest's to a shadowed page, for example,
 * maps the original for the length of one instruction.
 */
static int look_undisturbed(struct look *l, int (*look)(struct look *l))
{
	u64 until = arch_time_us() + PATIENCE_US;

	/* once at least: this CPU may itself have been stopped for that long */
	do {
		u64 mark = guest_kernel.registered ? pause_mark() : 0;
		int err = mark ? look(l) : 0;

		if (mark && (pause_mark() == mark || MUTATION(undisturbed_look)))
			return err;
		arch_relax();
	} while (guest_kernel.registered && arch_time_us() < until);
	return -EAGAIN;
}

int readback_redirect(u64 key, u64 to, char *why, size_t why_size)
{
	struct look l = {.key = key, .to = to, .why = why, .why_size = why_size};

	return look_undisturbed(&l, look_at_redirect);
}

int readback_plan(const struct shadow_plan *plan, u64 key, char *why, size_t why_size)
{
	struct look l = {.key = key, .plan = plan, .why = why, .why_size = why_size};

	return look_undisturbed(&l, look_at_plan);
}
