/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>

#include "boot/efi.h"

static EFI_GUID rng_guid = EFI_RNG_PROTOCOL_GUID;

void seed_fetch(struct boot *b)
{
	struct boot_info *info = b->info;
	EFI_RNG_PROTOCOL *rng;

	if (!b->bs->LocateProtocol(&rng_guid, NULL, (void **)&rng))
		info->has_seed = !rng->GetRNG(rng, NULL, sizeof(info->seed), info->seed);
}
