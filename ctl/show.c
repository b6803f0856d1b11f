/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that only show: status, list, info, shadow. */
#include "ctl.h"
#include "names.h"

#include <stdio.h>
#include <string.h>
#include <suture/abi.h>

static int get(const struct options *o, const char *path, json_t **answer)
{
	int r = api_request(o, "GET", path, NULL, 0, answer);

	if (!r && o->json)
		print_value(o, *answer);
	return r;
}

bool blocker_text(const json_t *report, char *buf, size_t size)
{
	const json_t *b = json_object_get(report, "blocker");
	char before[256] = "";

	if (!json_is_object(b) || !*jstr(report, "reason"))
		return false;
	/* the last attempt may have failed for another reason */
	if (jint(b, "attempt") != jint(report, "attempts"))
		snprintf(before, sizeof(before), "%s; in attempt %lld: ", jstr(report, "reason"),
			 jint(b, "attempt"));
	snprintf(buf, size, "%stask %s (pid %lld) is in %s (%s)", before, jstr(b, "comm"),
		 jint(b, "pid"), jstr(b, "func"), jstr(b, "where"));
	return true;
}

void print_stack(const json_t *blocker)
{
	json_t *frame;
	size_t i;

	json_array_foreach(json_object_get(blocker, "stack"), i, frame)
		printf("            %s %s\n", jstr(frame, "address"),
		       *jstr(frame, "symbol") ? jstr(frame, "symbol") : jstr(frame, "func"));
}

/* "3 guest, 1 service": CPUs by state, in the order in which the states first appear. */
static void print_cpus(const json_t *list)
{
	const char *seen[8];
	size_t nr_seen = 0, i, j;
	json_t *c, *d;

	printf("cpus      ");
	json_array_foreach(list, i, c)
	{
		const char *state = jstr(c, "state");
		unsigned count = 0;
		bool known = false;

		for (j = 0; j < nr_seen; j++)
			known |= !strcmp(seen[j], state);
		if (known || nr_seen == sizeof(seen) / sizeof(seen[0]))
			continue;
		json_array_foreach(list, j, d) count += !strcmp(jstr(d, "state"), state);
		printf("%s%u %s", nr_seen ? ", " : "", count, state);
		seen[nr_seen++] = state;
	}
	putchar('\n');
}

static void print_dead_cpus(const json_t *list)
{
	json_t *c;
	size_t i;

	json_array_foreach(list, i, c) if (!strcmp(jstr(c, "state"), "dead"))
		printf("dead      CPU %lld: %s\n", jint(c, "id"), jstr(c, "why"));
}

static void print_transition(const json_t *t)
{
	char text[512];

	if (!json_is_object(t))
		return;
	printf("transition %s is %s, %lld attempts so far\n", jstr(t, "patch"), jstr(t, "phase"),
	       jint(t, "attempts"));
	if (jbool(t, "stuck"))
		printf("stuck     %s\n", jstr(t, "why"));
	else if (blocker_text(t, text, sizeof(text)))
		printf("blocked   %s\n", text);
	else if (*jstr(t, "reason"))
		printf("last try  %s\n", jstr(t, "reason"));
	print_stack(json_object_get(t, "blocker"));
}

static void print_function(const json_t *f)
{
	printf("    %s %s -> %s", jstr(f, "name"), jstr(f, "old"), jstr(f, "new"));
	if (!jbool(f, "redirected"))
		printf(" (not redirected)");
	else if (*jstr(f, "not_in_force"))
		printf(" (not in force: %s)", jstr(f, "not_in_force"));
	putchar('\n');
}

/* "2 of its functions are not in force", or nothing. */
static void print_not_in_force(const char *before, const json_t *p, const char *after)
{
	long long n = jint(p, "functions_not_in_force");

	if (n)
		printf("%s%lld of its functions %s not in force%s", before, n,
		       n == 1 ? "is" : "are", after);
}

