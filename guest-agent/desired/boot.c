// SPDX-License-Identifier: GPL-2.0-only
/* At a boot: what is wanted is offered to the monitor, in the order in which it was enabled. */
#include "desired.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LOCKOUT_S   300u
#define WAIT_S	    30u
#define SECONDS_MAX 86400u
#define PAUSE_NS    20000000

/* ---- what switches it off ---- */

static int set_seconds(unsigned *to, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (!*value || *end || n > SECONDS_MAX)
		return -1;
	*to = (unsigned)n;
	return 0;
}

static int set_enabled(bool *to, const char *value)
{
	*to = !strcmp(value, "yes");
	return *to || !strcmp(value, "no") ? 0 : -1;
}

static int set_line(struct settings *s, const char *key, const char *value)
{
	if (!strcmp(key, "enabled"))
		return set_enabled(&s->enabled, value);
	if (!strcmp(key, "lockout_s"))
		return set_seconds(&s->lockout_s, value);
	if (!strcmp(key, "wait_s"))
		return set_seconds(&s->wait_s, value);
	return -1;
}

int settings_read(struct settings *s, const char *path)
{
	char *line, *value, *rest, *text;
	size_t size;
	int err = 0;

	*s = (struct settings){.enabled = true, .lockout_s = LOCKOUT_S, .wait_s = WAIT_S};
	text = read_whole(AT_FDCWD, path, 4096, &size);
	if (!text)
		return errno == ENOENT ? 0 : complain("%s: %s", path, strerror(errno));
	for (line = strtok_r(text, "\n", &rest); line && !err; line = strtok_r(NULL, "\n", &rest)) {
		value = strchr(line, '=');
		if (*line == '#')
			continue;
		if (value)
			*value++ = 0;
		if (!value || set_line(s, line, value))
			err = complain("%s: '%s': enabled=yes|no, lockout_s=SECONDS and "
				       "wait_s=SECONDS are known",
				       path, line);
	}
	free(text);
	return err;
}

