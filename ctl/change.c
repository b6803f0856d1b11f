/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that change the guest: apply and revert. Both start something and wait for its end. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/errno.h"
#include "patch/bundle.h"

#define POLL_MS 50

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What stands in the way of the patch right now, "" if nothing is known. */
static void obstacle(const json_t *patch, const char *report, char *text, size_t size)
{
	const json_t *r = json_object_get(patch, report);

	text[0] = 0;
	if (!blocker_text(json_object_get(r, "blocker"), text, size))
		snprintf(text, size, "%s", jstr(r, "reason"));
}

/* Tell what goes on, once for each change; "waiting" is silent, so that scripts stay readable. */
static void progress(const json_t *patch, const char *report, char *last, size_t size)
{
	char text[256], line[512];

	obstacle(patch, report, text, sizeof(text));
	snprintf(line, sizeof(line), "%s%s%s", jstr(patch, "phase"), *text ? ": " : "", text);
	if (strcmp(line, last) != 0) {
		fprintf(stderr, "suture: %s: %s\n", jstr(patch, "name"), line);
		snprintf(last, size, "%s", line);
	}
}

/*
 * Wait until the patch reaches a final phase and judge it. wanted: the phase that means success;
 * report: "apply" or "revert".
 */
static int await(const struct options *o, const char *name, const char *wanted, const char *report)
{
	double end = now_s() + o->timeout_s, quiet_until = now_s() + 1;
	char path[128], last[512] = "", text[256];
	json_t *patch = NULL;
	int r;

	snprintf(path, sizeof(path), "/v1/patches/%s", name);
	for (;;) {
		r = api_request(o, "GET", path, NULL, 0, &patch);
		if (r)
			return r;
		if (jbool(patch, "final"))
			break;
		if (now_s() > quiet_until)
			progress(patch, report, last, sizeof(last));
		if (now_s() > end) {
			obstacle(patch, report, text, sizeof(text));
			r = fail(EX_PENDING,
				 "%s is still %s after %u s%s%s; the monitor goes on trying: see "
				 "suture status",
				 name, jstr(patch, "phase"), o->timeout_s, *text ? ": " : "", text);
			goto out;
		}
		json_decref(patch);
		usleep(POLL_MS * 1000);
	}
	if (o->json)
		json_dumpf(patch, stdout, JSON_INDENT(2)), putchar('\n');
	if (strcmp(jstr(patch, "phase"), wanted) != 0) {
		r = fail(EX_FAILED, "%s %s: %s (%s)", name, jstr(patch, "phase"),
			 jstr(patch, "why"),
			 *jstr(patch, "error") ? jstr(patch, "error") : "no code");
	} else if (!o->json) {
		printf("%s %s\n", name, wanted);
		print_report(report, json_object_get(patch, report));
	}
out:
	json_decref(patch);
	return r;
}

int cmd_apply(const struct options *o, char **args)
{
	char why[192], name[SUTURE_NAME_LEN];
	json_t *answer = NULL;
	struct bundle b;
	size_t size;
	void *data = read_file(args[0], SUTURE_BUNDLE_MAX, &size);
	int r;

	if (!data)
		return EX_BAD_USAGE;
	/* The monitor checks all of this again; here the answer comes without an upload. */
	r = bundle_parse(&b, data, size, why, sizeof(why));
	if (r) {
		r = fail(EX_BAD_USAGE, "%s: not a good bundle: %s (%s)", args[0], why,
			 errno_name(r));
		goto out;
	}
	memcpy(name, b.manifest.name, sizeof(name));
	r = api_request(o, "POST", "/v1/patches", data, size, &answer);
	if (r)
		goto out;
	if (o->no_wait)
		printf("%s accepted\n", name);
	else
		r = await(o, name, "applied", "apply");
out:
	json_decref(answer);
	free(data);
	return r;
}

int cmd_revert(const struct options *o, char **args)
{
	json_t *answer = NULL;
	char path[128];
	int r;

	if (!valid_name(args[0]))
		return fail(EX_BAD_USAGE, "'%s' cannot be a patch's name: see suture list",
			    args[0]);
	snprintf(path, sizeof(path), "/v1/patches/%s/revert", args[0]);
	r = api_request(o, "POST", path, NULL, 0, &answer);
	if (r)
		return r;
	json_decref(answer);
	if (o->no_wait) {
		printf("revert of %s has begun\n", args[0]);
		return EX_DONE;
	}
	return await(o, args[0], "reverted", "revert");
}
