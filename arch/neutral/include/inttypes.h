/* SPDX-License-Identifier: BSD-2-Clause */
/* mbedTLS's headers take the formats of integers from here, for messages that are left out. */
#include <stdint.h>
#define PRId64 "lld"
