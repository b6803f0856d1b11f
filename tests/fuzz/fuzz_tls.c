/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client may send, for libFuzzer: bytes of its own, or a good visit of openssl's client with
 * changes in its records, in its handshake messages (which are encrypted anew behind the change),
 * or in its requests. The first byte of an input says which. After each the server must have
 * neither a connection nor memory of TLS that it had not before. Answers are not looked at.
 */
#include "../unit/tls_rig.h"
#include "mbedtls/x509_crt.h"
#include "record.h"

enum what { BYTES, RECORDS, MESSAGES, REQUESTS, CERTIFICATE, KINDS };

static const char *const requests[] = {
	GET("/v1/status"),
	GET("/v1/patches") GET_END("/v1/log?since=3&limit=7"),
	"POST /v1/patches HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\nExpect: 100-continue\r\n"
	"Content-Type: application/octet-stream\r\n\r\nSUTURE",
	"DELETE /v1/patches/fix HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
};

static u8 hello[2048]; /* the first flight of a client */
static size_t hello_len;
static u8 *der; /* a certificate */
static int der_len;

static size_t tls_idle; /* bytes of TLS without a client */

static void put_seed(const char *folder, const char *name, enum what what, const void *data,
		     size_t size)
{
	char path[512];
	u8 kind = (u8)what;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "wb");
	if (!f)
		return;
	fwrite(&kind, 1, 1, f);
	fwrite(data, 1, size, f);
	fclose(f);
}

static void put_seeds(const char *folder)
{
	char name[16];

	put_seed(folder, "hello", BYTES, hello, hello_len);
	put_seed(folder, "records", RECORDS, "\0\2\1\1", 4);
	put_seed(folder, "messages", MESSAGES, "\0\2\1\1", 4);
	put_seed(folder, "certificate", CERTIFICATE, der, (size_t)der_len);
	for (u32 i = 0; i < ARRAY_SIZE(requests); i++) {
		snprintf(name, sizeof(name), "request%u", i);
		put_seed(folder, name, REQUESTS, requests[i], strlen(requests[i]));
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct tls_client c;

	clock_step = 0;
	settle_rounds = 40;
	if (start_tls(NULL))
		abort();
	for (enum tls_role r = TLS_ROLE_NONE; r <= TLS_ROLE_ADMIN; r++)
		record_watch(tls_clients[r]);
	agent_arrives();
	tls_call(&c, 15, tls_clients[TLS_ROLE_OPERATE]);
	SSL_do_handshake(c.ssl);
	hello_len = (size_t)BIO_read(c.out, hello, sizeof(hello));
	der_len = i2d_X509(SSL_get_certificate(c.ssl), &der);
	tls_leave(&c);
	wait_for(150);
	tls_idle = tls_memory().used;
	for (int i = 1; i < *argc; i++)
		if ((*argv)[i][0] != '-')
			put_seeds((*argv)[i]);
	return 0;
}

/* ---- a good visit with changes ---- */

/* What openssl says, changed, goes to the server. */
static bool send_changed(struct tls_client *c, enum what what, struct changes *l)
{
	static u8 flight[FLIGHT_SIZE];
	int n = BIO_read(c->out, flight, 16384);
	size_t len;

	if (n <= 0 || !c->tcp.pcb)
		return false;
	len = (size_t)n;
	if (what == RECORDS)
		len = change_bytes(l, 2, flight, len, sizeof(flight));
	else
		len = record_change(l, flight, len);
	c->sent += len;
	say(&c->tcp, flight, len);
	return true;
}

static void visit(enum what what, const u8 *data, size_t size)
{
	static struct tls_client c;
	struct changes l = {data, size};
	bool moved = true;

	tls_call(&c, 15, tls_clients[TLS_ROLE_OPERATE]);
	if (what == BYTES) {
		say(&c.tcp, data, size);
	} else if (what == REQUESTS) {
		tls_talk(&c);
		if (!SSL_is_init_finished(c.ssl))
			abort();
		if (size)
			SSL_write(c.ssl, data, (int)size);
		tls_talk(&c);
	} else {
		while (moved) {
			if (!SSL_is_init_finished(c.ssl) && SSL_do_handshake(c.ssl) == 1)
				SSL_write(c.ssl, requests[0], (int)strlen(requests[0]));
			moved = send_changed(&c, what, &l);
			moved |= tls_feed(&c);
		}
	}
	if (c.tcp.pcb)
		vanish(&c.tcp);
	tls_forget(&c);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	enum what what = size ? data[0] % KINDS : BYTES;
	mbedtls_x509_crt crt;

	if (!size)
		return 0;
	if (what == CERTIFICATE) {
		mbedtls_x509_crt_init(&crt);
		mbedtls_x509_crt_parse_der(&crt, data + 1, size - 1);
		mbedtls_x509_crt_free(&crt);
	} else {
		visit(what, data + 1, size - 1);
	}
	pass(SECOND / 10); /* for the limit of requests */
	poll_wire();
	if (connections() || tls_memory().used != tls_idle)
		abort();
	return 0;
}
