/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/parts.h"
#include "core/checkpoint.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"

static struct {
	u8 *bytes;
	u32 total, have;
} parts;

static size_t parts_pages(void)
{
	return (parts.total + PAGE_SIZE - 1) / PAGE_SIZE;
}

void parts_drop(void)
{
	if (parts.bytes)
		checkpoint_free(parts.bytes, parts_pages());
	parts.bytes = NULL;
	parts.total = parts.have = 0;
}

static int parts_begin(u32 total)
{
	parts_drop();
	if (total <= SUTURE_MSG_MAX || total > SUTURE_LONG_MAX)
		return -EMSGSIZE;
	parts.total = total;
	parts.bytes = pool_alloc(parts_pages());
	if (!parts.bytes)
		return -ENOMEM;
	/* No copy is needed: bytes that have come stay as they are. */
	if (!checkpoint_adopt(parts.bytes, parts_pages()))
		return 0;
	parts_drop();
	return -ENOMEM;
}

/* Append the bytes. 1: the whole is there. */
static int parts_append(const struct suture_part *part)
{
	u32 len = part->msg.size - (u32)sizeof(*part);

	if (!len || part->total != parts.total || part->offset != parts.have ||
	    len > parts.total - parts.have)
		return -EINVAL;
	memcpy(parts.bytes + parts.have, part + 1, len);
	parts.have += len;
	return parts.have == parts.total;
}

/* Its other fields are checked as those of any message. */
static int check_whole(const struct suture_msg *m)
{
	return m->size == parts.total && m->type != SUTURE_MSG_PART ? 1 : -EINVAL;
}

int parts_take(const struct suture_part *part, const struct suture_msg **whole)
{
	int r = part->offset ? 0 : parts_begin(part->total);

	if (!r)
		r = parts_append(part);
	*whole = (const struct suture_msg *)parts.bytes;
	if (r > 0)
		r = check_whole(*whole);
	if (r < 0)
		parts_drop();
	return r;
}

int parts_keep(void)
{
	return checkpoint_static(&parts, sizeof(parts));
}
