/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session is the state of an altcp connection (`conn`, the upper one, which the API has) above
 * another one (`tcp`). What comes from below is work: a pending record is sent, the handshake goes
 * on, data is delivered. The API may end the connection from within a delivery: then the session is
 * `gone`, and is released when the work has returned.
 */
#include "tls/config.h"
#include "core/log.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/sha256.h"
#include "lib/string.h"
#include "lwip/priv/altcp_priv.h"
#include "mbedtls/oid.h"
#include "tls/tls.h"

#define SESSIONS   20	/* the API's connections, and those that give way to them */
#define RECORD_MAX 4000 /* bytes that are sent in one record */
#define OVERHEAD   64	/* header, type and tag of a record, and a TLS alert */
#define CHUNK	   4096 /* of what is delivered */
#define NAME_SIZE  64

/* ContentType handshake (RFC 8446, 5.1): the first byte of what a client of TLS sends. */
#define FIRST_BYTE 22

static struct session {
	bool used;
	struct altcp_pcb *conn; /* NULL: gone */
	struct altcp_pcb *tcp;
	mbedtls_ssl_context ssl;
	bool begun, established, broken;
	bool busy, aborted;
	bool ended, ended_told; /* the client sends no more */
	bool shut;		/* our direction is to be closed behind the pending record */
	struct pbuf *rx;   /* received, not yet decrypted; its bytes still count in the window */
	struct pbuf *held; /* decrypted, not yet taken by the API */
	u16 pending;	   /* bytes of the record that TCP has not taken; 0: there is none */
	enum tls_role role;
	char name[NAME_SIZE];
	u8 certificate[SHA256_SIZE]; /* its fingerprint */
} sessions[SESSIONS];

/* ---- what mbedTLS reads and writes ---- */

static int read_bytes(void *ctx, unsigned char *buf, size_t len)
{
	struct session *s = ctx;
	u16 n;

	if (!s->rx)
		return s->ended ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
	n = (u16)MIN(len, (size_t)s->rx->tot_len);
	pbuf_copy_partial(s->rx, buf, n, 0);
	s->rx = pbuf_free_header(s->rx, n);
	altcp_recved(s->tcp, n);
	return n;
}

static int write_bytes(void *ctx, const unsigned char *buf, size_t len)
{
	struct session *s = ctx;
	u16 n = (u16)MIN(len, (size_t)altcp_sndbuf(s->tcp));

	if (!n || altcp_write(s->tcp, buf, n, TCP_WRITE_FLAG_COPY) != ERR_OK)
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	return n;
}

/* ---- life ---- */

static struct session *open_session(struct altcp_pcb *conn, struct altcp_pcb *tcp)
{
	for (struct session *s = sessions; s < sessions + SESSIONS; s++) {
		if (s->used)
			continue;
		*s = (struct session){.used = true, .conn = conn, .tcp = tcp};
		mbedtls_ssl_init(&s->ssl);
		if (!mbedtls_ssl_setup(&s->ssl, tls_config())) {
			mbedtls_ssl_set_bio(&s->ssl, s, write_bytes, read_bytes, NULL);
			return s;
		}
		mbedtls_ssl_free(&s->ssl);
		s->used = false;
		return NULL;
	}
	return NULL;
}

static void release_session(struct session *s)
{
	if (s->rx)
		pbuf_free(s->rx);
	if (s->held)
		pbuf_free(s->held);
	if (!MUTATION(session_memory))
		mbedtls_ssl_free(&s->ssl);
	s->rx = s->held = NULL;
	s->used = false;
}

/* The upper connection has ended; the lower one is ended by the caller. */
static void lose_conn(struct session *s)
{
	struct altcp_pcb *conn = s->conn;

	s->conn = NULL;
	conn->state = NULL;
	conn->inner_conn = NULL;
	altcp_free(conn);
	if (!s->busy)
		release_session(s);
}

/* TCP would answer unread bytes with a reset, and the client lose what was sent before it. */
static void drop_received(struct session *s)
{
	if (!s->rx)
		return;
	altcp_recved(s->tcp, s->rx->tot_len);
	pbuf_free(s->rx);
	s->rx = NULL;
}

static void abort_tcp(struct session *s)
{
	altcp_arg(s->tcp, NULL);
	altcp_err(s->tcp, NULL);
	altcp_abort(s->tcp);
	s->tcp = NULL;
	s->aborted = true;
}

