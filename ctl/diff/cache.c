/* SPDX-License-Identifier: BSD-2-Clause */
#include "cache.h"
#include "../ctl.h"
#include "../run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each takes some 1.7 GB. */
#define KERNELS_MAX 4u
/* of a folder in the cache, so that names in it have room */
#define FOLDER_MAX (PATH_MAX - 64)

static int make_folder(const char *path)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return fail(EX_FAILED, "%s: %s", path, strerror(errno));
	return EX_DONE;
}

int cache_find(char *path, size_t size)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int r;

	if (cache && *cache == '/')
		snprintf(path, size, "%s", cache);
	else if (home && *home)
		snprintf(path, size, "%s/.cache", home);
	else
		return fail(EX_BAD_USAGE, "where are prepared kernels kept? Set XDG_CACHE_HOME");
	r = make_folder(path);
	if (r)
		return r;
	strncat(path, "/suture", size - strlen(path) - 1);
	return make_folder(path);
}

static int open_lock(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s.lock", dir);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

int cache_lock(const char *dir)
{
	int fd = open_lock(dir);
	bool waits = false;

	while (fd >= 0 && flock(fd, waits ? LOCK_EX : LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			close(fd);
			fd = -1;
			break;
		}
		if (!waits)
			printf("waiting for another build with this kernel\n");
		fflush(stdout);
		waits = true;
	}
	if (fd < 0)
		fail(EX_FAILED, "%s.lock: %s", dir, strerror(errno));
	return fd;
}

/* When it was used; 0: it is no prepared kernel. */
static time_t used(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/ready", dir);
	return stat(path, &st) ? 0 : st.st_mtime;
}

/* One that is in use stays. */
static void remove_kernel(const char *dir)
{
	const char *rm[] = {"rm", "-rf", "--", dir, NULL};
	int fd = open_lock(dir);

	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) {
		printf("removing %s, which was not used for the longest time\n", dir);
		run(rm, "/dev/null");
	}
	if (fd >= 0)
		close(fd);
}

/* The one that was used longest ago, into `oldest`. Returns how many there are. */
static unsigned count_kernels(const char *cache, char oldest[FOLDER_MAX])
{
	DIR *d = opendir(cache);
	char path[FOLDER_MAX];
	struct dirent *e;
	time_t first = 0, t;
	unsigned n = 0;

	while (d && (e = readdir(d)) != NULL) {
		if (snprintf(path, sizeof(path), "%s/%s", cache, e->d_name) >= (int)sizeof(path))
			continue;
		t = *e->d_name == '.' ? 0 : used(path);
		n += t != 0;
		if (!t || (first && t >= first))
			continue;
		first = t;
		snprintf(oldest, FOLDER_MAX, "%s", path);
	}
	if (d)
		closedir(d);
	return n;
}

void cache_limit(const char *cache, const char *dir)
{
	char path[PATH_MAX], oldest[FOLDER_MAX];

	snprintf(path, sizeof(path), "%s/ready", dir);
	utimensat(AT_FDCWD, path, NULL, 0);
	if (count_kernels(cache, oldest) > KERNELS_MAX)
		remove_kernel(oldest);
}
