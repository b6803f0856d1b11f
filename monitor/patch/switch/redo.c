/* SPDX-License-Identifier: BSD-2-Clause */
#include "patch/switch/redo.h"
#include "core/checkpoint.h"
#include "lib/mutate.h"
#include "stage2/shadow.h"

static struct {
	u64 serial; /* of the set of redirects after the last switch; goes along with checkpoints */
} record;

static bool behind;

int switch_keep(void)
{
	return checkpoint_static(&record, sizeof(record));
}

void switch_restart(void)
{
	behind = record.serial != shadow_serial() && !MUTATION(lost_switches);
}

bool switch_is_behind(void)
{
	return behind;
}

void switch_settled(void)
{
	behind = false;
	record.serial = shadow_serial();
}

bool switch_is_made(const struct switch_set *set)
{
	if (!behind || !set->count)
		return false;
	for (u32 i = 0; i < set->count; i++)
		if (shadow_target(set->funcs[i].key) != set->funcs[i].new_addr)
			return false;
	return true;
}

void switch_made(void)
{
	record.serial = shadow_serial();
}
