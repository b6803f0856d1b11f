/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *read_file(const char *path, size_t max, size_t *size)
{
	FILE *f = fopen(path, "rb");
	char *data = NULL;
	size_t have = 0, room = 0;

	if (!f) {
		fail(EX_BAD_USAGE, "%s: %s", path, strerror(errno));
		return NULL;
	}
	do {
		char *more;

		room = room ? room * 2 : 65536;
		more = realloc(data, room + 1);
		if (!more) {
			fail(EX_FAILED, "%s: no memory for %zu bytes", path, room);
			goto out;
		}
		data = more;
		have += fread(data + have, 1, room - have, f);
	} while (have == room && have <= max);
	if (ferror(f)) {
		fail(EX_BAD_USAGE, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (have > max) {
		fail(EX_BAD_USAGE, "%s: larger than the %zu bytes that are allowed", path, max);
		goto out;
	}
	data[have] = 0;
	*size = have;
	fclose(f);
	return data;
out:
	fclose(f);
	free(data);
	return NULL;
}

int save_file(const char *path, const void *data, size_t size, bool secret)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, secret ? 0600 : 0666);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
	bool good;

	if (!f)
		return fail(EX_BAD_USAGE, "%s: %s", path, strerror(errno));
	good = fwrite(data, 1, size, f) == size;
	good &= !fclose(f);
	if (good)
		return EX_DONE;
	fail(EX_FAILED, "%s: %s", path, strerror(errno));
	unlink(path);
	return EX_FAILED;
}