/* The word suture.patches=off is on the kernel's command line. */
static bool is_off_by_command_line(void)
{
	char *word, *rest, *text;
	bool off = false;
	size_t size;

	text = read_whole(AT_FDCWD, "/proc/cmdline", 65536, &size);
	if (!text)
		return false;
	for (word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		off |= !strcmp(word, "suture.patches=off");
	free(text);
	return off;
}

/* Differs from boot to boot. */
static int read_boot_id(char id[BOOT_ID_SIZE])
{
	size_t size;
	char *text =
		read_whole(AT_FDCWD, "/proc/sys/kernel/random/boot_id", BOOT_ID_SIZE - 1, &size);

	if (!text)
		return complain("no ID of this boot: %s", strerror(errno));
	text[strcspn(text, "\n")] = 0;
	memcpy(id, text, strlen(text) + 1);
	free(text);
	return 0;
}

/* ---- the monitor ---- */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pause_shortly(void)
{
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

/* Returns enum suture_known_state, r->text says more; or -1. */
static int tell(int device, const char *name, enum suture_wanted_state state,
		struct suture_wanted_request *r, const char *text)
{
	*r = (struct suture_wanted_request){.state = state};
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(r->text, sizeof(r->text), "%s", text);
	if (ioctl(device, SUTURE_IOC_WANTED, r))
		return complain("%s: the monitor could not be told: %s", name, strerror(errno));
	return (int)r->known;
}

static void report(int device, const char *name, enum suture_wanted_state state, const char *text)
{
	struct suture_wanted_request r;

	if (*text)
		complain("%s: %s", name, text);
	tell(device, name, state, &r, text);
}

/* Of one patch: how it stands between the marker and its end. */
struct attempt {
	int device;
	const char *name;
	double until_s;
};

static bool is_later(int result)
{
	return result == -EAGAIN || result == -EBUSY || result == -ESRCH;
}

/* -1: errno says why it did not get to the monitor. */
static int offer(const struct attempt *a, const void *bytes, size_t size,
		 struct suture_offer_request *r)
{
	do {
		*r = (struct suture_offer_request){.bytes = (uintptr_t)bytes, .size = (su32)size};
		if (ioctl(a->device, SUTURE_IOC_OFFER, r))
			return -1;
		if (is_later(r->result))
			pause_shortly();
	} while (is_later(r->result) && now_s() < a->until_s);
	return 0;
}

/* True if it may still come to an effect, so that its marker must stay. */
static bool await_end(const struct attempt *a)
{
	struct suture_wanted_request r;
	int known;

	for (;;) {
		known = tell(a->device, a->name, SUTURE_WANTED_OFFERED, &r, "");
		if (known != SUTURE_KNOWN_GOING || now_s() >= a->until_s)
			break;
		pause_shortly();
	}
	if (known == SUTURE_KNOWN_APPLIED)
		complain("%s is applied", a->name);
	else if (known == SUTURE_KNOWN_FAILED)
		complain("%s is not applied: %s", a->name, r.text);
	else
		complain("%s is not applied yet: the monitor goes on trying", a->name);
	return known != SUTURE_KNOWN_FAILED && known != SUTURE_KNOWN_NOT;
}

/* Offer it. True if it may have an effect. */
static bool try_bundle(const struct attempt *a, const void *bytes, size_t size)
{
	struct suture_offer_request r;

	if (offer(a, bytes, size, &r)) {
		report(a->device, a->name, SUTURE_WANTED_REFUSED, strerror(errno));
		return false;
	}
	if (!r.result)
		return await_end(a);
	report(a->device, a->name,
	       r.result == -ENOEXEC ? SUTURE_WANTED_WAITS : SUTURE_WANTED_REFUSED, r.text);
	return false;
}

/* ---- one patch ---- */

/* A marker of another boot: nobody has removed it, so that boot did not end in order. */
static bool is_locked(struct store *s, int device, const char *name, const char *boot,
		      bool *tried_now)
{
	char id[BOOT_ID_SIZE];
	bool tried = marker_read(s, name, MARKER_TRYING, id);

	*tried_now = tried && !strcmp(id, boot);
	if (tried && !*tried_now)
		marker_lock(s, name);
	if (!(tried && !*tried_now) && !marker_read(s, name, MARKER_LOCKED, id))
		return false;
	report(device, name, SUTURE_WANTED_LOCKED,
	       "locked out: the machine crashed, hung or lost power soon after it was applied; "
	       "`suture enable --force FILE` permits it again");
	return true;
}

static bool apply_entry(struct store *s, const struct entry *e, int device, const char *boot,
			unsigned wait_s)
{
	const struct attempt a = {device, e->name, now_s() + wait_s};
	bool tried_now, effect;
	size_t size;
	void *bytes;

	if (is_locked(s, device, e->name, boot, &tried_now))
		return false;
	bytes = store_read(s, e, &size);
	if (!bytes) {
		report(device, e->name, SUTURE_WANTED_REFUSED, "its bundle cannot be read");
		return false;
	}
	/* before the first instruction of it can run */
	if (!tried_now && marker_put(s, e->name, MARKER_TRYING, boot)) {
		report(device, e->name, SUTURE_WANTED_REFUSED,
		       "not offered: the disk takes no note of it, which the lock-out needs");
		free(bytes);
		return false;
	}
	effect = try_bundle(&a, bytes, size);
	if (!effect && !tried_now)
		marker_remove(s, e->name, MARKER_TRYING);
	free(bytes);
	return effect;
}

/* ---- all ---- */

static int remove_markers(struct store *s, const char *boot)
{
	char id[BOOT_ID_SIZE];
	int err = 0;

	for (size_t i = 0; i < s->count; i++)
		if (marker_read(s, s->list[i].name, MARKER_TRYING, id) && !strcmp(id, boot))
			err |= marker_remove(s, s->list[i].name, MARKER_TRYING);
	return err;
}

/* The boot goes on; a child waits until what was applied has proved itself. */
static int settle_later(struct store *s, const char *boot, unsigned lockout_s)
{
	pid_t child = fork();
	unsigned left = lockout_s;

	if (child < 0)
		return complain("no process for the lock-out: %s", strerror(errno));
	if (child)
		return 0;
	setsid();
	while (left)
		left = sleep(left);
	_exit(remove_markers(s, boot) ? 1 : 0);
}

int boot_offer(struct store *s, const struct settings *settings, const char *path)
{
	int device = open(SUTURE_WANTED_DEVICE, O_RDWR | O_CLOEXEC);
	const char *off = is_off_by_command_line() ? "suture.patches=off on the command line"
			  : !settings->enabled	   ? path
						   : NULL;
	char boot[BOOT_ID_SIZE];
	bool effect = false;
	int err = 0;

	if (device < 0)
		return complain("%s: %s: is suture.ko loaded, and a monitor below?",
				SUTURE_WANTED_DEVICE, strerror(errno));
	if (read_boot_id(boot)) {
		close(device);
		return -1;
	}
	for (size_t i = 0; i < s->count; i++) {
		char text[SUTURE_TEXT_LEN];

		snprintf(text, sizeof(text), "switched off by %s", off ? off : "");
		if (off)
			report(device, s->list[i].name, SUTURE_WANTED_OFF, text);
		else
			effect |= apply_entry(s, &s->list[i], device, boot, settings->wait_s);
	}
	if (effect)
		err = settle_later(s, boot, settings->lockout_s);
	close(device);
	return err;
}

int boot_stop(struct store *s)
{
	char boot[BOOT_ID_SIZE];

	return read_boot_id(boot) ? -1 : remove_markers(s, boot);
}

void boot_forget(const char *name)
{
	int device = open(SUTURE_WANTED_DEVICE, O_RDWR | O_CLOEXEC);
	struct suture_wanted_request r;

	if (device < 0)
		return;
	tell(device, name, SUTURE_WANTED_GONE, &r, "");
	close(device);
}
