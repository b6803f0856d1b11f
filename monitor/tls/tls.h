/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS 1.3 with client certificates, as a layer of lwIP's altcp: what the API does with a connection
 * is the same with it and without it. Service CPU, lwIP's only context.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "boot/boot.h"
#include "lwip/altcp.h"
#include "tls/role.h"

/* Why clients were refused, for the counters. */
enum tls_refusal {
	TLS_PLAIN,	 /* no TLS: plain HTTP, or anything else */
	TLS_VERSION,	 /* below TLS 1.3 */
	TLS_NO_CERT,	 /* the client has shown no certificate */
	TLS_UNTRUSTED,	 /* its certificate is not of an issuer of this monitor's */
	TLS_EXPIRED,	 /* it has expired, or is not valid yet */
	TLS_FORBIDDEN,	 /* a request that its role does not allow */
	TLS_ENDED_EARLY, /* the client ended the handshake */
	TLS_OTHER,	 /* the protocol was broken, or there is no memory */
	TLS_REFUSALS
};

struct tls_stats {
	bool on;
	u64 handshakes; /* that succeeded */
	u64 refused[TLS_REFUSALS];
};

/*
 * Read the boot's keys. Then bundles can be judged (trust.h), and with `serve` TLS can be served:
 * 0; -ENOENT: not, with `why`; -EINVAL: the keys are of no use.
 */
int tls_init(const struct boot_info *bi, bool serve, char *why, size_t why_size);

/*
 * A listener whose connections speak TLS, above one that listens on TCP and belongs to it from now
 * on. NULL: no memory. Its connections reach the accept function before their handshake: limits of
 * time are the caller's.
 */
struct altcp_pcb *tls_listen(struct altcp_pcb *tcp);

/* The role and the name (CN, up to 63 characters) of the client; of a plain connection: admin, "".
 */
enum tls_role tls_role(const struct altcp_pcb *conn);
const char *tls_name(const struct altcp_pcb *conn);

/*
 * SHA-256 of the client's certificate, which lives as long as the connection. NULL: there is none,
 * or the handshake is under way.
 */
const u8 *tls_certificate(const struct altcp_pcb *conn);

void tls_count_refusal(enum tls_refusal why);
/* What a counter counts, as its label in /metrics. */
const char *tls_refusal_name(enum tls_refusal why);
struct tls_stats tls_stats(void);

#endif
