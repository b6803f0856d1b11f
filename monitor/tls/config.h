/* SPDX-License-Identifier: BSD-2-Clause */
/* What all sessions have in common. Between the files of TLS. */
#ifndef TLS_CONFIG_H
#define TLS_CONFIG_H

#include "mbedtls/ssl.h"

/* tls_init() has prepared it. */
mbedtls_ssl_config *tls_config(void);

void tls_count_handshake(void);

#endif