/* The parts of a patch, and the state of each. */
static void print_tables(const json_t *p)
{
	json_t *o, *f;
	size_t i, j;

	json_array_foreach(json_object_get(p, "objects"), i, o)
	{
		printf("  object    %s, %s\n", jstr(o, "name"),
		       !jbool(o, "loaded")   ? "not loaded"
		       : jbool(o, "patched") ? "patched"
					     : "not patched");
		json_array_foreach(json_object_get(p, "functions"), j, f)
		{
			if (!strcmp(jstr(f, "object"), jstr(o, "name")))
				print_function(f);
		}
	}
	if (jint(p, "functions_total") && !json_object_get(p, "functions"))
		printf("    %lld functions: suture info %s lists them\n",
		       jint(p, "functions_total"), jstr(p, "name"));
	json_array_foreach(json_object_get(p, "states"), i, o)
	{
		printf("  state     %s, version %lld, ", jstr(o, "id"), jint(o, "version"));
		if (*jstr(o, "owner"))
			printf("owned by %s", jstr(o, "owner"));
		else
			printf("not there");
		printf("%s%s\n", jbool(o, "is_shadow") ? ", its shadow variables go with it" : "",
		       jbool(o, "block_disable") ? ", blocks disabling" : "");
	}
}

static void print_current(const json_t *list)
{
	json_t *p;
	size_t i;

	json_array_foreach(list, i, p)
	{
		printf("patch     %s is %s", jstr(p, "name"), jstr(p, "phase"));
		if (jint(p, "stack_order"))
			printf(", number %lld on the stack", jint(p, "stack_order"));
		printf("%s%s", jbool(p, "replace") ? ", replaces all older ones" : "",
		       jbool(p, "forced") ? ", forced" : "");
		print_not_in_force(", ", p, "");
		if (*jstr(p, "why"))
			printf(": %s", jstr(p, "why"));
		putchar('\n');
		print_tables(p);
	}
}

static void print_agent(const json_t *guest)
{
	if (!json_is_integer(json_object_get(guest, "silent_us")))
		puts("agent     absent: load suture.ko in the guest");
	else if (*jstr(guest, "why"))
		printf("guest     %s\n", jstr(guest, "why"));
	else
		printf("agent     present, last heard %.1f s ago\n",
		       (double)jint(guest, "silent_us") / 1e6);
}

static bool all_in_force(const json_t *patches)
{
	long long n = 0;
	json_t *p;
	size_t i;

	json_array_foreach(patches, i, p) n += jint(p, "functions_not_in_force");
	return !n;
}

int cmd_status(const struct options *o, char **args)
{
	const json_t *kernel, *pauses, *memory, *v, *guest;
	const char *phase;
	json_t *s;
	int r = get(o, "/v1/status", &s);

	(void)args;
	if (r)
		return r;
	guest = json_object_get(s, "guest");
	r = *jstr(guest, "why") || !all_in_force(json_object_get(s, "current")) ? EX_SICK : EX_DONE;
	if (o->json)
		goto out;
	kernel = json_object_get(s, "kernel");
	pauses = json_object_get(s, "pauses");
	memory = json_object_get(s, "memory");
	printf("monitor   %s (ABI %lld), up %.1f s\n", jstr(s, "version"), jint(s, "abi"),
	       (double)jint(s, "uptime_us") / 1e6);
	if (json_is_true(json_object_get(s, "hide")))
		puts("redirects hidden from the guest (hide=yes)");
	print_agent(guest);
	if (json_is_object(kernel))
		printf("kernel    %s, build-id %s\n", jstr(kernel, "release"),
		       jstr(kernel, "build_id"));
	print_cpus(json_object_get(s, "cpus"));
	print_dead_cpus(json_object_get(s, "cpus"));
	printf("pauses    %lld (%lld too late), last %lld us, longest %lld us\n",
	       jint(pauses, "count"), jint(pauses, "timeouts"), jint(pauses, "last_us"),
	       jint(pauses, "max_us"));
	printf("memory    %lld of %lld KiB used\n", jint(memory, "used_bytes") / 1024,
	       jint(memory, "total_bytes") / 1024);
	printf("patches   ");
	if (!jint(json_object_get(s, "patches"), "total"))
		printf("none");
	json_object_foreach(json_object_get(s, "patches"), phase,
			    v) if (strcmp(phase, "total") != 0)
		printf("%lld %s ", (long long)json_integer_value(v), phase);
	putchar('\n');
	print_current(json_object_get(s, "current"));
	print_transition(json_object_get(s, "transition"));
out:
	json_decref(s);
	return r;
}

/* "CVE-2026-1, CVE-2026-2", or what stands for none. */
static void print_cves(const json_t *p, const char *none)
{
	const json_t *cves = json_object_get(p, "cves");
	json_t *cve;
	size_t i;

	json_array_foreach(cves, i, cve) printf("%s%s", i ? "," : "", json_string_value(cve));
	if (!json_array_size(cves))
		fputs(none, stdout);
}

