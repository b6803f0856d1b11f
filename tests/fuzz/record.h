/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes in what a client sends, also in its encrypted handshake messages: a record is decrypted
 * with the key that openssl logs, changed, and encrypted anew (RFC 8446, 5.2, 7.1 and 7.3), with
 * AES-128-GCM. One connection at a time.
 */
#ifndef FUZZ_RECORD_H
#define FUZZ_RECORD_H

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>

#define TAG	    16
#define HEADER	    5
#define PROTECTED   23 /* the type of an encrypted record */
#define FLIGHT_SIZE 20000

static struct {
	u8 key[16], iv[12];
	u64 seq;
} record_keys;

/* A list of changes of four bytes each: where (two bytes), how, and with which byte. */
struct changes {
	const u8 *at;
	size_t left;
};

/* Carry out one on len bytes of a buffer of `size`. Returns their new number. */
static inline size_t change_once(const u8 change[4], u8 *buf, size_t len, size_t size)
{
	size_t at = (size_t)(change[0] << 8 | change[1]) % len;

	switch (change[2] % 5) {
	case 0:
		buf[at] = change[3];
		return len;
	case 1:
		buf[at] ^= change[3];
		return len;
	case 2:
		if (len == size)
			return len;
		memmove(buf + at + 1, buf + at, len - at);
		buf[at] = change[3];
		return len + 1;
	case 3:
		memmove(buf + at, buf + at + 1, len - at - 1);
		return len - 1;
	default:
		return at;
	}
}

/* Carry out as many as there are, or `most`. */
static inline size_t change_bytes(struct changes *l, u32 most, u8 *buf, size_t len, size_t size)
{
	for (; most-- && l->left >= 4 && len; l->at += 4, l->left -= 4)
		len = change_once(l->at, buf, len, size);
	return len;
}

static inline void expand_label(const u8 *secret, size_t secret_len, const char *label, u8 *to,
				size_t len)
{
	u8 info[64] = {(u8)(len >> 8), (u8)len};
	size_t n = 3;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);

	info[2] = (u8)(6 + strlen(label));
	n += (size_t)snprintf((char *)info + 3, sizeof(info) - 4, "tls13 %s", label) + 1;
	EVP_PKEY_derive_init(ctx);
	EVP_PKEY_CTX_set_hkdf_mode(ctx, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY);
	EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256());
	EVP_PKEY_CTX_set1_hkdf_key(ctx, secret, (int)secret_len);
	EVP_PKEY_CTX_add1_hkdf_info(ctx, info, (int)n);
	EVP_PKEY_derive(ctx, to, &len);
	EVP_PKEY_CTX_free(ctx);
}

static inline void on_secret(const SSL *ssl, const char *line)
{
	const char *hex = strrchr(line, ' ');
	u8 secret[32];
	size_t len;

	(void)ssl;
	if (strncmp(line, "CLIENT_HANDSHAKE_TRAFFIC_SECRET ", 32) != 0 || !hex ||
	    !OPENSSL_hexstr2buf_ex(secret, sizeof(secret), &len, hex + 1, 0))
		return;
	expand_label(secret, len, "key", record_keys.key, sizeof(record_keys.key));
	expand_label(secret, len, "iv", record_keys.iv, sizeof(record_keys.iv));
	record_keys.seq = 0;
}

static inline void record_watch(SSL_CTX *ctx)
{
	SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256");
	SSL_CTX_set_keylog_callback(ctx, on_secret);
}

/* Decrypt or encrypt in place. `tag` is compared, or set. */
static inline bool record_crypt(bool encrypt, const u8 *header, u8 *data, size_t len, u8 *tag)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	u8 nonce[12];
	int n;
	bool good;

	memcpy(nonce, record_keys.iv, sizeof(nonce));
	for (u32 i = 0; i < 8; i++)
		nonce[11 - i] ^= (u8)(record_keys.seq >> 8 * i);
	EVP_CipherInit_ex(ctx, EVP_aes_128_gcm(), NULL, record_keys.key, nonce, encrypt);
	EVP_CipherUpdate(ctx, NULL, &n, header, HEADER);
	EVP_CipherUpdate(ctx, data, &n, data, (int)len);
	if (!encrypt)
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag);
	good = EVP_CipherFinal_ex(ctx, data + len, &n) == 1;
	if (encrypt)
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, tag);
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

/*
 * Change one record's content, which has `len` bytes with header and tag, in a buffer of its own.
 * Returns its new length; the same if it is not encrypted with the handshake's key.
 */
static inline size_t record_change_one(struct changes *l, u8 *r, size_t len, size_t size)
{
	size_t n = len - HEADER - TAG;
	u8 saved[FLIGHT_SIZE];

	if (r[0] != PROTECTED || len <= HEADER + TAG)
		return len;
	memcpy(saved, r, len);
	if (!record_crypt(false, r, r + HEADER, n, r + HEADER + n)) {
		memcpy(r, saved, len);
		return len;
	}
	n = change_bytes(l, 2, r + HEADER, n, size - HEADER - TAG);
	r[3] = (u8)((n + TAG) >> 8);
	r[4] = (u8)(n + TAG);
	record_crypt(true, r, r + HEADER, n, r + HEADER + n);
	record_keys.seq++;
	return HEADER + n + TAG;
}

/* The same with each record of a flight, in place. */
static inline size_t record_change(struct changes *l, u8 *flight, size_t len)
{
	static u8 changed[FLIGHT_SIZE], one[FLIGHT_SIZE];
	size_t to = 0, n;

	for (size_t at = 0; at + HEADER <= len; at += n) {
		size_t m;

		n = MIN((size_t)(flight[at + 3] << 8 | flight[at + 4]) + HEADER, len - at);
		memcpy(one, flight + at, n);
		m = record_change_one(l, one, n, n + 64);
		if (to + m > sizeof(changed))
			break;
		memcpy(changed + to, one, m);
		to += m;
	}
	memcpy(flight, changed, to);
	return to;
}

#endif
