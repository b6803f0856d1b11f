/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/intake.h"
#include "tls/trust.h"

int intake_bundle(struct engine *e, struct bundle *b, void *data, size_t size, bool downgrade,
		  enum log_kind kind, char *why, size_t why_size)
{
	int err = bundle_parse(b, data, size, why, why_size);

	if (err)
		return err;
	err = trust_check(b, why, why_size);
	if (!err && !downgrade)
		err = engine_check_version(e, b, why, why_size);
	if (err) {
		log_limited(kind, LOG_WARN, "a bundle was refused: %s", why);
		return err;
	}
	return engine_upload(e, b, why, why_size);
}
