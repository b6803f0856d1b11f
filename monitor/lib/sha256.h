/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 (FIPS 180-4), for names of contents. Pure logic, any CPU. */
#ifndef LIB_SHA256_H
#define LIB_SHA256_H

#include "lib/types.h"

#define SHA256_SIZE 32u

void sha256(const void *data, size_t size, u8 digest[SHA256_SIZE]);

#endif
