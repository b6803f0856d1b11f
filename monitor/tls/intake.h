/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of a bundle into the engine, whoever sent it. Service CPU. */
#ifndef TLS_INTAKE_H
#define TLS_INTAKE_H

#include "core/log.h"
#include "patch/engine/engine.h"

/*
 * Verify a bundle, its signature and its version, and give it to the engine. `data` is `size` bytes
 * in pages of the pool that go along with checkpoints; on 0 they are the engine's, else they stay
 * the caller's. *b has the bundle once it was parsed: its name is "" before. downgrade: a version
 * older than one that was here is taken. kind: of the line in the log that a refusal makes. 0; 1:
 * the same bundle is applied, or on its way there; negative errno of bundle_parse(), trust_check(),
 * engine_check_version() or engine_upload(), with `why`, and nothing has changed.
 */
int intake_bundle(struct engine *e, struct bundle *b, void *data, size_t size, bool downgrade,
		  enum log_kind kind, char *why, size_t why_size);

#endif
