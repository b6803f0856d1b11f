/* SPDX-License-Identifier: BSD-2-Clause */
/* What mbedTLS's headers take of <time.h>. */
#ifndef NEUTRAL_TIME_H
#define NEUTRAL_TIME_H

typedef long time_t;

struct tm {
	int tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst;
};

#endif
