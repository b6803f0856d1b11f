/* SPDX-License-Identifier: BSD-2-Clause */
/* A bundle in memory, checked. The format is in <suture/bundle.h>. Pure logic. */
#ifndef PATCH_BUNDLE_H
#define PATCH_BUNDLE_H

#include "lib/sha256.h"
#include "lib/types.h"
#include <suture/bundle.h>

struct bundle {
	const u8 *data; /* the whole bundle; owned by the holder of the struct */
	size_t size;
	const u8 *payload;
	size_t payload_size;
	u32 machine;					     /* enum suture_machine */
	struct suture_manifest manifest;		     /* a copy, aligned */
	const u8 *objects, *funcs, *states, *symbols, *cves; /* tables within data, unaligned */
	const char *strings;
	const struct suture_signature *signature;
	size_t signed_size;	/* bytes of data that the signature is over */
	u8 digest[SHA256_SIZE]; /* of the whole bundle, from bundle_hash() */
};

/*
 * Check every offset, size, count and string of [data, data + size) and fill *b; keeps pointers
 * into data. -EBADMSG (magic, structure), -EPROTO (version), -EMSGSIZE (truncated or trailing
 * bytes), -EFBIG, -EINVAL (names); `why` gets one line that names the field.
 */
int bundle_parse(struct bundle *b, const void *data, size_t size, char *why, size_t why_size);

/* Is it a patch's name that ends within `size` bytes? */
bool bundle_is_name(const char *s, size_t size);

/* Fill b->digest, which names the contents. */
void bundle_hash(struct bundle *b);

/* The i-th entries, copied out; i must be below the manifest's count. Strings live as long as data.
 */
struct suture_manifest_object bundle_object(const struct bundle *b, u32 i);
struct suture_manifest_func bundle_func(const struct bundle *b, u32 i);
struct suture_manifest_state bundle_state(const struct bundle *b, u32 i);
struct suture_manifest_symbol bundle_symbol(const struct bundle *b, u32 i);
const char *bundle_cve(const struct bundle *b, u32 i);
/* A name of the architecture for people; "" if it is none of enum suture_machine. */
const char *bundle_machine_name(u32 machine);
/* A string of the pool; bundle_parse() has checked every offset that the tables hold. */
const char *bundle_string(const struct bundle *b, u32 offset);

#endif
