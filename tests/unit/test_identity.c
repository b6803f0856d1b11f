/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's own key and certificate, with certificates, and a judgement of the request, of
 * openssl's. */
#include "fake.h"
#include "keys_rig.h"
#include "lib/errno.h"
#include "mbedtls/x509_crt.h"
#include "boot/identity.h"
#include "tls/keys.h"
#include "tls/platform.h"
#include <openssl/sha.h>
#include <string.h>
#include <time.h>

#define ADDRESS "\x0a\x00\x02\x0f"

static char why[640];
static struct boot_info bi;
static struct identity id;
static EVP_PKEY *own, *authority, *stranger, *signer;
static BIO *text; /* what is stored, or the certificate that comes */

/* ---- texts ---- */

static void put_certificate_of(EVP_PKEY *key, EVP_PKEY *by, const char *constraints, long from,
			       long until)
{
	X509 *c = certificate_of(key, by, NULL, constraints);

	X509_gmtime_adj(X509_getm_notBefore(c), from);
	X509_gmtime_adj(X509_getm_notAfter(c), until);
	assert_true(X509_sign(c, by, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(text, c), 1);
	X509_free(c);
}

static void put_authority(void)
{
	put_certificate_of(authority, authority, "critical,CA:TRUE", -1000, 1000);
}

static void put_own_key(void)
{
	assert_int_equal(PEM_write_bio_PrivateKey(text, own, NULL, NULL, 0, NULL, NULL), 1);
}

/* They are stored from now on. */
static void store(void)
{
	char *data;
	long size = BIO_get_mem_data(text, &data);

	assert_in_range(size, 1, sizeof(bi.keys));
	memset(bi.keys, 0, sizeof(bi.keys));
	memcpy(bi.keys, data, (size_t)size);
	bi.keys_size = (u32)size;
	BIO_reset(text);
}

/* A boot; what was put since store() is the certificate that lies there. */
static int boot(void)
{
	char *data, *exact = NULL;
	long size = BIO_get_mem_data(text, &data);
	int err;

	memset(&id, 0, sizeof(id));
	if (size) {
		exact = malloc((size_t)size + 1);
		memcpy(exact, data, (size_t)size);
		exact[size] = 0;
		id.certificate = exact;
		id.certificate_size = (size_t)size + 1;
	}
	err = identity_tend(&bi, &id, why, sizeof(why));
	free(exact);
	BIO_reset(text);
	return err;
}

/* The part of the stored text that begins with this line. */
static BIO *stored(const char *label)
{
	const char *at = strstr(bi.keys, label);

	assert_non_null(at);
	return BIO_new_mem_buf(at, -1);
}

static EVP_PKEY *stored_key(void)
{
	BIO *b = stored("-----BEGIN EC PRIVATE KEY-----");
	EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);

	assert_non_null(key);
	BIO_free(b);
	return key;
}

static int setup(void **state)
{
	(void)state;
	bi = (struct boot_info){.has_seed = true, .utc_s = (u64)time(NULL)};
	memcpy(&bi.config.ip, ADDRESS, sizeof(bi.config.ip));
	text = BIO_new(BIO_s_mem());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	BIO_free(text);
	return 0;
}

/* ---- a key of its own ---- */

static X509_REQ *request(void)
{
	BIO *b = BIO_new_mem_buf(id.request, -1);
	X509_REQ *r = PEM_read_bio_X509_REQ(b, NULL, NULL, NULL);

	BIO_free(b);
	assert_non_null(r);
	return r;
}

static void assert_has_address(X509_REQ *r)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(r);
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *name;

	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	name = sk_GENERAL_NAME_value(names, 0);
	assert_int_equal(name->type, GEN_IPADD);
	assert_memory_equal(ASN1_STRING_get0_data(name->d.iPAddress), ADDRESS, 4);
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static void assert_hash_is_of(EVP_PKEY *key)
{
	u8 hash[32], *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	SHA256(der, (size_t)n, hash);
	OPENSSL_free(der);
	assert_memory_equal(id.key_hash, hash, sizeof(hash));
}

static void makes_a_key_and_a_request(void **state)
{
	EVP_PKEY *key, *again;
	X509_REQ *r;
	u32 size;

	(void)state;
	put_authority();
	assert_int_equal(PEM_write_bio_PUBKEY(text, signer), 1);
	store();
	assert_int_equal(boot(), 0);
	assert_true(id.key_made);
	assert_false(id.certificate_taken);
	key = stored_key();
	r = request();
	assert_int_equal(X509_REQ_verify(r, key), 1);
	assert_has_address(r);
	assert_hash_is_of(key);
	X509_REQ_free(r);
	/* the next boot has the same key, and all else that was stored */
	size = bi.keys_size;
	assert_int_equal(boot(), 0);
	assert_false(id.key_made);
	assert_int_equal(bi.keys_size, size);
	r = request();
	assert_int_equal(X509_REQ_verify(r, key), 1);
	X509_REQ_free(r);
	BIO_free(stored("-----BEGIN PUBLIC KEY-----"));
	/* another machine has another */
	put_authority();
	store();
	assert_int_equal(boot(), 0);
	again = stored_key();
	assert_int_equal(EVP_PKEY_eq(key, again), 0);
	EVP_PKEY_free(key);
	EVP_PKEY_free(again);
}

