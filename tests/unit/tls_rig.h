/* SPDX-License-Identifier: BSD-2-Clause */
/* The server over TLS, and openssl's client: its bytes go over lwIP's loopback. */
#ifndef TLS_RIG_H
#define TLS_RIG_H

#include "tcp_rig.h"
#include "keys_rig.h"
#include "tls/platform.h"
#include "tls/tls.h"
#include <openssl/ssl.h>
#include <time.h>

struct tls_client {
	struct client tcp;
	SSL *ssl;
	BIO *in, *out;	/* between openssl and TCP */
	size_t fed;	/* of what TCP has received */
	size_t allowed; /* bytes that may still be sent; then the client falls silent */
	size_t sent;
	char received[1 << 17];
	char text[1 << 16]; /* the answers */
};

static EVP_PKEY *tls_authority, *tls_own;
static SSL_CTX *tls_clients[TLS_ROLE_ADMIN + 1]; /* with a certificate of each role */

static inline SSL_CTX *client_context(const char *role)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *c = certificate_of(key, tls_authority, role, "critical,CA:FALSE");

	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	assert_int_equal(SSL_CTX_use_certificate(ctx, c), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(c);
	EVP_PKEY_free(key);
	return ctx;
}

static inline void put_certificate_of(BIO *to, EVP_PKEY *key, const char *constraints)
{
	X509 *c = certificate_of(key, tls_authority, NULL, constraints);

	assert_int_equal(PEM_write_bio_X509(to, c), 1);
	X509_free(c);
}

/* The keys of the monitor, as keys.pem has them; then lwIP. */
static inline int start_tls(void **state)
{
	static struct boot_info bi = {.has_seed = true};
	BIO *pem = BIO_new(BIO_s_mem());
	char why[256] = "";

	bi.utc_s = (u64)time(NULL) + 3600;
	tls_authority = EVP_EC_gen("P-256");
	tls_own = EVP_EC_gen("P-256");
	assert_int_equal(PEM_write_bio_PrivateKey(pem, tls_own, NULL, NULL, 0, NULL, NULL), 1);
	put_certificate_of(pem, tls_own, "critical,CA:FALSE");
	put_certificate_of(pem, tls_authority, "critical,CA:TRUE");
	bi.keys_size = (u32)BIO_read(pem, bi.keys, sizeof(bi.keys));
	BIO_free(pem);
	for (enum tls_role r = TLS_ROLE_NONE; r <= TLS_ROLE_ADMIN; r++)
		tls_clients[r] = client_context(tls_role_name(r));
	fake_reset(2);
	keep_machine = true;
	if (tls_init(&bi, true, why, sizeof(why)))
		fail_msg("%s", why);
	over_tls = true;
	return start_lwip(state);
}

static inline int stop_tls(void **state)
{
	(void)state;
	for (enum tls_role r = TLS_ROLE_NONE; r <= TLS_ROLE_ADMIN; r++)
		SSL_CTX_free(tls_clients[r]);
	EVP_PKEY_free(tls_authority);
	EVP_PKEY_free(tls_own);
	return 0;
}

/* Connect TCP; nothing of TLS is sent yet. */
static inline void tls_call(struct tls_client *c, u8 host, SSL_CTX *as)
{
	call_from(&c->tcp, host);
	if (c->tcp.pcb)
		tcp_nagle_disable(c->tcp.pcb);
	c->tcp.in = c->received;
	c->received[0] = c->text[0] = 0;
	c->fed = c->sent = 0;
	c->allowed = SIZE_MAX;
	c->ssl = SSL_new(as);
	c->in = BIO_new(BIO_s_mem());
	c->out = BIO_new(BIO_s_mem());
	SSL_set_bio(c->ssl, c->in, c->out);
	SSL_set_connect_state(c->ssl);
}

static inline bool tls_send(struct tls_client *c)
{
	u8 chunk[16384];
	int n = BIO_read(c->out, chunk, (int)MIN(sizeof(chunk), c->allowed));

	if (n <= 0 || !c->tcp.pcb)
		return false;
	c->allowed -= (size_t)n;
	c->sent += (size_t)n;
	say(&c->tcp, chunk, (size_t)n);
	return true;
}

static inline bool tls_feed(struct tls_client *c)
{
	size_t n = c->tcp.in_len - c->fed;

	if (n)
		BIO_write(c->in, c->tcp.in + c->fed, (int)n);
	c->fed += n;
	return n;
}

/* Both sides speak until neither has something to say. */
static inline void tls_talk(struct tls_client *c)
{
	size_t len = strlen(c->text);
	bool moved = true;
	int n;

	while (moved) {
		if (!SSL_is_init_finished(c->ssl))
			SSL_do_handshake(c->ssl);
		else
			while ((n = SSL_read(c->ssl, c->text + len,
					     (int)(sizeof(c->text) - 1 - len))) > 0)
				len += (size_t)n;
		c->text[len] = 0;
		moved = tls_send(c);
		moved |= tls_feed(c);
	}
}

/* Shake hands, and say this. */
static inline void tls_say(struct tls_client *c, const char *text)
{
	tls_talk(c);
	if (SSL_is_init_finished(c->ssl))
		SSL_write(c->ssl, text, (int)strlen(text));
	tls_talk(c);
}

static inline void tls_assert_answer(const struct tls_client *c, const char *part)
{
	if (!strstr(c->text, part))
		fail_msg("no %s in %.300s", part, c->text);
}

/* Free what is openssl's; the connection is ended by the caller. */
static inline void tls_forget(struct tls_client *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
}

static inline void tls_leave(struct tls_client *c)
{
	leave(&c->tcp);
	tls_forget(c);
}

/* One request from there as `role`: is it answered with 200? */
static inline bool tls_is_served(u8 host, enum tls_role role)
{
	static struct tls_client c;
	bool served;

	tls_call(&c, host, tls_clients[role]);
	tls_say(&c, GET_END("/v1/patches"));
	served = strstr(c.text, "HTTP/1.1 200 OK\r\n");
	tls_leave(&c);
	return served;
}

#endif