/* The further columns of a line of the list. */
static void print_wide(const json_t *p)
{
	char order[24] = "-";

	if (jint(p, "stack_order"))
		snprintf(order, sizeof(order), "%lld", jint(p, "stack_order"));
	printf("%5s %-7s ", order, jbool(p, "replace") ? "yes" : "no");
	print_cves(p, "-");
	printf(" %.12s  ", *jstr(p, "sha256") ? jstr(p, "sha256") : "-");
}

/* The phase of the patch of that name; "" if it is not there. */
static const char *phase_of(const json_t *patches, const char *name)
{
	json_t *p;
	size_t i;

	json_array_foreach(patches, i, p) if (!strcmp(jstr(p, "name"), name)) return jstr(p,
											  "phase");
	return "";
}

/* What the guest has enabled, and what is missing of it. */
static void print_wanted(const json_t *wanted, const json_t *patches)
{
	json_t *w;
	size_t i;

	if (json_array_size(wanted))
		puts("enabled in the guest:");
	json_array_foreach(wanted, i, w)
	{
		const char *phase = phase_of(patches, jstr(w, "name"));
		bool offered = !strcmp(jstr(w, "state"), "offered");

		printf("  %-22s ", jstr(w, "name"));
		if (!strcmp(phase, "applied"))
			puts("in force");
		else if (offered)
			printf("missing: %s\n", *phase ? phase : "its record was cleared");
		else
			printf("missing: %s%s%s\n", jstr(w, "state"), *jstr(w, "why") ? ": " : "",
			       jstr(w, "why"));
	}
}

int cmd_list(const struct options *o, char **args)
{
	const json_t *list;
	json_t *answer, *p;
	size_t i;
	int r = get(o, "/v1/patches", &answer);

	(void)args;
	if (r)
		return r;
	list = json_object_get(answer, "patches");
	if (!o->json && !json_array_size(list))
		puts("no patches");
	else if (!o->json)
		printf("%-24s %-12s %-12s %5s  %s%s\n", "NAME", "VERSION", "PHASE", "FUNCS",
		       o->wide ? "ORDER REPLACE CVES SHA256  " : "", "WHY");
	json_array_foreach(list, i, p)
	{
		if (o->json)
			break;
		printf("%-24s %-12s %-12s %5lld  ", jstr(p, "name"), jstr(p, "version"),
		       jstr(p, "phase"), jint(p, "functions_total"));
		if (o->wide)
			print_wide(p);
		print_not_in_force("", p, *jstr(p, "why") ? "; " : "");
		puts(jstr(p, "why"));
	}
	if (!o->json)
		print_wanted(json_object_get(answer, "wanted"), list);
	json_decref(answer);
	return EX_DONE;
}

void print_report(const char *what, const json_t *r)
{
	printf("%s: %lld attempt%s, pause %lld us (longest %lld us), %lld guest CPUs paused,\n"
	       "  %lld tasks (%lld before the pause) and %lld words checked (%lld stale),\n"
	       "  %lld pages remapped, %lld functions redirected, %lld read back\n",
	       what, jint(r, "attempts"), jint(r, "attempts") == 1 ? "" : "s",
	       jint(r, "pause_last_us"), jint(r, "pause_max_us"), jint(r, "cpus_paused"),
	       jint(r, "tasks_checked"), jint(r, "tasks_before_pause"), jint(r, "words_checked"),
	       jint(r, "words_cleared"), jint(r, "pages_remapped"), jint(r, "functions_redirected"),
	       jint(r, "functions_verified"));
	if (*jstr(r, "mismatch"))
		printf("  NOT RIGHT when read back: %s\n", jstr(r, "mismatch"));
	if (jbool(r, "from_below"))
		printf("  from below, left out: %s\n",
		       *jstr(r, "left_out") ? jstr(r, "left_out") : "no callbacks");
}

static void print_uncalled(FILE *f, const json_t *patch)
{
	json_t *func;
	size_t i;

	json_array_foreach(json_object_get(patch, "functions"), i, func)
	{
		if (jbool(func, "uncalled"))
			fprintf(f,
				"warning: nobody calls %s of '%s' or holds its address: the new "
				"code may never run\n",
				jstr(func, "name"), jstr(func, "object"));
	}
}

