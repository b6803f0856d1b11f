/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's keys and its judgement of bundles, with keys, certificates and signatures of
 * openssl's.
 */
#include "fake.h"
#include "keys_rig.h"
#include "lib/errno.h"
#include "mbedtls/platform_util.h"
#include "tls/keys.h"
#include "tls/platform.h"
#include "tls/tls.h"
#include "tls/trust.h"
#include <openssl/ecdsa.h>
#include <openssl/sha.h>
#include <time.h>

#define NOW 1800000000u

static char why[640];
static BIO *text; /* what is to be loaded */
static EVP_PKEY *own, *authority, *signer;

static void put_certificate(EVP_PKEY *key, const char *constraints)
{
	X509 *c = certificate_of(key, authority, NULL, constraints);

	assert_int_equal(PEM_write_bio_X509(text, c), 1);
	X509_free(c);
}

static void put_private(EVP_PKEY *key)
{
	assert_int_equal(PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL), 1);
}

static void put_public(EVP_PKEY *key)
{
	assert_int_equal(PEM_write_bio_PUBKEY(text, key), 1);
}

static int load(void)
{
	char *data, *exact;
	long size = BIO_get_mem_data(text, &data);
	int r;

	why[0] = 0;
	exact = malloc((size_t)size + !size);
	if (size)
		memcpy(exact, data, (size_t)size);
	r = keys_load(exact, (size_t)size, why, sizeof(why));
	free(exact);
	return r;
}

static int setup(void **state)
{
	static struct boot_info bi = {.has_seed = true, .utc_s = NOW};

	(void)state;
	assert_int_equal(tls_platform_init(&bi), 0);
	text = BIO_new(BIO_s_mem());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	BIO_free(text);
	keys_load("", 0, why, sizeof(why));
	return 0;
}

/* ---- keys ---- */

static void takes_keys_in_any_order(void **state)
{
	const char *lacking;

	(void)state;
	put_certificate(authority, "critical,CA:TRUE");
	put_certificate(own, "critical,CA:FALSE");
	put_public(signer);
	BIO_puts(text, "\n\nwords between the blocks\n");
	put_public(own);
	put_private(own);
	assert_int_equal(load(), 0);
	assert_true(keys_can_serve(&lacking));
	assert_int_equal(keys_signers(), 2);
}

static void says_what_is_lacking(void **state)
{
	const char *lacking;

	(void)state;
	assert_int_equal(load(), 0);
	assert_false(keys_can_serve(&lacking));
	assert_string_equal(lacking, "no private key");
	put_private(own);
	assert_int_equal(load(), 0);
	assert_false(keys_can_serve(&lacking));
	assert_string_equal(lacking, "no certificate for the private key");
	put_certificate(own, "critical,CA:FALSE");
	assert_int_equal(load(), 0);
	assert_false(keys_can_serve(&lacking));
	assert_string_equal(lacking, "no certificate of who issues its clients'");
	put_certificate(authority, "critical,CA:TRUE");
	assert_int_equal(load(), 0);
	assert_true(keys_can_serve(&lacking));
}

#define REFUSED(put, says)                                                                         \
	do {                                                                                       \
		BIO_reset(text);                                                                   \
		put_public(signer);                                                                \
		put;                                                                               \
		assert_int_equal(load(), -EINVAL);                                                 \
		assert_non_null(strstr(why, says));                                                \
		assert_int_equal(keys_signers(), 0);                                               \
	} while (0)

static void refuses_what_it_cannot_use(void **state)
{
	EVP_PKEY *large = EVP_EC_gen("P-384");

	(void)state;
	REFUSED((put_private(own), put_private(signer)), "two private keys");
	REFUSED(put_private(large), "not one on P-256");
	REFUSED(put_public(large), "public key number 2");
	REFUSED(put_certificate(signer, "critical,CA:FALSE"), "neither for the monitor's");
	REFUSED(put_certificate(large, "critical,CA:TRUE"), "is damaged, or uses");
	REFUSED(BIO_puts(text, "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n"), "unknown block");
	REFUSED(BIO_puts(text, "-----BEGIN PRIVATE KEY-----\nAAAA\n"), "the private key");
	REFUSED(BIO_puts(text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
		"is damaged");
	for (u32 i = 0; i < KEYS_SIGNERS_MAX; i++)
		put_public(signer);
	REFUSED(for (u32 i = 0; i < KEYS_SIGNERS_MAX; i++) put_public(signer), "more than 8");
	EVP_PKEY_free(large);
}

/* Every prefix of a good text: it is refused, or something is lacking. */
static void survives_truncation(void **state)
{
	const char *lacking;
	char *data, *exact;
	long size;

	(void)state;
	put_private(own);
	put_certificate(authority, "critical,CA:TRUE");
	put_certificate(own, "critical,CA:FALSE");
	size = BIO_get_mem_data(text, &data);
	for (long n = 0; n < size - 40; n += 7) {
		exact = malloc((size_t)n + !n);
		memcpy(exact, data, (size_t)n);
		if (!keys_load(exact, (size_t)n, why, sizeof(why)))
			assert_false(keys_can_serve(&lacking));
		free(exact);
	}
}

/* ---- bundles ---- */

static struct suture_signature signature;
static u8 data[200000];
static struct bundle bundle;

static void sign(EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	u8 der[80], hash[32], *spki = NULL;
	const u8 *at = der;
	size_t len = sizeof(der);
	const BIGNUM *r, *s;
	ECDSA_SIG *sig;
	int n = i2d_PUBKEY(key, &spki);

	SHA256(spki, (size_t)n, hash);
	OPENSSL_free(spki);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &len, data, sizeof(data)), 1);
	EVP_MD_CTX_free(ctx);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	ECDSA_SIG_get0(sig, &r, &s);
	BN_bn2binpad(r, signature.bytes, 32);
	BN_bn2binpad(s, signature.bytes + 32, 32);
	ECDSA_SIG_free(sig);
	signature.kind = SUTURE_SIG_ECDSA_P256;
	memcpy(signature.key_id, hash, sizeof(signature.key_id));
	bundle =
		(struct bundle){.data = data, .signed_size = sizeof(data), .signature = &signature};
}

