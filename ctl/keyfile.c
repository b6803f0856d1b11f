/* SPDX-License-Identifier: BSD-2-Clause */
/* the interface of engines is the one by which Debian 12 has PKCS#11 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "keyfile.h"
#include "ctl.h"

#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SIZE_MAX (1u << 20)

static const char *openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason ? reason : "no reason given";
}

/* The key as it is, or NULL with a message, freed, if it is no key of P-256. */
static EVP_PKEY *on_p256(EVP_PKEY *key, const char *source)
{
	char group[32] = "";

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
		EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
	if (!strcmp(group, "prime256v1") || !strcmp(group, "P-256"))
		return key;
	fail(EX_BAD_USAGE,
	     "%s: not a key of ECDSA on P-256: openssl genpkey -algorithm EC -pkeyopt "
	     "ec_paramgen_curve:P-256 makes one",
	     source);
	EVP_PKEY_free(key);
	return NULL;
}

static EVP_PKEY *load_token(const char *uri)
{
	ENGINE *engine = ENGINE_by_id("pkcs11");
	EVP_PKEY *key = NULL;

	if (!engine || !ENGINE_init(engine)) {
		fail(EX_BAD_USAGE,
		     "%s: openssl has no engine pkcs11: install libengine-pkcs11-openssl (%s)", uri,
		     openssl_reason());
		goto out;
	}
	key = ENGINE_load_private_key(engine, uri, NULL, NULL);
	if (!key)
		fail(EX_BAD_USAGE, "%s: no such private key (%s)", uri, openssl_reason());
	ENGINE_finish(engine);
out:
	ENGINE_free(engine);
	return key;
}

/* The file in memory, for openssl to read PEM from; NULL with a message printed. */
static BIO *open_pem(const char *path, char **text)
{
	size_t size;

	*text = read_file(path, FILE_SIZE_MAX, &size);
	return *text ? BIO_new_mem_buf(*text, (int)size) : NULL;
}

EVP_PKEY *keyfile_private(const char *source)
{
	EVP_PKEY *key;
	char *text;
	BIO *in;

	if (!strncmp(source, "pkcs11:", 7)) {
		key = load_token(source);
		return key ? on_p256(key, source) : NULL;
	}
	in = open_pem(source, &text);
	if (!in)
		return NULL;
	key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	BIO_free(in);
	free(text);
	if (key)
		return on_p256(key, source);
	fail(EX_BAD_USAGE, "%s: no private key in PEM (%s)", source, openssl_reason());
	return NULL;
}

static EVP_PKEY *key_of_certificate(BIO *in)
{
	X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
	EVP_PKEY *key = cert ? X509_get_pubkey(cert) : NULL;

	X509_free(cert);
	return key;
}

EVP_PKEY *keyfile_public(const char *path)
{
	EVP_PKEY *key;
	char *text;
	BIO *in = open_pem(path, &text);

	if (!in)
		return NULL;
	key = PEM_read_bio_PUBKEY(in, NULL, NULL, NULL);
	if (!key) {
		BIO_reset(in);
		key = key_of_certificate(in);
	}
	if (!key) {
		BIO_reset(in);
		key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	}
	BIO_free(in);
	free(text);
	if (key)
		return on_p256(key, path);
	fail(EX_BAD_USAGE, "%s: no public key, certificate or private key in PEM (%s)", path,
	     openssl_reason());
	return NULL;
}

bool keyfile_id(EVP_PKEY *key, su8 id[KEY_ID_SIZE])
{
	unsigned char hash[SHA256_DIGEST_LENGTH], *der = NULL;
	int len = i2d_PUBKEY(key, &der);

	if (len <= 0)
		return false;
	SHA256(der, (size_t)len, hash);
	OPENSSL_free(der);
	memcpy(id, hash, KEY_ID_SIZE);
	return true;
}
