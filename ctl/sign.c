/* SPDX-License-Identifier: BSD-2-Clause */
/* suture sign, suture verify: the signature of a bundle (<suture/bundle.h>). */
#include "context.h"
#include "ctl.h"
#include "keyfile.h"

#include <openssl/ecdsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "patch/bundle.h"

#define HALF	   (sizeof(((struct suture_signature *)0)->bytes) / 2) /* r, and s */
#define DAY	   86400
#define DER_MAX	   (2 * HALF + 16)
#define TIME_CHARS sizeof("2026-01-01 00:00:00 UTC")

/* When it expires, for people. */
static const char *expiry(const struct bundle *b, char text[TIME_CHARS])
{
	time_t t = (time_t)b->manifest.expires;
	struct tm tm;

	if (!b->manifest.expires)
		return "never";
	if (b->manifest.expires > 253402300799 || !gmtime_r(&t, &tm) ||
	    !strftime(text, TIME_CHARS, "%F %T UTC", &tm))
		return "after the year 9999";
	return text;
}

/* ---- sign ---- */

static bool signature_from_der(su8 bytes[2 * HALF], const unsigned char *der, size_t len)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
	const BIGNUM *r, *s;
	bool good = false;

	if (sig) {
		ECDSA_SIG_get0(sig, &r, &s);
		good = BN_bn2binpad(r, bytes, HALF) == HALF &&
		       BN_bn2binpad(s, bytes + HALF, HALF) == HALF;
	}
	ECDSA_SIG_free(sig);
	return good;
}

static int make_signature(EVP_PKEY *key, const void *data, size_t size, struct suture_signature *s)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[DER_MAX];
	size_t len = sizeof(der);
	bool good = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		    EVP_DigestSign(ctx, der, &len, data, size) == 1 &&
		    signature_from_der(s->bytes, der, len) && keyfile_id(key, s->key_id);

	EVP_MD_CTX_free(ctx);
	s->kind = SUTURE_SIG_ECDSA_P256;
	return good ? EX_DONE : fail(EX_FAILED, "the key cannot sign");
}

int cmd_sign(const struct options *o, char **args)
{
	struct suture_signature s = {0};
	struct suture_manifest m;
	EVP_PKEY *key = NULL;
	char text[TIME_CHARS];
	struct bundle b;
	su8 *data;
	int r;

	if (o->nr_keys != 1)
		return fail(EX_BAD_USAGE, "sign needs one --key FILE, the private key");
	data = read_bundle(args[0], &b);
	if (!data)
		return EX_BAD_USAGE;
	key = keyfile_private(o->keys[0]);
	r = key ? EX_DONE : EX_BAD_USAGE;
	if (r)
		goto out;
	m = b.manifest;
	m.expires = o->days != DAYS_NONE ? (su64)time(NULL) + o->days * (su64)DAY : 0;
	b.manifest.expires = m.expires;
	memcpy(data + sizeof(struct suture_bundle), &m, sizeof(m));
	r = make_signature(key, data, b.signed_size, &s);
	if (r)
		goto out;
	memcpy(data + b.signed_size, &s, sizeof(s));
	r = save_file(o->output ? o->output : args[0], data, b.size, false);
	if (!r)
		printf("%s: signed by key %02x%02x%02x%02x, expires %s\n", args[0], s.key_id[0],
		       s.key_id[1], s.key_id[2], s.key_id[3], expiry(&b, text));
out:
	EVP_PKEY_free(key);
	free(data);
	return r;
}

/* ---- verify ---- */

static size_t signature_to_der(const su8 bytes[2 * HALF], unsigned char der[DER_MAX])
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(bytes, HALF, NULL), *s = BN_bin2bn(bytes + HALF, HALF, NULL);
	unsigned char *end = der;
	int len = 0;

	if (sig && r && s && ECDSA_SIG_set0(sig, r, s)) {
		len = i2d_ECDSA_SIG(sig, NULL) <= (int)DER_MAX ? i2d_ECDSA_SIG(sig, &end) : 0;
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(sig);
	return len > 0 ? (size_t)len : 0;
}

static bool is_signed_by(EVP_PKEY *key, const struct bundle *b)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[DER_MAX];
	size_t len = signature_to_der(b->signature->bytes, der);
	bool good = ctx && len && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		    EVP_DigestVerify(ctx, der, len, b->data, b->signed_size) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

/* Look for the bundle's key among the trusted ones. */
static int judge_signature(const struct options *o, const char *path, const struct bundle *b)
{
	const su8 *id = b->signature->key_id;
	su8 other[KEY_ID_SIZE];

	for (unsigned i = 0; i < o->nr_keys; i++) {
		EVP_PKEY *key = keyfile_public(o->keys[i]);
		bool same, good;

		if (!key)
			return EX_BAD_USAGE;
		same = keyfile_id(key, other) && !memcmp(id, other, sizeof(other));
		good = same && is_signed_by(key, b);
		EVP_PKEY_free(key);
		if (good)
			return EX_DONE;
		if (same)
			return fail(EX_FAILED,
				    "%s: the signature is not good: it was changed "
				    "after it was signed",
				    path);
	}
	return fail(EX_FAILED, "%s: signed by key %02x%02x%02x%02x, which is none of those given",
		    path, id[0], id[1], id[2], id[3]);
}

/* Its code in the guest, as the monitor compares it. */
static int verify_running(const struct options *o)
{
	char name[PATCH_NAME_SIZE], path[PATCH_NAME_SIZE + 32];
	struct options remote = *o;
	json_t *answer;
	int r = patch_name(o->running, name);

	if (!r)
		r = context_take(&remote, "verify --running");
	if (r)
		return r;
	snprintf(path, sizeof(path), "/v1/patches/%s/text", name);
	r = api_request(&remote, "GET", path, NULL, 0, &answer);
	if (r)
		return r;
	if (o->json || o->yaml)
		print_value(o, answer);
	if (!jbool(answer, "same"))
		r = fail(EX_FAILED, "%s: %s", name, jstr(answer, "why"));
	else if (!o->json && !o->yaml)
		printf("%s: its code in the guest is the bundle's\n", name);
	json_decref(answer);
	return r;
}

int cmd_verify(const struct options *o, char **args)
{
	char text[TIME_CHARS];
	struct bundle b;
	void *data;
	int r = EX_DONE;

	if (o->running && !args[0])
		return verify_running(o);
	if (o->running || !args[0])
		return fail(EX_BAD_USAGE, "verify needs either FILE or --running NAME");
	if (!o->nr_keys)
		return fail(EX_BAD_USAGE, "verify needs --key FILE, a trusted public key");
	data = read_bundle(args[0], &b);
	if (!data)
		return EX_BAD_USAGE;
	if (b.signature->kind == SUTURE_SIG_NONE)
		r = fail(EX_FAILED, "%s: not signed: suture sign --key FILE", args[0]);
	else
		r = judge_signature(o, args[0], &b);
	if (!r && b.manifest.expires && (su64)time(NULL) >= b.manifest.expires)
		r = fail(EX_FAILED, "%s: expired on %s: sign it again", args[0], expiry(&b, text));
	if (!r)
		printf("%s: patch %s %s, signed by key %02x%02x%02x%02x, expires %s\n", args[0],
		       b.manifest.name, bundle_string(&b, b.manifest.version),
		       b.signature->key_id[0], b.signature->key_id[1], b.signature->key_id[2],
		       b.signature->key_id[3], expiry(&b, text));
	free(data);
	return r;
}
