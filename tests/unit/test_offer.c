/* SPDX-License-Identifier: BSD-2-Clause */
/* Bundles that the guest offers: they are verified as an operator's, and bounded. */
#include "net_engine.h"
#include "agent/messages.h"
#include "agent/offer.h"
#include "boot/boot.h"
#include "core/audit.h"
#include "guest/wanted.h"
#include "lib/format.h"
#include "tls/keys.h"
#include "tls/platform.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PAYLOAD 150000u
#define STEP	60000u

static const char signer[] = "-----BEGIN PUBLIC KEY-----\n"
			     "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEiKfxVWhEmmCCWl1fDQbSJkgl7hnK\n"
			     "RSGBw8xG6K2dMnaPyum8wy99+/J0gHt7xssEZvvKyTl7By8Xfm3X7JfUHw==\n"
			     "-----END PUBLIC KEY-----\n";

static u8 bundle[PAYLOAD + 4096];
static u32 bundle_size;
static _Alignas(8) u8 message[SUTURE_MSG_MAX];
static _Alignas(8) struct suture_offer_reply reply;
static u64 time_us, used_at_setup;
static bool has_keys; /* whose memory stays */

static u64 pages_kept(void)
{
	return pool_used() - used_at_setup;
}

static int setup(void **state)
{
	guest_may_apply = !*state;
	engine_setup();
	/* another minute than that of the test before */
	time_us += 100000000;
	fake_time_set(time_us, 0);
	agent_arrives();
	wanted_forget();
	bundle_size = (u32)make_bundle(bundle, "fix", PAYLOAD);
	used_at_setup = pool_used();
	has_keys = false;
	return 0;
}

static int teardown(void **state)
{
	char why[64];

	(void)state;
	keys_load("", 0, why, sizeof(why));
	offer_tick(UINT64_MAX / 2);
	engine_destroy(engine);
	if (!has_keys)
		assert_int_equal(pool_used(), 0);
	return 0;
}

static int send(u32 total, u32 offset, u32 len)
{
	struct suture_offer *m = (void *)message;

	*m = (struct suture_offer){
		.msg = {.type = SUTURE_MSG_OFFER, .size = (su32)sizeof(*m) + len},
		.total = total,
		.offset = offset,
	};
	memcpy(m + 1, bundle + MIN(offset, bundle_size), MIN(len, bundle_size));
	message_answer(engine, &m->msg, &reply.msg);
	assert_int_equal(reply.msg.size, sizeof(reply));
	return reply.msg.status;
}

static int send_all(void)
{
	int r = 0;

	for (u32 at = 0; at < bundle_size && !r; at += STEP)
		r = send(bundle_size, at, MIN(STEP, bundle_size - at));
	return r;
}

static enum suture_known_state known(void)
{
	static struct suture_wanted m;
	struct suture_wanted_reply r;

	m = (struct suture_wanted){.msg = {.type = SUTURE_MSG_WANTED, .size = sizeof(m)},
				   .name = "fix"};
	message_answer(engine, &m.msg, &r.msg);
	assert_int_equal(r.msg.status, 0);
	return r.known;
}

static bool nothing_is_known(void)
{
	struct patch_info p;

	return engine_patch_info(engine, 0, &p) == -ENOENT;
}

static void as_an_operators(void **state)
{
	struct audit_record r;
	struct patch_info p;
	u8 chain[SHA256_SIZE];
	u64 before = audit_head(chain);

	(void)state;
	assert_int_equal(known(), SUTURE_KNOWN_NOT);
	assert_int_equal(send(bundle_size, 0, STEP), 0);
	assert_int_equal(reply.state, SUTURE_OFFER_MORE);
	assert_true(nothing_is_known());
	assert_int_equal(send_all(), 0);
	assert_int_equal(reply.state, SUTURE_OFFER_TAKEN);
	assert_string_equal(reply.name, "fix");
	assert_int_equal(engine_patch_info(engine, 0, &p), 0);
	assert_int_equal(p.phase, PHASE_UPLOADED);
	assert_int_equal(known(), SUTURE_KNOWN_GOING);
	assert_true(audit_read(before + 1, &r));
	assert_non_null(strstr(r.text, " 202 'guest' OFFER fix sha256 "));

	/* the same again changes nothing */
	assert_int_equal(send_all(), 0);
	assert_int_equal(reply.state, SUTURE_OFFER_KNOWN);
	assert_int_equal(audit_head(chain), before + 1);
}

static void only_if_the_operator_permits_it(void **state)
{
	(void)state;
	assert_int_equal(send_all(), -EPERM);
	assert_non_null(strstr(reply.text, "guest_may_apply=yes"));
	assert_true(nothing_is_known());
	assert_int_equal(pages_kept(), 0);
}

static void without_a_signature(void **state)
{
	static struct boot_info bi = {.has_seed = true, .utc_s = 1800000000};
	char why[128];

	(void)state;
	assert_int_equal(tls_platform_init(&bi), 0);
	assert_int_equal(keys_load(signer, sizeof(signer) - 1, why, sizeof(why)), 0);
	has_keys = true;
	used_at_setup = pool_used();
	assert_int_equal(send_all(), -EKEYREJECTED);
	assert_non_null(strstr(reply.text, "not signed"));
	assert_true(nothing_is_known());
	assert_int_equal(pages_kept(), 0);
}

static void below_the_floor(void **state)
{
	(void)state;
	floors = (struct floors){1, {{"fix", "p"}}}; /* the bundle is of version "one" */
	assert_int_equal(send_all(), -EEXIST);
	assert_non_null(strstr(reply.text, "floor for it is 'p'"));
	assert_true(nothing_is_known());
	assert_int_equal(pages_kept(), 0);
	floors.count = 0;
	assert_int_equal(send_all(), 0);
}

