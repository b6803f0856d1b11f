/* SPDX-License-Identifier: BSD-2-Clause */
#include "cves.h"
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#define DIGITS "0123456789"

/* CVE-YYYY-NNNN, the number having four digits or more. */
static bool is_cve(const char *id)
{
	size_t year, number;

	if (strncmp(id, "CVE-", 4) != 0)
		return false;
	year = strspn(id + 4, DIGITS);
	if (year != 4 || id[8] != '-')
		return false;
	number = strspn(id + 9, DIGITS);
	return number >= 4 && !id[9 + number];
}

static bool has_cve(const struct cves *c, const char *id)
{
	for (unsigned i = 0; i < c->count; i++)
		if (!strcmp(c->ids[i], id))
			return true;
	return false;
}

static int add_one(struct cves *c, const char *given, size_t len)
{
	char id[CVE_LEN] = "";

	if (len < sizeof(id))
		snprintf(id, sizeof(id), "%.*s", (int)len, given);
	if (!is_cve(id))
		return fail(EX_BAD_USAGE, "--cve %.*s: give CVE-YEAR-NUMBER, as in CVE-2026-12345",
			    (int)len, given);
	if (has_cve(c, id))
		return EX_DONE;
	if (c->count == CVES_MAX)
		return fail(EX_BAD_USAGE, "--cve %s: a patch may have %u", id, CVES_MAX);
	strcpy(c->ids[c->count++], id);
	return EX_DONE;
}

int cves_add(struct cves *c, const char *list)
{
	int r;

	do {
		size_t len = strcspn(list, ",");

		r = add_one(c, list, len);
		list += len;
	} while (!r && *list++);
	return r;
}