/* The session cannot go on: the API is told that its connection is gone. */
static void fail_session(struct session *s)
{
	struct altcp_pcb *conn = s->conn;

	drop_received(s);
	altcp_output(s->tcp); /* the alert */
	if (conn->err)
		conn->err(conn->arg, ERR_CLSD);
	if (altcp_close(s->tcp) != ERR_OK)
		abort_tcp(s);
	s->tcp = NULL;
	lose_conn(s);
}

/* ---- the handshake ---- */

static const char *address_of(const struct session *s, char text[16])
{
	const ip4_addr_t *a = ip_2_ip4(altcp_get_ip(s->tcp, 0));

	format(text, 16, "%u.%u.%u.%u", ip4_addr1(a), ip4_addr2(a), ip4_addr3(a), ip4_addr4(a));
	return text;
}

static enum tls_refusal refusal_of(struct session *s, int err)
{
	u32 flags = mbedtls_ssl_get_verify_result(&s->ssl);

	if (err == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE)
		return TLS_NO_CERT;
	if (err == MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION)
		return TLS_VERSION;
	if (err == MBEDTLS_ERR_SSL_CONN_EOF)
		return TLS_ENDED_EARLY;
	if (flags == UINT32_MAX || !flags) /* it did not come to that */
		return TLS_OTHER;
	if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
		return TLS_UNTRUSTED;
	if (flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE))
		return TLS_EXPIRED;
	return TLS_UNTRUSTED;
}

static void refuse_client(struct session *s, enum tls_refusal why, int err)
{
	char address[16];

	tls_count_refusal(why);
	if (why != TLS_ENDED_EARLY)
		log_limited(LOG_NET, LOG_WARN, "TLS: %s refused: %s (-0x%x)",
			    address_of(s, address), tls_refusal_name(why), (u32)-err);
	fail_session(s);
}

/* The value of an attribute of the subject: the last one of its kind. */
static void subject_part(const mbedtls_x509_crt *c, const char *oid, size_t oid_len, char *text,
			 size_t size)
{
	text[0] = 0;
	for (const mbedtls_x509_name *n = &c->subject; n; n = n->next) {
		size_t len = MIN(n->val.len, size - 1);

		if (n->oid.len != oid_len || memcmp(n->oid.p, oid, oid_len) != 0)
			continue;
		memcpy(text, n->val.p, len);
		text[len] = 0;
		for (size_t i = 0; i < len; i++)
			if (text[i] < ' ' || text[i] > '~')
				text[i] = '?';
	}
}

#define OID(name) (name), sizeof(name) - 1

static void know_client(struct session *s)
{
	const mbedtls_x509_crt *c = mbedtls_ssl_get_peer_cert(&s->ssl);
	char unit[NAME_SIZE];

	s->role = TLS_ROLE_NONE;
	if (!c)
		return;
	sha256(c->raw.p, c->raw.len, s->certificate);
	subject_part(c, OID(MBEDTLS_OID_AT_CN), s->name, sizeof(s->name));
	subject_part(c, OID(MBEDTLS_OID_AT_ORG_UNIT), unit, sizeof(unit));
	for (enum tls_role r = TLS_ROLE_READ; r <= TLS_ROLE_ADMIN; r++)
		if (!strcmp(unit, tls_role_name(r)))
			s->role = r;
}

/* Who speaks plain HTTP gets an answer in it. */
static void answer_plain(struct session *s)
{
	static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
				   "Connection: close\r\n\r\n{\"error\":{\"code\":\"EPROTO\","
				   "\"message\":\"this port speaks TLS: use https, and a client "
				   "certificate\"}}\n";

	altcp_write(s->tcp, text, sizeof(text) - 1, TCP_WRITE_FLAG_COPY);
	refuse_client(s, TLS_PLAIN, 0);
}

static void shake_hands(struct session *s)
{
	int err;

	if (!s->begun && s->rx) {
		s->begun = true;
		if (pbuf_get_at(s->rx, 0) != FIRST_BYTE) {
			answer_plain(s);
			return;
		}
	}
	err = mbedtls_ssl_handshake(&s->ssl);
	if (!err) {
		s->established = true;
		tls_count_handshake();
		know_client(s);
	} else if (err != MBEDTLS_ERR_SSL_WANT_READ && err != MBEDTLS_ERR_SSL_WANT_WRITE) {
		refuse_client(s, refusal_of(s, err), err);
		return;
	}
	altcp_output(s->tcp);
}

/* ---- data ---- */

/* TCP may now take what is left of a record: mbedTLS is called again, and does not look at the
 * data.
 */
