/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>

#include "boot/efi.h"

#define DAY_S 86400

/* Days since 1970-01-01; years are counted from March, so that a leap day is the last of its year.
 */
static s64 days_since_1970(const EFI_TIME *t)
{
	s64 year = t->Month > 2 ? t->Year : t->Year - 1;
	s64 month = t->Month > 2 ? t->Month - 3 : t->Month + 9;

	return 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + t->Day -
	       1 - 719468;
}

void clock_read(struct boot *b)
{
	EFI_TIME t;
	s64 s;

	if (b->st->RuntimeServices->GetTime(&t, NULL) || t.Year < 1998 || t.Month < 1 ||
	    t.Month > 12)
		return;
	s = days_since_1970(&t) * DAY_S + t.Hour * 3600 + t.Minute * 60 + t.Second;
	/* minutes that local time is behind UTC; a clock without a zone is taken for UTC */
	if (t.TimeZone != EFI_UNSPECIFIED_TIMEZONE)
		s += t.TimeZone * 60;
	b->info->utc_s = (u64)s;
}
