/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of this monitor, in one text of PEM blocks (docs/security.md): its private key, its
 * certificate, the certificates of who may issue its clients' certificates, and the public keys of
 * who may sign bundles. Service CPU.
 */
#ifndef TLS_KEYS_H
#define TLS_KEYS_H

#include "lib/types.h"
#include <suture/bundle.h>

#define KEYS_SIGNERS_MAX 8u
#define KEYS_HASH_SIZE	 32

struct mbedtls_pk_context;
struct mbedtls_x509_crt;

/*
 * Read them; tls_platform_init() comes before. -EINVAL with `why`: a block is damaged, or there is
 * something in it that this monitor cannot use; then it has no keys at all.
 */
int keys_load(const char *pem, size_t size, char *why, size_t why_size);

/* Have none; harmless if there are none. */
void keys_forget(void);

/*
 * All of them as such a text, with a terminating zero. Its length without that; -ENOSPC. The text
 * has the private key: the caller keeps it from the guest.
 */
int keys_write(char *pem, size_t size);

/* Make a private key, where there is none. 0; -ENOMEM. */
int keys_make_own(void);
bool keys_has_own(void);
/* SHA-256 of its public half in DER. 0; -ENOMEM. */
int keys_own_hash(u8 hash[KEYS_HASH_SIZE]);
/* Is it a certificate for the private key? */
bool keys_is_own(const struct mbedtls_x509_crt *c);

/* Can they serve TLS? If not, *lacking says what is not there. */
bool keys_can_serve(const char **lacking);

/* Empty ones if there are none. */
struct mbedtls_pk_context *keys_own(void);
struct mbedtls_x509_crt *keys_own_certificate(void);
struct mbedtls_x509_crt *keys_client_issuers(void);

/* The number of keys that may sign bundles, and the one with that id; NULL: there is none. */
u32 keys_signers(void);
struct mbedtls_pk_context *keys_signer(const u8 id[4]);

#endif