static int judge(void)
{
	why[0] = 0;
	return trust_check(&bundle, why, sizeof(why));
}

static void trusts_its_signers_alone(void **state)
{
	u8 id[sizeof(signature.key_id)];

	(void)state;
	sign(own);
	assert_int_equal(judge(), 0); /* no key: no check */
	put_public(signer);
	assert_int_equal(load(), 0);
	assert_int_equal(judge(), -EKEYREJECTED);
	assert_non_null(strstr(why, "does not trust"));
	sign(signer);
	assert_int_equal(judge(), 0);
	memcpy(id, signature.key_id, sizeof(id));
	signature.kind = SUTURE_SIG_NONE;
	assert_int_equal(judge(), -EKEYREJECTED);
	assert_non_null(strstr(why, "not signed"));
	/* another's signature under its name */
	sign(own);
	memcpy(signature.key_id, id, sizeof(id));
	assert_int_equal(judge(), -EKEYREJECTED);
	/* one more signer */
	put_public(own);
	assert_int_equal(load(), 0);
	sign(own);
	assert_int_equal(judge(), 0);
	sign(signer);
	assert_int_equal(judge(), 0);
}

static void sees_each_change(void **state)
{
	(void)state;
	put_public(signer);
	assert_int_equal(load(), 0);
	sign(signer);
	for (u32 bit = 0; bit < sizeof(data) * 8; bit += 29989) {
		data[bit / 8] ^= 1u << bit % 8;
		assert_int_equal(judge(), -EKEYREJECTED);
		assert_non_null(strstr(why, "not good"));
		data[bit / 8] ^= 1u << bit % 8;
	}
	for (u32 bit = 0; bit < sizeof(signature.bytes) * 8; bit += 31) {
		signature.bytes[bit / 8] ^= 1u << bit % 8;
		assert_int_equal(judge(), -EKEYREJECTED);
		signature.bytes[bit / 8] ^= 1u << bit % 8;
	}
	memset(signature.bytes, 0, sizeof(signature.bytes));
	assert_int_equal(judge(), -EKEYREJECTED);
	sign(signer);
	assert_int_equal(judge(), 0);
}

static void bundles_expire(void **state)
{
	(void)state;
	put_public(signer);
	assert_int_equal(load(), 0);
	sign(signer);
	bundle.manifest.expires = NOW + 1000;
	fake_time_set(0, 0);
	assert_int_equal(judge(), 0);
	fake_time_set(999 * 1000000ull, 0);
	assert_int_equal(judge(), 0);
	fake_time_set(1000 * 1000000ull, 0);
	assert_int_equal(judge(), -EKEYREJECTED);
	assert_non_null(strstr(why, "has expired"));
	bundle.manifest.expires = 0;
	assert_int_equal(judge(), 0);
}

/* ---- the calendar ---- */

static void knows_the_calendar(void **state)
{
	(void)state;
	for (long t = 0; t < 4102444800L; t += 86400 * 3 + 12345) {
		struct tm ours, theirs;
		mbedtls_time_t when = t;

		mbedtls_platform_gmtime_r(&when, &ours);
		gmtime_r(&when, &theirs);
		assert_int_equal(ours.tm_year, theirs.tm_year);
		assert_int_equal(ours.tm_mon, theirs.tm_mon);
		assert_int_equal(ours.tm_mday, theirs.tm_mday);
		assert_int_equal(ours.tm_hour, theirs.tm_hour);
		assert_int_equal(ours.tm_min, theirs.tm_min);
		assert_int_equal(ours.tm_sec, theirs.tm_sec);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(takes_keys_in_any_order),
		T(says_what_is_lacking),
		T(refuses_what_it_cannot_use),
		T(survives_truncation),
		T(trusts_its_signers_alone),
		T(sees_each_change),
		T(bundles_expire),
		T(knows_the_calendar),
	};
	int failed;

	fake_reset(1);
	own = EVP_EC_gen("P-256");
	authority = EVP_EC_gen("P-256");
	signer = EVP_EC_gen("P-256");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	EVP_PKEY_free(own);
	EVP_PKEY_free(authority);
	EVP_PKEY_free(signer);
	return failed;
}
