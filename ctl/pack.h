/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing a bundle; the format is in <suture/bundle.h>. */
#ifndef CTL_PACK_H
#define CTL_PACK_H

#include "cves.h"
#include "payload.h"

struct pack_input {
	const struct payload_info *info;
	const void *payload;
	size_t payload_size;
	unsigned machine; /* enum suture_machine */
	unsigned char build_id[32];
	unsigned build_id_len;
	const char *version, *description, *params; /* may be NULL */
	const struct cves *cves;
};

/* Write the bundle, unsigned, to path; nothing is left there on failure. An exit code, message
 * printed. */
int pack_write(const char *path, const struct pack_input *in);

#endif
