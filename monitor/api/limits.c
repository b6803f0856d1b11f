/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/limits.h"
#include "arch/time.h"
#include "lib/mutate.h"
#include "lib/string.h"

#define INTERVAL_US (1000000u / LIMITS_PER_SECOND)

/* Certificates of whom it is known what they have had; the one that has had least gives way. */
static struct share {
	u8 certificate[SHA256_SIZE];
	u64 used_up_us; /* the requests so far use the share up until this time */
} shares[64];

#define END (shares + ARRAY_SIZE(shares))

static struct share *share_of(const u8 certificate[SHA256_SIZE])
{
	struct share *least = shares;

	for (struct share *s = shares; s < END; s++) {
		if (!memcmp(s->certificate, certificate, SHA256_SIZE))
			return s;
		if (s->used_up_us < least->used_up_us)
			least = s;
	}
	memcpy(least->certificate, certificate, SHA256_SIZE);
	least->used_up_us = 0;
	return least;
}

bool limits_take(const u8 certificate[SHA256_SIZE])
{
	struct share *s = share_of(certificate);
	u64 now = arch_time_us(), until = MAX(s->used_up_us, now) + INTERVAL_US;

	if (until > now + (u64)LIMITS_AT_ONCE * INTERVAL_US && !MUTATION(request_limit))
		return false;
	s->used_up_us = until;
	return true;
}
