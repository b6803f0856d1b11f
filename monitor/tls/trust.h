/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may change the guest: signatures of bundles. Service CPU. */
#ifndef TLS_TRUST_H
#define TLS_TRUST_H

#include "patch/bundle.h"

/*
 * May this bundle be applied? 0 without any check if the monitor trusts no key. -EKEYREJECTED with
 * `why`: it is not signed, by a key that is not trusted, was changed afterwards, or has expired.
 * tls_platform_init() comes before. Takes a second for 100 MB, with heartbeats.
 */
int trust_check(const struct bundle *b, char *why, size_t why_size);

#endif
