/* SPDX-License-Identifier: BSD-2-Clause */
/* What a client may do. */
#ifndef TLS_ROLE_H
#define TLS_ROLE_H

/* Each includes those before it. By the OU of its certificate's subject. */
enum tls_role { TLS_ROLE_NONE, TLS_ROLE_READ, TLS_ROLE_OPERATE, TLS_ROLE_ADMIN };

/* The word for it: "none", "read", "operate" or "admin". */
const char *tls_role_name(enum tls_role role);

#endif
