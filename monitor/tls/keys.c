/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/keys.h"
#include "boot/boot.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mbedtls/pem.h"
#include "mbedtls/pk.h"
#include "mbedtls/sha256.h"
#include "mbedtls/x509_crt.h"
#include "tls/platform.h"

#define DER_MAX	 160 /* of a public key on P-256 */
#define KEY_BITS 256

static struct {
	bool has_own;
	mbedtls_pk_context own;
	mbedtls_x509_crt own_certificate, issuers;
	u32 nr_signers;
	struct signer {
		u8 id[4];
		mbedtls_pk_context key;
	} signers[KEYS_SIGNERS_MAX];
} keys;

static char block[BOOT_KEYS_MAX + 1]; /* the one that is read, with a terminating zero */

struct reader {
	char *why;
	size_t why_size;
	size_t block_size; /* with the zero */
};

#define refuse(r, ...) (format((r)->why, (r)->why_size, __VA_ARGS__), -EINVAL)

/* ---- the kinds of blocks ---- */

/* SHA-256 of the public half in DER. */
static int hash_public(const mbedtls_pk_context *key, u8 hash[KEYS_HASH_SIZE])
{
	u8 der[DER_MAX];
	int len = mbedtls_pk_write_pubkey_der(key, der, DER_MAX); /* at the end of der */

	return len > 0 && !mbedtls_sha256(der + DER_MAX - len, (size_t)len, hash, 0) ? 0 : -ENOMEM;
}

static bool is_usable(const mbedtls_pk_context *key)
{
	return mbedtls_pk_can_do(key, MBEDTLS_PK_ECDSA) && mbedtls_pk_get_bitlen(key) == KEY_BITS;
}

static int read_private(struct reader *r)
{
	if (keys.has_own)
		return refuse(r, "there are two private keys, and the monitor has one");
	if (mbedtls_pk_parse_key(&keys.own, (u8 *)block, r->block_size, NULL, 0, tls_random,
				 NULL) ||
	    !is_usable(&keys.own))
		return refuse(r, "the private key is not one on P-256, or is encrypted");
	keys.has_own = true;
	return 0;
}

static int read_signer(struct reader *r)
{
	struct signer *s = &keys.signers[keys.nr_signers];
	u8 hash[KEYS_HASH_SIZE];

	if (keys.nr_signers == KEYS_SIGNERS_MAX)
		return refuse(r, "there are more than %u keys that sign bundles", KEYS_SIGNERS_MAX);
	if (mbedtls_pk_parse_public_key(&s->key, (u8 *)block, r->block_size) || !is_usable(&s->key))
		return refuse(r, "public key number %u is not one on P-256", keys.nr_signers + 1);
	if (hash_public(&s->key, hash))
		return refuse(r, "no memory for the keys");
	memcpy(s->id, hash, sizeof(s->id));
	keys.nr_signers++;
	return 0;
}

bool keys_is_own(const struct mbedtls_x509_crt *c)
{
	u8 a[KEYS_HASH_SIZE], b[KEYS_HASH_SIZE];

	return keys.has_own && !hash_public(&keys.own, a) && !hash_public(&c->pk, b) &&
	       !memcmp(a, b, sizeof(a));
}

static int read_certificate(struct reader *r)
{
	mbedtls_x509_crt c, *to;
	int err;

	mbedtls_x509_crt_init(&c);
	err = mbedtls_x509_crt_parse(&c, (u8 *)block, r->block_size);
	to = keys_is_own(&c) ? &keys.own_certificate : &keys.issuers;
	if (!err && to == &keys.issuers && !mbedtls_x509_crt_get_ca_istrue(&c))
		err = refuse(r, "a certificate is neither for the monitor's private key nor of a "
				"certificate authority");
	else if (err)
		err = refuse(r,
			     "a certificate is damaged, or uses what this monitor does not "
			     "know: ECDSA on P-256 and SHA-256 are needed (-0x%x)",
			     -err);
	else if (mbedtls_x509_crt_parse_der(to, c.raw.p, c.raw.len))
		err = refuse(r, "no memory for the keys");
	mbedtls_x509_crt_free(&c);
	return err;
}

/* ---- the text ---- */

/* Private keys come first: they decide whose a certificate is. */
static const struct kind {
	const char *label;
	int (*read)(struct reader *r);
	u32 pass;
} kinds[] = {
	{"-----BEGIN PRIVATE KEY-----", read_private, 0},
	{"-----BEGIN EC PRIVATE KEY-----", read_private, 0},
	{"-----BEGIN PUBLIC KEY-----", read_signer, 0},
	{"-----BEGIN CERTIFICATE-----", read_certificate, 1},
};