static void push_pending(struct session *s)
{
	static const u8 none[RECORD_MAX];

	if (s->pending && mbedtls_ssl_write(&s->ssl, none, s->pending) > 0)
		s->pending = 0;
	if (!s->pending && s->shut) {
		s->shut = false;
		mbedtls_ssl_close_notify(&s->ssl);
		if (altcp_shutdown(s->tcp, 0, 1) != ERR_OK)
			s->broken = true;
	}
	altcp_output(s->tcp);
}

/* Decrypt the next piece into s->held. False: there is none now. */
static bool read_held(struct session *s)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, CHUNK, PBUF_RAM);
	int n;

	if (!p)
		return false; /* tried again twice a second */
	n = mbedtls_ssl_read(&s->ssl, p->payload, CHUNK);
	if (n > 0) {
		pbuf_realloc(p, (u16)n);
		s->held = p;
		return true;
	}
	pbuf_free(p);
	if (!n || n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || n == MBEDTLS_ERR_SSL_CONN_EOF)
		s->ended = true;
	else if (n != MBEDTLS_ERR_SSL_WANT_READ && n != MBEDTLS_ERR_SSL_WANT_WRITE)
		s->broken = true;
	return false;
}

static void deliver_data(struct session *s)
{
	struct altcp_pcb *conn = s->conn;

	while (s->conn && !s->broken && (s->held || read_held(s))) {
		/* whatever else it returns, it has taken the data */
		if (conn->recv && conn->recv(conn->arg, conn, s->held, ERR_OK) == ERR_MEM)
			return;
		s->held = NULL;
	}
	if (s->conn && !s->broken && s->ended && !s->ended_told) {
		s->ended_told = true;
		if (conn->recv)
			conn->recv(conn->arg, conn, NULL, ERR_OK);
	}
}

/* All that is to be done. `tell`: what the API is told first, unless the handshake is under way. */
enum tell { TELL_NOTHING, TELL_SENT, TELL_POLL };

static err_t work_on(struct session *s, enum tell tell)
{
	struct altcp_pcb *conn = s->conn;
	bool aborted;

	if (s->busy)
		return ERR_OK;
	s->busy = true;
	if (!s->established && (s->rx || s->ended))
		shake_hands(s);
	else if (s->established)
		push_pending(s);
	if (s->conn && s->established && tell == TELL_SENT && conn->sent)
		conn->sent(conn->arg, conn, 1);
	if (s->conn && tell == TELL_POLL && conn->poll)
		conn->poll(conn->arg, conn);
	if (s->conn && s->established)
		deliver_data(s);
	if (s->conn && s->broken)
		fail_session(s);
	s->busy = false;
	aborted = s->aborted;
	if (!s->conn)
		release_session(s);
	return aborted ? ERR_ABRT : ERR_OK;
}

/* ---- from TCP ---- */

static err_t on_recv(void *arg, struct altcp_pcb *tcp, struct pbuf *p, err_t err)
{
	struct session *s = ((struct altcp_pcb *)arg)->state;

	(void)tcp, (void)err;
	if (!p)
		s->ended = true;
	else if (s->rx)
		pbuf_cat(s->rx, p);
	else
		s->rx = p;
	return work_on(s, TELL_NOTHING);
}

static err_t on_sent(void *arg, struct altcp_pcb *tcp, u16_t len)
{
	(void)tcp, (void)len;
	return work_on(((struct altcp_pcb *)arg)->state, TELL_SENT);
}

static err_t on_poll(void *arg, struct altcp_pcb *tcp)
{
	(void)tcp;
	return work_on(((struct altcp_pcb *)arg)->state, TELL_POLL);
}

/* TCP has given the connection up, and frees its part. */
static void on_error(void *arg, err_t err)
{
	struct altcp_pcb *conn = arg;
	struct session *s = conn ? conn->state : NULL;

	if (!s)
		return;
	s->tcp = NULL;
	if (!s->established)
		tls_count_refusal(TLS_ENDED_EARLY);
	if (conn->err)
		conn->err(conn->arg, err);
	lose_conn(s);
}

/* ---- from the API ---- */

static void tls_set_poll(struct altcp_pcb *conn, u8_t interval)
{
	(void)conn, (void)interval; /* on_poll() passes on TCP's, twice a second */
}

static void tls_recved(struct altcp_pcb *conn, u16_t len)
{
	(void)conn, (void)len; /* TCP's window is opened when bytes are decrypted */
}