static void of_another_kernel(void **state)
{
	(void)state;
	guest_kernel.build_id[3] ^= 1;
	assert_int_equal(send_all(), -ENOEXEC);
	assert_string_equal(reply.name, "fix");
	assert_true(nothing_is_known());
	assert_int_equal(pages_kept(), 0);
}

static void malformed(void **state)
{
	(void)state;
	bundle[0] ^= 1;
	assert_int_equal(send_all(), -EBADMSG);
	assert_string_equal(reply.name, "");
	assert_int_equal(pages_kept(), 0);
	bundle[0] ^= 1;

	assert_int_equal(send(0, 0, STEP), -EMSGSIZE);
	assert_int_equal(send(SUTURE_BUNDLE_MAX + 1, 0, STEP), -EMSGSIZE);
	assert_int_equal(send(bundle_size, 0, 0), -EINVAL);
	assert_int_equal(send(bundle_size, STEP, STEP), -EINVAL); /* the first is missing */
	assert_int_equal(send(STEP - 1, 0, STEP), -EINVAL);
	assert_int_equal(send(bundle_size, 0, STEP), 0);
	assert_int_equal(send(bundle_size + 8, STEP, STEP), -EINVAL);
	assert_int_equal(send(bundle_size, STEP, STEP), -EINVAL); /* all is forgotten */
	assert_int_equal(pages_kept(), 0);
	assert_true(nothing_is_known());
	assert_int_equal(send_all(), 0);
}

static void what_is_not_completed(void **state)
{
	(void)state;
	assert_int_equal(offer_tick(time_us), UINT64_MAX);
	assert_int_equal(send(bundle_size, 0, STEP), 0);
	assert_true(pages_kept() > 0);
	assert_int_equal(offer_tick(time_us + 9000000), time_us + 10000000);
	assert_int_equal(offer_tick(time_us + 10000000), UINT64_MAX);
	assert_int_equal(pages_kept(), 0);
	assert_int_equal(send(bundle_size, STEP, STEP), -EINVAL);
}

static void no_more_than_a_number(void **state)
{
	(void)state;
	bundle[0] ^= 1;
	for (u32 i = 0; i < SUTURE_WANTED_MAX; i++)
		assert_int_equal(send_all(), -EBADMSG);
	bundle[0] ^= 1;
	assert_int_equal(send_all(), -EAGAIN);
	assert_true(nothing_is_known());
	fake_time_set(time_us + 60000000, 0);
	engine_agent_lives(engine);
	assert_int_equal(send_all(), 0);
}

/* Where the pool is three quarters full the guest gets no more of it. */
static void room_for_the_operator(void **state)
{
	struct pool_stats s;
	void *p;
	size_t pages;
	int r;

	(void)state;
	pool_stats(&s);
	pages = s.total_pages - s.total_pages / 4 - s.used_pages;
	p = pool_alloc(pages);
	assert_non_null(p);
	r = send(bundle_size, 0, STEP);
	pool_free(p, pages);
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(send_all(), 0);
}

static int tell(const char *name, enum suture_wanted_state what)
{
	static struct suture_wanted m;

	m = (struct suture_wanted){.state = what};
	strcpy(m.name, name);
	memset(m.text, 'x', sizeof(m.text)); /* it does not end */
	return wanted_tell(&m);
}

static void what_the_guest_wants(void **state)
{
	char name[16];

	(void)state;
	assert_null(wanted_get(0));
	assert_int_equal(tell("a", SUTURE_WANTED_STATES), -EINVAL);
	assert_int_equal(tell("", SUTURE_WANTED_OFFERED), -EINVAL);
	assert_int_equal(tell("a", SUTURE_WANTED_ASK), 0);
	assert_null(wanted_get(0));
	assert_int_equal(tell("a", SUTURE_WANTED_OFFERED), 0);
	assert_int_equal(tell("b", SUTURE_WANTED_WAITS), 0);
	assert_int_equal(tell("a", SUTURE_WANTED_LOCKED), 0);
	assert_string_equal(wanted_get(0)->name, "a");
	assert_string_equal(wanted_name(wanted_get(0)->state), "locked");
	assert_int_equal(strlen(wanted_get(0)->text), SUTURE_TEXT_LEN - 1);
	assert_int_equal(tell("a", SUTURE_WANTED_GONE), 0);
	assert_int_equal(tell("a", SUTURE_WANTED_GONE), 0);
	assert_string_equal(wanted_get(0)->name, "b");
	assert_null(wanted_get(1));
	for (u32 i = 1; i < SUTURE_WANTED_MAX; i++) {
		format(name, sizeof(name), "c%u", i);
		assert_int_equal(tell(name, SUTURE_WANTED_OFF), 0);
	}
	assert_int_equal(tell("d", SUTURE_WANTED_OFF), -ENOSPC);
	assert_int_equal(tell("b", SUTURE_WANTED_OFF), 0);
}

#define offer_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		offer_test(as_an_operators),
		cmocka_unit_test_prestate_setup_teardown(only_if_the_operator_permits_it, setup,
							 teardown, &(bool){true}),
		offer_test(without_a_signature),
		offer_test(below_the_floor),
		offer_test(of_another_kernel),
		offer_test(malformed),
		offer_test(what_is_not_completed),
		offer_test(no_more_than_a_number),
		offer_test(room_for_the_operator),
		offer_test(what_the_guest_wants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
