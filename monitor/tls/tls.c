/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration of all sessions, and the counters. */
#include "tls/tls.h"
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "mbedtls/ssl.h"
#include "tls/keys.h"
#include "tls/platform.h"
#include "tls/config.h"

static mbedtls_ssl_config ssl_config;
static struct tls_stats stats;

mbedtls_ssl_config *tls_config(void)
{
	return &ssl_config;
}

static int configure_server(void)
{
	static const u16 groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
				     MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
	static const u16 algorithms[] = {MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
					 MBEDTLS_TLS1_3_SIG_NONE};
	/* in this order with those clients that leave the choice to the server */
	static const int suites[] = {MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
				     MBEDTLS_TLS1_3_AES_128_GCM_SHA256, 0};
	mbedtls_ssl_config *c = &ssl_config;
	int err;

	mbedtls_ssl_config_init(c);
	err = mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
					  MBEDTLS_SSL_PRESET_DEFAULT);
	if (err)
		return err;
	mbedtls_ssl_conf_rng(c, tls_random, NULL);
	mbedtls_ssl_conf_min_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_3);
	mbedtls_ssl_conf_max_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_3);
	mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(c, keys_client_issuers(), NULL);
	mbedtls_ssl_conf_groups(c, groups);
	mbedtls_ssl_conf_sig_algs(c, algorithms);
	mbedtls_ssl_conf_ciphersuites(c, suites);
	return mbedtls_ssl_conf_own_cert(c, keys_own_certificate(), keys_own());
}

static int begin_serving(char *why, size_t why_size)
{
	const char *lacking;

	if (!keys_can_serve(&lacking)) {
		format(why, why_size, "the keys have %s: suture keys makes them", lacking);
		return -ENOENT;
	}
	if (!tls_utc()) {
		format(why, why_size,
		       "the firmware has no clock, without which no certificate can be judged");
		return -ENOENT;
	}
	if (configure_server()) {
		format(why, why_size, "no memory for TLS");
		return -ENOENT;
	}
	stats.on = true;
	return 0;
}

int tls_init(const struct boot_info *bi, bool serve, char *why, size_t why_size)
{
	int err;

	if (!bi->keys_size) {
		format(why, why_size,
		       "there are no keys: suture keys makes them (docs/security.md)");
		return -ENOENT;
	}
	err = tls_platform_init(bi);
	if (err) {
		format(why, why_size,
		       err == -EIO ? "neither the processor nor the firmware has random numbers"
				   : "no memory for TLS");
		return -EINVAL;
	}
	err = keys_load(bi->keys, bi->keys_size, why, why_size);
	if (err)
		return err;
	return serve ? begin_serving(why, why_size) : 0;
}

/* ---- words and counters ---- */

const char *tls_role_name(enum tls_role role)
{
	static const char *const names[] = {"none", "read", "operate", "admin"};

	return names[role];
}

const char *tls_refusal_name(enum tls_refusal why)
{
	static const char *const names[TLS_REFUSALS] = {
		[TLS_PLAIN] = "plain",
		[TLS_VERSION] = "version",
		[TLS_NO_CERT] = "no-certificate",
		[TLS_UNTRUSTED] = "untrusted",
		[TLS_EXPIRED] = "expired",
		[TLS_FORBIDDEN] = "role",
		[TLS_ENDED_EARLY] = "ended-early",
		[TLS_OTHER] = "other",
	};

	return names[why];
}

void tls_count_refusal(enum tls_refusal why)
{
	stats.refused[why]++;
}

void tls_count_handshake(void)
{
	stats.handshakes++;
}

struct tls_stats tls_stats(void)
{
	return stats;
}
