/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that change something, and how they ended: records in a chain of hashes, so that none
 * can be left out, put in or changed without it being seen by who knows a later hash. The chain of
 * a record is SHA-256 of the chain before it (zeros before the first) and the record's text.
 * Service CPU. A new life of the service CPU goes on with the chain; a boot begins anew.
 */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H

#include "lib/sha256.h"

#define AUDIT_KEPT 256u
#define AUDIT_TEXT 320u

struct audit_record {
	u64 seq; /* 1 for the first since the boot */
	char text[AUDIT_TEXT];
	u8 chain[SHA256_SIZE];
};

#define AUDIT_NO_ANSWER 0u

/*
 * Add a record: at that time (seconds since 1970, 0: not known) `who` asked for `what`, and was
 * answered with that HTTP status; AUDIT_NO_ANSWER: `what` is how something ended. What is not
 * printable becomes '?'.
 */
void audit_add(u64 utc, const char *who, const char *what, u16 status);

/* " sha256 " and the digest, for the text of a record that is about a bundle. */
#define AUDIT_HASH (sizeof(" sha256 ") + 2 * SHA256_SIZE)
void audit_hash(char text[AUDIT_HASH], const u8 digest[SHA256_SIZE]);

/* The oldest record that is kept with this number or a later one. False: there is none. */
bool audit_read(u64 since, struct audit_record *r);

/* The number of the last record, and its chain; 0 and zeros if there is none. */
u64 audit_head(u8 chain[SHA256_SIZE]);

#endif