static void makes_none_without_cause(void **state)
{
	(void)state;
	assert_int_equal(PEM_write_bio_PUBKEY(text, signer), 1);
	store();
	assert_int_equal(boot(), 0); /* no authority */
	assert_false(id.key_made);
	assert_string_equal(id.request, "");
	put_authority();
	store();
	bi.has_seed = false;
	fake_random_set(false);
	assert_int_equal(boot(), -EIO);
	assert_false(id.key_made);
	fake_random_set(true);
	put_own_key();
	put_own_key();
	store();
	assert_int_equal(boot(), -EINVAL);
	assert_non_null(strstr(why, "two private keys"));
}

/* ---- certificates ---- */

static void store_own(void)
{
	put_own_key();
	put_authority();
	store();
}

static void takes_certificates_and_renewals(void **state)
{
	const char *lacking;

	(void)state;
	store_own();
	put_certificate_of(own, authority, "CA:FALSE", -500, 500);
	assert_int_equal(boot(), 0);
	assert_true(id.certificate_taken);
	assert_string_equal(id.refused, "");
	assert_string_equal(id.request, "");
	put_certificate_of(own, authority, "CA:FALSE", -499, 500);
	assert_int_equal(boot(), 0);
	assert_true(id.certificate_taken);
	assert_int_equal(tls_platform_init(&bi), 0);
	assert_int_equal(keys_load(bi.keys, bi.keys_size, why, sizeof(why)), 0);
	assert_true(keys_can_serve(&lacking));
	assert_null(keys_own_certificate()->next); /* in the place of the first */
	keys_forget();
	tls_platform_end();
}

#define REFUSED(put, says)                                                                         \
	do {                                                                                       \
		struct boot_info before = bi;                                                      \
		put;                                                                               \
		assert_int_equal(boot(), 0);                                                       \
		assert_false(id.certificate_taken);                                                \
		assert_non_null(strstr(id.refused, says));                                         \
		assert_memory_equal(&bi, &before, sizeof(bi));                                     \
	} while (0)

static void refuses_other_certificates(void **state)
{
	EVP_PKEY *large = EVP_EC_gen("P-384");

	(void)state;
	store_own();
	for (u32 round = 0; round < 2; round++) {
		REFUSED(put_certificate_of(stranger, authority, "CA:FALSE", -500, 500),
			"not for the monitor's key");
		REFUSED(put_certificate_of(own, stranger, "CA:FALSE", -400, 500),
			"no authority of the monitor's");
		REFUSED(put_certificate_of(own, own, "CA:TRUE", -400, 500),
			"no authority of the monitor's");
		REFUSED(put_certificate_of(own, authority, "CA:FALSE", -400, -100), "has expired");
		REFUSED(put_certificate_of(own, authority, "CA:FALSE", 100, 500), "not valid yet");
		REFUSED((put_certificate_of(own, authority, "CA:FALSE", -400, 500),
			 put_authority()),
			"more than one");
		REFUSED(put_certificate_of(large, authority, "CA:FALSE", -400, 500), "damaged");
		REFUSED(BIO_puts(text, "-----BEGIN CERTIFICATE-----\nAAAA\n"), "damaged");
		REFUSED(BIO_puts(text, "nothing of the kind"), "damaged");
		/* the second round has a certificate already */
		put_certificate_of(own, authority, "CA:FALSE", -500, 500);
		assert_int_equal(boot(), 0);
	}
	REFUSED(put_certificate_of(own, authority, "CA:FALSE", -560, 600), "not newer");
	REFUSED(put_certificate_of(own, authority, "CA:FALSE", -900, 600), "not newer");
	EVP_PKEY_free(large);
}

static void has_no_clock(void **state)
{
	(void)state;
	store_own();
	bi.utc_s = 0;
	REFUSED(put_certificate_of(own, authority, "CA:FALSE", -400, 500), "not valid yet");
}

static long put_so_far(void)
{
	char *data;

	return BIO_get_mem_data(text, &data);
}

/* Keys that do not fit any more are not kept in part. */
static void keys_too_large(void **state)
{
	long one;

	(void)state;
	put_authority();
	one = put_so_far() + 8; /* a signature's length varies */
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(text, own, NULL, NULL, 0, NULL, NULL),
			 1);
	while (put_so_far() + one <= (long)sizeof(bi.keys))
		put_authority();
	while (put_so_far() + 200 <= (long)sizeof(bi.keys))
		assert_int_equal(PEM_write_bio_PUBKEY(text, signer), 1);
	store();
	put_certificate_of(own, authority, "CA:FALSE", -400, 500);
	assert_int_equal(boot(), -ENOSPC);
	assert_int_equal(bi.keys_size, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(makes_a_key_and_a_request),
		T(makes_none_without_cause),
		T(takes_certificates_and_renewals),
		T(refuses_other_certificates),
		T(has_no_clock),
		T(keys_too_large),
	};
	int failed;

	fake_reset(1);
	own = EVP_EC_gen("P-256");
	authority = EVP_EC_gen("P-256");
	stranger = EVP_EC_gen("P-256");
	signer = EVP_EC_gen("P-256");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	EVP_PKEY_free(own);
	EVP_PKEY_free(authority);
	EVP_PKEY_free(stranger);
	EVP_PKEY_free(signer);
	return failed;
}
