/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys that sign bundles: ECDSA on P-256, of openssl's files or of a PKCS#11 token. */
#ifndef CTL_KEYFILE_H
#define CTL_KEYFILE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <suture/bundle.h>

#define KEY_ID_SIZE sizeof(((struct suture_signature *)0)->key_id)

/*
 * The private key of a PEM file, or of a token by its URI (pkcs11:..., RFC 7512; openssl's engine
 * pkcs11). The caller frees it with EVP_PKEY_free(). NULL with a message printed.
 */
EVP_PKEY *keyfile_private(const char *source);

/* The public key of a PEM file that holds one, or a certificate, or a private key. Likewise. */
EVP_PKEY *keyfile_public(const char *path);

/* The name of a key in signatures. False when out of memory. */
bool keyfile_id(EVP_PKEY *key, su8 id[KEY_ID_SIZE]);

#endif