/* Read the block at the beginning of `block`, in its pass. */
static int read_block(struct reader *r, u32 pass)
{
	for (const struct kind *k = kinds; k < kinds + ARRAY_SIZE(kinds); k++)
		if (!strncmp(block, k->label, strlen(k->label)))
			return k->pass == pass ? k->read(r) : 0;
	return refuse(r, "unknown block %.40s", block);
}

static int read_pass(struct reader *r, const char *pem, size_t size, u32 pass)
{
	static const char end[] = "-----END ";
	const char *at = pem, *stop = pem + size, *next;
	int err = 0;

	while (!err) {
		while (at < stop && *at != '-')
			at++;
		if (at == stop)
			break;
		r->block_size = (size_t)(stop - at) + 1;
		memcpy(block, at, (size_t)(stop - at));
		block[stop - at] = 0;
		next = strstr(block, end);
		next = next ? strchr(next, '\n') : NULL;
		if (next) {
			r->block_size = (size_t)(next - block) + 2;
			block[r->block_size - 1] = 0;
		}
		at += r->block_size - 1;
		err = read_block(r, pass);
	}
	return err;
}

void keys_forget(void)
{
	mbedtls_pk_free(&keys.own);
	mbedtls_x509_crt_free(&keys.own_certificate);
	mbedtls_x509_crt_free(&keys.issuers);
	for (u32 i = 0; i < KEYS_SIGNERS_MAX; i++)
		mbedtls_pk_free(&keys.signers[i].key);
	memset(&keys, 0, sizeof(keys));
}

int keys_load(const char *pem, size_t size, char *why, size_t why_size)
{
	struct reader r = {why, why_size, 0};
	int err = 0;

	keys_forget();
	if (size > BOOT_KEYS_MAX)
		return refuse(&r, "more than %u bytes", BOOT_KEYS_MAX);
	for (u32 pass = 0; pass < 2 && !err; pass++)
		err = read_pass(&r, pem, size, pass);
	memset(block, 0, sizeof(block));
	if (err)
		keys_forget();
	return err;
}

int keys_make_own(void)
{
	const mbedtls_pk_info_t *kind = mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY);

	if (mbedtls_pk_setup(&keys.own, kind) ||
	    mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(keys.own), tls_random,
				NULL)) {
		mbedtls_pk_free(&keys.own);
		return -ENOMEM;
	}
	keys.has_own = true;
	return 0;
}

int keys_own_hash(u8 hash[KEYS_HASH_SIZE])
{
	return hash_public(&keys.own, hash);
}

/* ---- the text, written ---- */

struct writer {
	char *pem;
	size_t size, len;
	int err; /* of mbedTLS: the first one */
};

/* What is left of the text, for a block of which mbedTLS writes a terminating zero, too. */
static u8 *room_left(const struct writer *w)
{
	return (u8 *)w->pem + w->len;
}

static void end_block(struct writer *w, int err)
{
	w->err = err;
	if (!err)
		w->len += strlen(w->pem + w->len);
}

static void put_certificates(struct writer *w, const mbedtls_x509_crt *c)
{
	size_t n;

	for (; c && c->version && !w->err; c = c->next)
		end_block(w, mbedtls_pem_write_buffer(
				     "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n",
				     c->raw.p, c->raw.len, room_left(w), w->size - w->len, &n));
}

int keys_write(char *pem, size_t size)
{
	struct writer w = {.pem = pem, .size = size};

	*pem = 0;
	if (keys.has_own)
		end_block(&w, mbedtls_pk_write_key_pem(&keys.own, room_left(&w), size));
	put_certificates(&w, &keys.own_certificate);
	put_certificates(&w, &keys.issuers);
	for (u32 i = 0; i < keys.nr_signers && !w.err; i++)
		end_block(&w, mbedtls_pk_write_pubkey_pem(&keys.signers[i].key, room_left(&w),
							  size - w.len));
	return w.err ? -ENOSPC : (int)w.len;
}

/* ---- what there is ---- */

bool keys_has_own(void)
{
	return keys.has_own;
}

bool keys_can_serve(const char **lacking)
{
	*lacking = !keys.has_own		   ? "no private key"
		   : !keys.own_certificate.version ? "no certificate for the private key"
		   : !keys.issuers.version	   ? "no certificate of who issues its clients'"
						   : NULL;
	return !*lacking;
}

struct mbedtls_pk_context *keys_own(void)
{
	return &keys.own;
}

struct mbedtls_x509_crt *keys_own_certificate(void)
{
	return &keys.own_certificate;
}

struct mbedtls_x509_crt *keys_client_issuers(void)
{
	return &keys.issuers;
}

u32 keys_signers(void)
{
	return keys.nr_signers;
}

struct mbedtls_pk_context *keys_signer(const u8 id[4])
{
	for (u32 i = 0; i < keys.nr_signers; i++)
		if (!memcmp(keys.signers[i].id, id, sizeof(keys.signers[i].id)))
			return &keys.signers[i].key;
	return NULL;
}
