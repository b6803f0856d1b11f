/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/trust.h"
#include "core/heartbeat.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "mbedtls/pk.h"
#include "mbedtls/psa_util.h"
#include "mbedtls/sha256.h"
#include "tls/keys.h"
#include "tls/platform.h"

#define HASH_SIZE 32
#define AT_ONCE	  65536u /* bytes between two heartbeats */
#define DER_MAX	  80	 /* of a signature */

static int hash_signed(const struct bundle *b, u8 hash[HASH_SIZE])
{
	mbedtls_sha256_context ctx;
	size_t at, n;
	int err;

	mbedtls_sha256_init(&ctx);
	err = mbedtls_sha256_starts(&ctx, 0);
	for (at = 0; at < b->signed_size && !err; at += n) {
		n = MIN(b->signed_size - at, (size_t)AT_ONCE);
		err = mbedtls_sha256_update(&ctx, b->data + at, n);
		heartbeat();
	}
	if (!err)
		err = mbedtls_sha256_finish(&ctx, hash);
	mbedtls_sha256_free(&ctx);
	return err;
}

static bool is_signed_by(mbedtls_pk_context *key, const struct bundle *b)
{
	u8 hash[HASH_SIZE], der[DER_MAX];
	size_t len;

	return !hash_signed(b, hash) &&
	       !mbedtls_ecdsa_raw_to_der(256, b->signature->bytes, sizeof(b->signature->bytes), der,
					 sizeof(der), &len) &&
	       !mbedtls_pk_verify(key, MBEDTLS_MD_SHA256, hash, sizeof(hash), der, len);
}

int trust_check(const struct bundle *b, char *why, size_t why_size)
{
	const u8 *id = b->signature->key_id;
	mbedtls_pk_context *key;
	u64 now = tls_utc();

	if (!keys_signers())
		return 0;
	if (b->signature->kind == SUTURE_SIG_NONE) {
		format(why, why_size,
		       "the bundle is not signed, and this monitor takes signed ones only: suture "
		       "sign --key FILE");
		return -EKEYREJECTED;
	}
	key = keys_signer(id);
	if (!key) {
		format(why, why_size,
		       "the bundle is signed by key %02x%02x%02x%02x, which this monitor does not "
		       "trust",
		       id[0], id[1], id[2], id[3]);
		return -EKEYREJECTED;
	}
	if (!is_signed_by(key, b)) {
		format(why, why_size,
		       "the bundle's signature is not good: it was changed after it was signed");
		return -EKEYREJECTED;
	}
	if (b->manifest.expires && (!now || now >= b->manifest.expires)) {
		format(why, why_size, "the bundle has expired%s: sign it again",
		       now ? "" : ", or not, for this machine has no clock");
		return -EKEYREJECTED;
	}
	return 0;
}
