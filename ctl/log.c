/* SPDX-License-Identifier: BSD-2-Clause */
/* suture log: the monitor's lines with the time of this machine. */
#include "wait.h"

#include <stdio.h>
#include <time.h>

/* Between two questions for more lines */
#define FOLLOW_S 1.0

/* This machine's time at the monitor's start, in seconds, as well as it can be told. */
static int start_of_monitor(const struct options *o, double *start_s)
{
	json_t *status = NULL;
	struct timespec now;
	int r = api_request(o, "GET", "/v1/status", NULL, 0, &status);

	if (r)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	*start_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9 -
		   (double)jint(status, "uptime_us") / 1e6;
	json_decref(status);
	return EX_DONE;
}

static void print_line(const json_t *line, double start_s)
{
	double at_s = start_s + (double)jint(line, "time_us") / 1e6;
	time_t seconds = (time_t)at_s;
	char date[32] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(date, sizeof(date), "%F %T", &tm);
	printf("%6lld %s.%03d %-5s %s\n", jint(line, "seq"), date,
	       (int)((at_s - (double)seconds) * 1000), jstr(line, "level"), jstr(line, "text"));
}

/* Print what there is from *since on; *n: how many lines. */
static int print_lines(const struct options *o, unsigned long long *since, double start_s,
		       size_t *n)
{
	json_t *answer = NULL, *line;
	const json_t *lines;
	char path[64];
	size_t i;
	int r;

	snprintf(path, sizeof(path), "/v1/log?since=%llu", *since);
	r = api_request(o, "GET", path, NULL, 0, &answer);
	if (r)
		return r;
	lines = json_object_get(answer, "lines");
	*n = json_array_size(lines);
	if (!o->json)
		json_array_foreach(lines, i, line) print_line(line, start_s);
	else if (*n || !o->follow)
		print_value(o, answer);
	*since = (unsigned long long)jint(answer, "next");
	json_decref(answer);
	return EX_DONE;
}

int cmd_log(const struct options *o, char **args)
{
	unsigned long long since = o->since;
	double start_s = 0;
	size_t n;
	int r = o->json ? EX_DONE : start_of_monitor(o, &start_s);

	(void)args;
	while (!r) {
		r = print_lines(o, &since, start_s, &n);
		if (r || n)
			continue;
		if (!o->follow)
			break;
		fflush(stdout);
		wait_s(FOLLOW_S);
		if (wait_interrupted())
			break;
	}
	return r;
}
