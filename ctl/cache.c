/* SPDX-License-Identifier: BSD-2-Clause */
#include "cache.h"
#include "ctl.h"
#include "run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* In GB; a prepared kernel takes 1.7, what is fetched for it 0.4. */
#define LIMIT	       10u
#define LIMIT_VARIABLE "SUTURE_CACHE_GB"
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

void cache_share(int lock)
{
	flock(lock, LOCK_SH);
}

/* A file that says how large the folder is; its time is that of the last use. */
static void ready_path(char path[PATH_MAX], const char *dir)
{
	snprintf(path, PATH_MAX, "%s/ready", dir);
}

bool cache_is_complete(const char *dir)
{
	char path[PATH_MAX];

	ready_path(path, dir);
	return !access(path, F_OK);
}

void cache_use(const char *dir)
{
	char path[PATH_MAX];

	ready_path(path, dir);
	utimensat(AT_FDCWD, path, NULL, 0);
}

/* ---- the limit ---- */

/* Its size in KB. False: the folder is not complete. */
static bool read_size(const char *dir, unsigned long long *size, time_t *used)
{
	char path[PATH_MAX];
	struct stat st;
	FILE *f;

	ready_path(path, dir);
	if (stat(path, &st))
		return false;
	*used = st.st_mtime;
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llu", size) != 1)
		*size = 0;
	if (f)
		fclose(f);
	return true;
}

/* One that is in use stays. */
static void remove_kernel(const char *dir)
{
	const char *rm[] = {"rm", "-rf", "--", dir, NULL};
	int fd = open_lock(dir);

	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) {
		printf("removing %s, which was not used for the longest time (" LIMIT_VARIABLE
		       " says how many GB are kept)\n",
		       dir);
		run(rm, "/dev/null");
	}
	if (fd >= 0)
		close(fd);
}

/* The size of all, in KB, and the one that was used longest ago after `after`. */
static unsigned long long sum(const char *cache, time_t after, char oldest[FOLDER_MAX],
			      time_t *first)
{
	DIR *d = opendir(cache);
	char path[FOLDER_MAX];
	struct dirent *e;
	unsigned long long all = 0, size;
	time_t used;

	*first = 0;
	while (d && (e = readdir(d)) != NULL) {
		if (*e->d_name == '.' ||
		    snprintf(path, sizeof(path), "%s/%s", cache, e->d_name) >= (int)sizeof(path) ||
		    !read_size(path, &size, &used))
			continue;
		all += size;
		if (used <= after || (*first && used >= *first))
			continue;
		*first = used;
		snprintf(oldest, FOLDER_MAX, "%s", path);
	}
	if (d)
		closedir(d);
	return all;
}

static void keep_limit(const char *cache)
{
	const char *given = getenv(LIMIT_VARIABLE);
	unsigned long long limit = (given ? strtoull(given, NULL, 10) : LIMIT) << 20;
	char oldest[FOLDER_MAX];
	time_t at = 0;

	while (sum(cache, at, oldest, &at) > limit && at)
		remove_kernel(oldest);
}

int cache_complete(const char *cache, const char *dir)
{
	const char *du[] = {"du", "-sk", dir, NULL};
	char path[PATH_MAX];

	ready_path(path, dir);
	if (run(du, path))
		return fail(EX_FAILED, "%s: cannot be written", path);
	keep_limit(cache);
	return EX_DONE;
}
