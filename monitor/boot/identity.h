/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's own key and its certificate, at a boot: a key is made if there is an authority and
 * no key, a certificate is asked for, and one that comes is taken (docs/security.md). Boot CPU,
 * after core_init(), firmware still alive.
 */
#ifndef BOOT_IDENTITY_H
#define BOOT_IDENTITY_H

#include "boot/boot.h"

#define IDENTITY_HASH_SIZE 32

struct identity {
	/* the certificate that lies there, PEM with its terminating zero, which size counts; NULL:
	 * none */
	const char *certificate;
	size_t certificate_size;

	bool key_made, certificate_taken; /* then bi->keys have changed, and are to be stored */
	char request[1024]; /* PKCS #10 in PEM, as long as there is no certificate; "" */
	u8 key_hash[IDENTITY_HASH_SIZE]; /* of the public key, in DER: SHA-256; with a request */
	char refused[128];		 /* why the certificate is not taken, or "" */
};

/*
 * Look after bi->keys. 0; -EINVAL with `why`: they are of no use; -EIO: no random numbers; -ENOMEM;
 * -ENOSPC: they have become too large. After an error bi->keys are not to be used.
 */
int identity_tend(struct boot_info *bi, struct identity *id, char *why, size_t why_size);

#endif
