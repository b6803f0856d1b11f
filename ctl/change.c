/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that change the guest: apply, revert, rollback and cancel begin an operation and wait
 * for its end. clear changes the list of patches only.
 */
#include "ctl.h"
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patch/bundle.h"

static int fail_final(const char *name, const json_t *patch)
{
	const char *error = jstr(patch, "error");

	return fail(EX_FAILED, "%s %s: %s%s%s%s", name, jstr(patch, "phase"), jstr(patch, "why"),
		    *error ? " (" : "", error, *error ? ")" : "");
}

static bool is_phase(const json_t *patch, const char *phase)
{
	return phase && !strcmp(jstr(patch, "phase"), phase);
}

/* The same, and judge it. wanted, or: the phases that mean success (or may be NULL). */
static int await(const struct options *o, const char *name, const char *wanted, const char * or,
		 const char *report)
{
	json_t *patch;
	int r = wait_final(o, name, report, &patch);

	if (r)
		return r;
	if (o->json)
		print_value(o, patch);
	if (!is_phase(patch, wanted) && !is_phase(patch, or)) {
		r = fail_final(name, patch);
	} else if (!o->json) {
		printf("%s %s%s%s\n", name, jstr(patch, "phase"),
		       or &&*jstr(patch, "why") ? ": " : "", or ? jstr(patch, "why") : "");
		print_report(report, json_object_get(patch, report));
		if (!strcmp(wanted, "applied")) {
			print_doubts(stderr, patch);
			print_overridden(stderr, patch);
		}
	}
	json_decref(patch);
	return r;
}

/* The monitor has had this bundle before: it is applied, or an earlier apply is under way. */
static int judge_known(const struct options *o, const char *name)
{
	char path[128];
	json_t *patch = NULL;
	int r;

	snprintf(path, sizeof(path), "/v1/patches/%s", name);
	r = api_request(o, "GET", path, NULL, 0, &patch);
	if (r)
		return r;
	if (!jbool(patch, "final") && !o->no_wait)
		r = await(o, name, "applied", NULL, "apply");
	else if (o->json)
		print_value(o, patch);
	else
		printf("%s is %s already\n", name, jstr(patch, "phase"));
	json_decref(patch);
	return r;
}

int cmd_apply(const struct options *o, char **args)
{
	json_t *answer = NULL;
	struct bundle b;
	char path[64];
	/* The monitor checks all of this again; here the answer comes without an upload. */
	void *data = read_bundle(args[0], &b);
	int r;

	if (!data)
		return EX_BAD_USAGE;
	snprintf(path, sizeof(path), "/v1/patches?strict=%d&downgrade=%d", o->strict,
		 o->allow_downgrade);
	r = api_request(o, "POST", path, data, b.size, &answer);
	if (!r && jbool(answer, "already"))
		r = judge_known(o, b.manifest.name);
	else if (!r && o->no_wait)
		printf("%s accepted\n", b.manifest.name);
	else if (!r)
		r = await(o, b.manifest.name, "applied", NULL, "apply");
	json_decref(answer);
	free(data);
	return r;
}

/* revert and rollback: switch the patch off and unload it; from below, it stays loaded. */
static int take_off(const struct options *o, const char *given, const char *how)
{
	const char *query = !o->from_below ? ""
			    : o->force	   ? "?from_below=1&force=1"
					   : "?from_below=1";
	char path[160], name[PATCH_NAME_SIZE];
	json_t *answer = NULL;
	int r = patch_name(given, name);

	if (r)
		return r;
	snprintf(path, sizeof(path), "/v1/patches/%s/%s%s", name, how, query);
	r = api_request(o, "POST", path, NULL, 0, &answer);
	if (r)
		return r;
	json_decref(answer);
	if (o->no_wait) {
		printf("%s of %s has begun\n", how, name);
		return EX_DONE;
	}
	r = await(o, name, "reverted", o->from_below ? "disabled" : NULL, "revert");
	if (r == EX_PENDING && o->from_below && !o->force && !wait_interrupted())
		fail(r, "who is in the way may hang there: --from-below --force looks at the bytes "
			"of the jumps only");
	return r;
}

int cmd_revert(const struct options *o, char **args)
{
	if (o->force && !o->from_below)
		return fail(EX_BAD_USAGE, "--force goes with --from-below");
	return take_off(o, args[0], "revert");
}

int cmd_rollback(const struct options *o, char **args)
{
	if (o->from_below || o->force)
		return fail(EX_BAD_USAGE, "--from-below and --force are for revert");
	return take_off(o, args[0], "rollback");
}

/* The patch that is in transition. */
static int find_transition(const struct options *o, char name[PATCH_NAME_SIZE])
{
	json_t *status = NULL;
	const char *patch;
	int r = api_request(o, "GET", "/v1/status", NULL, 0, &status);

	if (r)
		return r;
	patch = jstr(json_object_get(status, "transition"), "patch");
	if (!*patch)
		r = fail(EX_FAILED, "no patch is in transition: there is nothing to cancel");
	else
		r = patch_name(patch, name);
	json_decref(status);
	return r;
}

int cmd_cancel(const struct options *o, char **args)
{
	char path[128], name[PATCH_NAME_SIZE];
	json_t *answer = NULL, *patch;
	int r = args[0] ? patch_name(args[0], name) : find_transition(o, name);

	if (r)
		return r;
	snprintf(path, sizeof(path), "/v1/patches/%s/cancel", name);
	r = api_request(o, "POST", path, NULL, 0, &answer);
	if (r)
		return r;
	json_decref(answer);
	if (o->no_wait) {
		printf("cancel of %s has begun\n", name);
		return EX_DONE;
	}
	r = wait_final(o, name, "apply", &patch);
	if (r)
		return r;
	/* an apply ends as failed, which its own command reports; a revert ends as applied */
	if (o->json)
		print_value(o, patch);
	if (!strcmp(jstr(patch, "phase"), "failed") &&
	    strcmp(jstr(patch, "error"), "ECANCELED") != 0)
		r = fail_final(name, patch);
	else if (!o->json)
		printf("%s is %s: %s\n", name,
		       strcmp(jstr(patch, "phase"), "applied") != 0 ? "off" : "applied",
		       jstr(patch, "why"));
	json_decref(patch);
	return r;
}

int cmd_clear(const struct options *o, char **args)
{
	char path[128], name[PATCH_NAME_SIZE] = "";
	json_t *answer = NULL;
	int r = args[0] ? patch_name(args[0], name) : EX_DONE;

	if (r)
		return r;
	snprintf(path, sizeof(path), "/v1/patches%s%s", *name ? "/" : "", name);
	r = api_request(o, "DELETE", path, NULL, 0, &answer);
	if (r)
		return r;
	if (o->json)
		print_value(o, answer);
	else
		printf("%lld cleared\n", jint(answer, "cleared"));
	json_decref(answer);
	return EX_DONE;
}

int cmd_reboot(const struct options *o, char **args)
{
	json_t *answer = NULL;
	int r;

	(void)args;
	if (!o->guest)
		return fail(EX_BAD_USAGE,
			    "reboot resets the machine, and its guest is not asked: say "
			    "reboot --guest");
	r = api_request(o, "POST", "/v1/reboot?guest=1", NULL, 0, &answer);
	if (r)
		return r;
	if (o->json)
		print_value(o, answer);
	else
		printf("the machine is being reset\n");
	json_decref(answer);
	return EX_DONE;
}