void print_doubts(FILE *f, const json_t *patch)
{
	const json_t *callers;
	long long listed, total;
	json_t *c, *caller;
	size_t i, j;

	json_array_foreach(json_object_get(patch, "clones"), i, c)
	{
		fprintf(f, "warning: %s is not replaced with %s; it is called directly by",
			jstr(c, "name"), jstr(c, "function"));
		callers = json_object_get(c, "callers");
		json_array_foreach(callers, j, caller)
			fprintf(f, "%s %s", j ? "," : "", json_string_value(caller));
		listed = (long long)json_array_size(callers);
		total = jint(c, "callers_total");
		if (total > listed)
			fprintf(f, " and %lld more", total - listed);
		fputs(": these go on in the old code\n", f);
	}
	listed = (long long)json_array_size(json_object_get(patch, "clones"));
	total = jint(patch, "clones_total");
	if (total > listed)
		fprintf(f, "warning: so are %lld more clones\n", total - listed);
	print_uncalled(f, patch);
}

void print_overridden(FILE *f, const json_t *patch)
{
	json_t *func;
	size_t i;

	json_array_foreach(json_object_get(patch, "functions"), i, func)
	{
		if (*jstr(func, "not_in_force"))
			fprintf(f, "warning: %s is not in force: %s\n", jstr(func, "name"),
				jstr(func, "not_in_force"));
	}
}

int patch_name(const char *given, char name[PATCH_NAME_SIZE])
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	if (*given && names_copy(name, SUTURE_NAME_LEN, given) &&
	    strspn(name, letters) == strlen(name))
		return EX_DONE;
	return fail(EX_BAD_USAGE, "'%s' cannot be a patch's name: see suture list", given);
}

static void print_patch(const json_t *p)
{
	printf("%s is %s", jstr(p, "name"), jstr(p, "phase"));
	print_not_in_force(", ", p, "");
	if (*jstr(p, "why"))
		printf(": %s", jstr(p, "why"));
	printf("\n  version   %s\n  bundle    %s\n  fixes     ", jstr(p, "version"),
	       *jstr(p, "sha256") ? jstr(p, "sha256") : "none: the guest loaded it by itself");
	print_cves(p, "no CVE is named");
	printf("\n  changed   %.1f s after the monitor's start\n",
	       (double)jint(p, "changed_us") / 1e6);
	print_tables(p);
	print_doubts(stdout, p);
	if (jint(json_object_get(p, "apply"), "attempts"))
		print_report("apply", json_object_get(p, "apply"));
	if (jint(json_object_get(p, "revert"), "attempts"))
		print_report("revert", json_object_get(p, "revert"));
}

int cmd_info(const struct options *o, char **args)
{
	char path[128], name[PATCH_NAME_SIZE];
	json_t *answer;
	int r;

	if (args[0] && patch_name(args[0], name))
		return EX_BAD_USAGE;
	if (args[0])
		snprintf(path, sizeof(path), "/v1/patches/%s", name);
	else
		snprintf(path, sizeof(path), "/v1/info");
	r = get(o, path, &answer);
	if (r)
		return r;
	if (!o->json && args[0])
		print_patch(answer);
	else if (!o->json)
		printf("release   %s\nbuild-id  %s\n",
		       jstr(json_object_get(answer, "kernel"), "release"),
		       jstr(json_object_get(answer, "kernel"), "build_id"));
	json_decref(answer);
	return EX_DONE;
}

int cmd_shadow(const struct options *o, char **args)
{
	const json_t *more;
	json_t *answer, *s;
	size_t i;
	int r = get(o, "/v1/shadow", &answer);

	(void)args;
	if (r)
		return r;
	if (o->json)
		goto out;
	if (!jint(answer, "count")) {
		puts("no shadow variables");
		goto out;
	}
	printf("%-20s %10s %12s  %s\n", "ID", "COUNT", "BYTES", "STATE OF");
	json_array_foreach(json_object_get(answer, "ids"), i, s)
	{
		const char *patch = jstr(s, "patch");

		printf("%-20s %10lld %12lld  %s%s\n", jstr(s, "id"), jint(s, "count"),
		       jint(s, "bytes"), *patch ? patch : "no patch",
		       *patch && !jbool(s, "is_shadow") ? " (not is_shadow: its code frees them)"
							: "");
	}
	more = json_object_get(answer, "more");
	if (jint(more, "count"))
		printf("%-20s %10lld %12lld  too many ids to list each\n", "others",
		       jint(more, "count"), jint(more, "bytes"));
	printf("%-20s %10lld %12lld\n", "all", jint(answer, "count"), jint(answer, "bytes"));
out:
	json_decref(answer);
	return EX_DONE;
}
