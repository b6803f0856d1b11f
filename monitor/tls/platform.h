/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What mbedTLS needs of the monitor: memory of its own, random numbers, and the time of day.
 * Service CPU.
 */
#ifndef TLS_PLATFORM_H
#define TLS_PLATFORM_H

#include "boot/boot.h"

/*
 * Give mbedTLS its memory, and seed its generator (CTR_DRBG, NIST SP 800-90A) with the processor's
 * random numbers and the firmware's. Nothing if that was done. 0; -ENOMEM; -EIO: there are
 * no random numbers good enough for keys.
 */
int tls_platform_init(const struct boot_info *bi);

/* Give it all back; then it may be begun anew. Nothing of mbedTLS is in use. */
void tls_platform_end(void);

/* Random bytes of that generator: mbedTLS's f_rng; ctx is not used. 0, or an error of mbedTLS. */
int tls_random(void *ctx, unsigned char *buf, size_t len);

/*
 * Seconds since 1970 (UTC): the firmware's clock at the boot, and the time since then. 0: the
 * firmware has no clock.
 */
u64 tls_utc(void);

/* Bytes of that memory that are in use, and the most that ever were. */
struct tls_memory {
	size_t used, peak;
};
struct tls_memory tls_memory(void);

#endif