static void tls_abort(struct altcp_pcb *conn)
{
	struct session *s = conn->state;

	abort_tcp(s);
	lose_conn(s);
}

static err_t tls_close(struct altcp_pcb *conn)
{
	struct session *s = conn->state;
	err_t err;

	if (s->established && !s->pending)
		mbedtls_ssl_close_notify(&s->ssl);
	drop_received(s);
	err = altcp_close(s->tcp);
	if (err != ERR_OK)
		return err;
	s->tcp = NULL;
	lose_conn(s);
	return ERR_OK;
}

static err_t tls_shutdown(struct altcp_pcb *conn, int rx, int tx)
{
	struct session *s = conn->state;

	(void)rx;
	if (tx)
		s->shut = true;
	push_pending(s);
	return s->broken ? ERR_MEM : ERR_OK;
}

static u16_t tls_sndbuf(struct altcp_pcb *conn)
{
	const struct session *s = conn->state;

	return s->established && !s->pending && altcp_sndbuf(s->tcp) >= RECORD_MAX + OVERHEAD
		       ? RECORD_MAX
		       : 0;
}

static err_t tls_write(struct altcp_pcb *conn, const void *data, u16_t len, u8_t flags)
{
	struct session *s = conn->state;
	int n;

	(void)flags;
	if (len > tls_sndbuf(conn))
		return ERR_MEM;
	n = mbedtls_ssl_write(&s->ssl, data, len);
	if (n == MBEDTLS_ERR_SSL_WANT_WRITE)
		s->pending = len;
	else if (n != len)
		s->broken = true;
	return s->broken ? ERR_MEM : ERR_OK;
}

static u16_t tls_sndqueuelen(struct altcp_pcb *conn)
{
	const struct session *s = conn->state;

	return altcp_sndqueuelen(s->tcp) + (s->pending != 0);
}

static const struct altcp_functions tls_functions = {
	.set_poll = tls_set_poll,
	.recved = tls_recved,
	.abort = tls_abort,
	.close = tls_close,
	.shutdown = tls_shutdown,
	.write = tls_write,
	.output = altcp_default_output,
	.mss = altcp_default_mss,
	.sndbuf = tls_sndbuf,
	.sndqueuelen = tls_sndqueuelen,
	.nagle_disable = altcp_default_nagle_disable,
	.nagle_enable = altcp_default_nagle_enable,
	.nagle_disabled = altcp_default_nagle_disabled,
	.setprio = altcp_default_setprio,
	.addrinfo = altcp_default_get_tcp_addrinfo,
	.getip = altcp_default_get_ip,
	.getport = altcp_default_get_port,
};

/* ---- the listener ---- */

static err_t on_accept(void *arg, struct altcp_pcb *tcp, err_t err)
{
	struct altcp_pcb *listener = arg, *conn;
	struct session *s = NULL;

	if (err != ERR_OK || !tcp)
		return ERR_VAL;
	conn = altcp_alloc();
	if (conn)
		s = open_session(conn, tcp);
	if (!s) {
		if (conn)
			altcp_free(conn);
		tls_count_refusal(TLS_OTHER);
		return ERR_MEM; /* lwIP ends the connection */
	}
	conn->fns = &tls_functions;
	conn->inner_conn = tcp;
	conn->state = s;
	altcp_arg(tcp, conn);
	altcp_recv(tcp, on_recv);
	altcp_sent(tcp, on_sent);
	altcp_err(tcp, on_error);
	altcp_poll(tcp, on_poll, 1);
	return listener->accept(listener->arg, conn, err);
}

struct altcp_pcb *tls_listen(struct altcp_pcb *tcp)
{
	struct altcp_pcb *listener = altcp_alloc();

	if (!listener)
		return NULL;
	listener->fns = &tls_functions;
	listener->inner_conn = tcp;
	altcp_arg(tcp, listener);
	altcp_accept(tcp, on_accept);
	return listener;
}

/* ---- who is it ---- */

static const struct session *session_of(const struct altcp_pcb *conn)
{
	return conn->fns == &tls_functions ? conn->state : NULL;
}

enum tls_role tls_role(const struct altcp_pcb *conn)
{
	const struct session *s = session_of(conn);

	return s ? s->role : TLS_ROLE_ADMIN;
}

const u8 *tls_certificate(const struct altcp_pcb *conn)
{
	const struct session *s = session_of(conn);

	return s && s->established ? s->certificate : NULL;
}

const char *tls_name(const struct altcp_pcb *conn)
{
	const struct session *s = session_of(conn);

	return s ? s->name : "";
}
