/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates by openssl. */
#ifndef KEYS_RIG_H
#define KEYS_RIG_H

#include "lib/types.h"
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static inline void name_part(X509 *c, const char *what, const char *value)
{
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c), what, MBSTRING_ASC, (const u8 *)value,
				   -1, -1, 0);
}

/*
 * A certificate of `key`, valid for a day, that CN=x has issued with the key `by`; `unit`: the OU
 * of its subject, which is CN=x but for that; NULL: none.
 */
static inline X509 *certificate_of(EVP_PKEY *key, EVP_PKEY *by, const char *unit,
				   const char *constraints)
{
	X509 *c = X509_new();
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, constraints);

	X509_set_version(c, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c), 7);
	name_part(c, "CN", "x");
	X509_set_issuer_name(c, X509_get_subject_name(c));
	if (unit)
		name_part(c, "OU", unit);
	X509_gmtime_adj(X509_getm_notBefore(c), 0);
	X509_gmtime_adj(X509_getm_notAfter(c), 86400);
	X509_set_pubkey(c, key);
	X509_add_ext(c, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(c, by, EVP_sha256()) > 0);
	return c;
}

#endif
