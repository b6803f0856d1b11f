/* SPDX-License-Identifier: BSD-2-Clause */
#include "structures.h"
#include "../ctl.h"
#include "../layout.h"

#include <limits.h>

static void say_layout(void *data, const char *name, uint64_t before, uint64_t after)
{
	fprintf(stderr,
		"suture: %s: the layout of struct %s changes (%llu to %llu bytes), and the running "
		"kernel has some of the old layout: leave it as it is, and keep what is new in a "
		"shadow "
		"variable (klp_shadow_alloc())\n",
		(const char *)data, name, (unsigned long long)before, (unsigned long long)after);
}

int structures_check(const char *work, const char *object, bool lenient)
{
	char original[2 * PATH_MAX], patched[2 * PATH_MAX], name[PATH_MAX];
	int differ;

	snprintf(name, sizeof(name), "%s", object);
	snprintf(original, sizeof(original), "%s/original/%s.debug", work, object);
	snprintf(patched, sizeof(patched), "%s/patched/%s.debug", work, object);
	differ = layout_compare(original, patched, say_layout, name);
	if (differ < 0)
		return fail(EX_FAILED, "%s: has no debug information", patched);
	if (!differ || lenient)
		return EX_DONE;
	return fail(EX_BAD_USAGE,
		    "%s: not built: see above (--no-check: all functions that use such a structure "
		    "are replaced, and none lives longer than a call)",
		    object);
}
