// SPDX-License-Identifier: GPL-2.0-only
/* init_module(2) and delete_module(2), and their results. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "helper.h"

#define LINES_LEN (4 * SUTURE_TEXT_LEN)

/* The reason why the kernel refuses a module. */
static const char *load_error(int err)
{
	switch (err) {
	case EEXIST:
		return "a module of that name is loaded already";
	case ENOEXEC:
		return "the kernel does not take it: built for another kernel?";
	case ENOENT:
		return "it needs a symbol that the kernel does not have";
	case EPERM:
		return "not permitted: is the loading of modules disabled?";
	case EKEYREJECTED:
	case ENOKEY:
		return "the kernel takes only modules with a signature that it trusts";
	default:
		return strerror(err);
	}
}

void kernel_module_state(const char *name, char state[16])
{
	FILE *f = fopen("/proc/modules", "r");
	char line[4096], module[64];

	*state = 0;
	while (f && fgets(line, sizeof(line), f)) {
		/* name, size, users, names of users, state, address */
		if (sscanf(line, "%63s %*s %*s %*s %15s", module, state) == 2 &&
		    !strcmp(module, name))
			break;
		*state = 0;
	}
	if (f)
		fclose(f);
}

/*
 * In the child. It keeps the device open, so that the agent does not take the helper for gone while
 * the kernel loads the payload. If the helper ends before the kernel has begun, the child ends too.
 */
static void child(const struct suture_job *job, void *file, pid_t parent, int result)
{
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	err = syscall(SYS_init_module, file, (unsigned long)job->size, job->params) ? errno : 0;
	if (write(result, &err, sizeof(err)) != sizeof(err))
		_exit(1);
	_exit(0);
}

/* Returns the errno of init_module(2), or -1 if the child did not report it. */
static int wait_child(pid_t pid, int result)
{
	int err = -1;

	if (read(result, &err, sizeof(err)) != sizeof(err))
		err = -1;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return err;
}

static int refused(int err, const char *lines, struct failure *f)
{
	if (!*lines)
		return fail(f, -err, "init_module: %s", load_error(err));
	return fail(f, -err, "init_module: %s; the kernel says: %s", load_error(err), lines);
}

/* The child is gone and has not reported the result. */
static int killed(const struct suture_job *job, bool oops, const char *lines, su32 *flags,
		  struct failure *f)
{
	char state[16];

	kernel_module_state(job->name, state);
	if (oops || !strcmp(state, "Loading")) {
		*flags |= SUTURE_RESULT_KILLED;
		return fail(f, -EIO, "init_module: the kernel killed the loading process%s%s",
			    *lines ? ": " : "", lines);
	}
	if (!strcmp(state, "Live"))
		return 0;
	return fail(f, -EINTR,
		    "init_module: the loading process was killed, and the payload is "
		    "not loaded%s%s",
		    *lines ? "; the kernel says: " : "", lines);
}

static int load(const struct suture_job *job, void *file, int log, const int result[2], su32 *flags,
		struct failure *f)
{
	char lines[LINES_LEN];
	const pid_t parent = getpid();
	const pid_t pid = fork();
	bool oops;
	int err;

	if (pid < 0)
		return fail(f, -errno, "the helper cannot start a process: %s", strerror(errno));
	if (!pid)
		child(job, file, parent, result[1]);
	close(result[1]);
	err = wait_child(pid, result[0]);
	if (!err)
		return 0;
	oops = log_read(log, job->name, lines, sizeof(lines));
	return err < 0 ? killed(job, oops, lines, flags, f) : refused(err, lines, f);
}

int kernel_load(const struct suture_job *job, void *file, su32 *flags, struct failure *f)
{
	const int log = log_open();
	int result[2];
	int err;

	if (pipe(result))
		err = fail(f, -errno, "the helper cannot make a pipe: %s", strerror(errno));
	else
		err = load(job, file, log, result, flags, f);
	if (log >= 0)
		close(log);
	return err;
}

int kernel_unload(const struct suture_job *job, struct failure *f)
{
	if (syscall(SYS_delete_module, job->name, O_NONBLOCK))
		return fail(f, -errno, "delete_module: %s",
			    errno == EWOULDBLOCK ? "the module is in use" : strerror(errno));
	return 0;
}
