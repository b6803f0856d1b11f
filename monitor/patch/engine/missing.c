/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions that the guest does not have. */
#include "lib/errno.h"
#include "lib/format.h"
#include "patch/engine/types.h"

int missing_error(u32 missing)
{
	return missing == SUTURE_NO_SIZE ? -ENOENT : -EINVAL;
}

void missing_text(char *text, size_t size, u32 missing, const char *object, const char *name,
		  u32 sympos)
{
	switch (missing) {
	case SUTURE_AMBIGUOUS:
		format(text, size,
		       "function '%s' is ambiguous: '%s' has several of that name; say which one "
		       "with old_sympos",
		       name, object);
		break;
	case SUTURE_NO_POSITION:
		format(text, size, "there is no function '%s' at position %u in '%s'", name, sympos,
		       object);
		break;
	case SUTURE_NO_SIZE:
		format(text, size, "kallsyms does not know the size of '%s' in '%s'", name, object);
		break;
	case SUTURE_IN_INIT:
		format(text, size, "function '%s' is in the init memory of '%s', which is gone",
		       name, object);
		break;
	default:
		format(text, size, "there is no function '%s' in '%s'", name, object);
		break;
	}
}

const struct func *patch_missing(const struct patch *p, const struct object *o)
{
	u32 i;

	for (i = 0; i < p->nr_funcs; i++)
		if (p->funcs[i].missing && (!o || &p->objects[p->funcs[i].object] == o))
			return &p->funcs[i];
	return NULL;
}
