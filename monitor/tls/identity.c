/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/identity.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "mbedtls/x509_crt.h"
#include "mbedtls/x509_csr.h"
#include "tls/keys.h"
#include "tls/platform.h"

#define SUBJECT "CN=monitor"

#define refuse(id, ...) format((id)->refused, sizeof((id)->refused), __VA_ARGS__)

/* As a number that grows with time. */
static u64 as_number(const mbedtls_x509_time *t)
{
	u64 days = ((u64)t->year * 16 + (u64)t->mon) * 32 + (u64)t->day;

	return ((days * 32 + (u64)t->hour) * 64 + (u64)t->min) * 64 + (u64)t->sec;
}

/* Everything but that it can be read. */
static bool is_acceptable(mbedtls_x509_crt *c, struct identity *id)
{
	const mbedtls_x509_crt *present = keys_own_certificate();
	const char *why = NULL;
	u32 flags = 0;

	if (c->next)
		why = "there is more than one certificate in it";
	else if (!keys_is_own(c) && !MUTATION(foreign_certificate))
		why = "it is not for the monitor's key";
	else if (mbedtls_x509_crt_verify(c, keys_client_issuers(), NULL, NULL, &flags, NULL, NULL))
		why = flags & MBEDTLS_X509_BADCERT_EXPIRED ? "it has expired"
		      : flags & MBEDTLS_X509_BADCERT_FUTURE
			      ? "it is not valid yet"
			      : "no authority of the monitor's has issued it";
	else if (present->version && !MUTATION(older_certificate) &&
		 as_number(&c->valid_from) <= as_number(&present->valid_from))
		why = "it is not newer than the one that is there";
	if (why)
		refuse(id, "%s", why);
	return !why;
}

/* 0 if it is refused, too. */
static int take_certificate(struct identity *id)
{
	mbedtls_x509_crt c, *present = keys_own_certificate();
	int err = 0;

	mbedtls_x509_crt_init(&c);
	if (mbedtls_x509_crt_parse(&c, (const u8 *)id->certificate, id->certificate_size)) {
		refuse(id, "it is damaged, or not a certificate in PEM on P-256");
	} else if (is_acceptable(&c, id)) {
		mbedtls_x509_crt_free(present);
		err = mbedtls_x509_crt_parse_der(present, c.raw.p, c.raw.len) ? -ENOMEM : 0;
		id->certificate_taken = !err;
	}
	mbedtls_x509_crt_free(&c);
	return err;
}

static int write_request(u32 ip, struct identity *id)
{
	mbedtls_x509_san_list address = {
		.node = {.type = MBEDTLS_X509_SAN_IP_ADDRESS,
			 .san.unstructured_name = {.p = (u8 *)&ip, .len = sizeof(ip)}},
	};
	mbedtls_x509write_csr csr;
	int err;

	mbedtls_x509write_csr_init(&csr);
	mbedtls_x509write_csr_set_md_alg(&csr, MBEDTLS_MD_SHA256);
	mbedtls_x509write_csr_set_key(&csr, keys_own());
	err = mbedtls_x509write_csr_set_subject_name(&csr, SUBJECT);
	if (!err && ip)
		err = mbedtls_x509write_csr_set_subject_alternative_name(&csr, &address);
	if (!err)
		err = mbedtls_x509write_csr_pem(&csr, (u8 *)id->request, sizeof(id->request),
						tls_random, NULL);
	if (!err)
		err = keys_own_hash(id->key_hash);
	if (err)
		id->request[0] = 0;
	mbedtls_x509write_csr_free(&csr);
	return err ? -ENOMEM : 0;
}

static int make_key(struct identity *id)
{
	int err = keys_make_own();

	id->key_made = !err;
	return err;
}

static int write_keys(struct boot_info *bi)
{
	int len = keys_write(bi->keys, sizeof(bi->keys));

	bi->keys_size = len > 0 ? (u32)len : 0;
	return len > 0 ? 0 : len;
}

static int tend_loaded(struct boot_info *bi, struct identity *id)
{
	int err = 0;

	if (!keys_has_own() && keys_client_issuers()->version)
		err = make_key(id);
	if (!err && id->certificate)
		err = take_certificate(id);
	if (!err && keys_has_own() && !keys_own_certificate()->version)
		err = write_request(bi->config.ip, id);
	if (!err && (id->key_made || id->certificate_taken))
		err = write_keys(bi);
	return err;
}

int identity_tend(struct boot_info *bi, struct identity *id, char *why, size_t why_size)
{
	int err = tls_platform_init(bi);

	*why = 0;
	if (err)
		return err;
	err = keys_load(bi->keys, bi->keys_size, why, why_size);
	if (!err)
		err = tend_loaded(bi, id);
	keys_forget();
	tls_platform_end();
	return err;
}
