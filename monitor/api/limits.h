/* SPDX-License-Identifier: BSD-2-Clause */
/* How often a client's certificate may ask. Service CPU. */
#ifndef API_LIMITS_H
#define API_LIMITS_H

#include "lib/sha256.h"

/* Requests at once, and how many more each second, of one certificate. */
#define LIMITS_AT_ONCE	  100u
#define LIMITS_PER_SECOND 50u

/*
 * One more request of the certificate with this SHA-256 fingerprint. False: it has had its share,
 * and the request is not counted.
 */
bool limits_take(const u8 certificate[SHA256_SIZE]);

#endif
