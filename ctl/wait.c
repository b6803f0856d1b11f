/* SPDX-License-Identifier: BSD-2-Clause */
#include "wait.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Between two looks at an operation: an eighth of the time since its beginning, by which the end is
 * noticed late at most; within these limits. */
#define POLL_MIN_S 0.002
#define POLL_MAX_S 0.1
/* How long the way back of an operation may take that was not done in time. */
#define CANCEL_S 30

static volatile sig_atomic_t interrupted;

static void note_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* The second one ends the process. */
static void catch_interrupt(void)
{
	struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = SA_RESETHAND};
	static bool caught;

	if (!caught)
		sigaction(SIGINT, &action, NULL);
	caught = true;
}

bool wait_interrupted(void)
{
	return interrupted;
}

double wait_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void wait_s(double s)
{
	struct timespec t = {.tv_sec = (time_t)s};

	catch_interrupt();
	t.tv_nsec = (long)((s - (double)t.tv_sec) * 1e9);
	if (!interrupted)
		nanosleep(&t, NULL);
}

static double poll_interval_s(double since_s)
{
	double s = since_s / 8;

	return s < POLL_MIN_S ? POLL_MIN_S : s > POLL_MAX_S ? POLL_MAX_S : s;
}

/* The obstacle of the patch at this moment, "" if none is known. */
static void obstacle(const json_t *patch, const char *report, char *text, size_t size)
{
	const json_t *r = json_object_get(patch, report);

	text[0] = 0;
	if (jbool(patch, "stuck"))
		snprintf(text, size, "%s", jstr(patch, "why"));
	else if (!blocker_text(r, text, size))
		snprintf(text, size, "%s", jstr(r, "reason"));
}

struct waiting {
	const struct options *o;
	const char *name, *report;
	double begin, end;
	bool cancelled;
	char last[1152]; /* the line that was shown last */
};

/* Print the progress: a line for each change, or on a terminal one that stays where it is. */
static void show_progress(struct waiting *w, const json_t *patch)
{
	char text[1024], line[sizeof(w->last)];
	bool terminal = isatty(STDERR_FILENO);

	obstacle(patch, w->report, text, sizeof(text));
	if (terminal)
		snprintf(line, sizeof(line), "%s: attempt %lld, %.0f s%s%.60s",
			 jstr(patch, "phase"), jint(json_object_get(patch, w->report), "attempts"),
			 wait_now_s() - w->begin, *text ? ": " : "", text);
	else
		snprintf(line, sizeof(line), "%s%s%s", jstr(patch, "phase"), *text ? ": " : "",
			 text);
	if (!strcmp(line, w->last))
		return;
	if (terminal)
		fprintf(stderr, "\r\033[K%s: %s", w->name, line);
	else
		fail(EX_PENDING, "%s: %s", w->name, line);
	snprintf(w->last, sizeof(w->last), "%s", line);
}

static void end_progress(struct waiting *w)
{
	if (*w->last && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	w->last[0] = 0;
}

/* The time is over. True if the operation was turned around, and is to be waited for. */
static bool turn_around(struct waiting *w, const json_t *patch)
{
	char path[128], text[1024];
	json_t *answer = NULL;

	end_progress(w);
	obstacle(patch, w->report, text, sizeof(text));
	if (w->o->no_cancel || w->o->from_below || w->cancelled) {
		fail(EX_PENDING,
		     "%s is still %s after %.0f s%s%s; the monitor goes on trying: see suture "
		     "status",
		     w->name, jstr(patch, "phase"), wait_now_s() - w->begin, *text ? ": " : "",
		     text);
		return false;
	}
	fail(EX_PENDING, "%s is still %s after %llu s%s%s; turning it around (--no-cancel: go on)",
	     w->name, jstr(patch, "phase"), w->o->timeout_s, *text ? ": " : "", text);
	w->cancelled = true;
	w->end = wait_now_s() + CANCEL_S;
	snprintf(path, sizeof(path), "/v1/patches/%s/cancel", w->name);
	/* if it is refused, the end may have come in the meantime: look again */
	if (!api_request(w->o, "POST", path, NULL, 0, &answer))
		json_decref(answer);
	return true;
}

/* EX_DONE: *patch is at its end; EX_PENDING: it is not yet. Sets *over when waiting has to end. */
static int look(struct waiting *w, json_t **patch, bool *over)
{
	char path[128];
	int r;

	snprintf(path, sizeof(path), "/v1/patches/%s", w->name);
	*over = true;
	r = api_request(w->o, "GET", path, NULL, 0, patch);
	if (r || jbool(*patch, "final"))
		return r;
	*over = false;
	if (wait_now_s() > w->begin + 1)
		show_progress(w, *patch);
	if (interrupted) {
		end_progress(w);
		fail(EX_PENDING,
		     "%s is still %s, and the monitor goes on: suture status shows it, suture "
		     "cancel "
		     "%s turns it around",
		     w->name, jstr(*patch, "phase"), w->name);
		*over = true;
	} else if (wait_now_s() > w->end) {
		*over = !turn_around(w, *patch);
	}
	json_decref(*patch);
	return EX_PENDING;
}

int wait_final(const struct options *o, const char *name, const char *report, json_t **answer)
{
	struct waiting w = {.o = o, .name = name, .report = report, .begin = wait_now_s()};
	bool over;
	int r;

	w.end = w.begin + (double)o->timeout_s;
	for (;;) {
		r = look(&w, answer, &over);
		if (over)
			break;
		wait_s(poll_interval_s(wait_now_s() - w.begin));
	}
	end_progress(&w);
	return r;
}
