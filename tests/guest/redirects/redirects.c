/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Has the monitor's own planner (arch/<a>/redirect.c) lay out a redirect for each function that the
 * module `sites` lists, and counts how. Prints lines "KIND COUNT", and for each function that it
 * refuses "refused NAME ERROR KIND OFFSET"; "overlap NAME" where its pieces and another's meet.
 *     redirects [RECORDS TEXT [OFFSET]]
 * On a host: files of the same contents (image.py), and how far behind the text's start the new
 * functions are.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "arch/redirect.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/shadow.h"
#include "lock.h"
#include "../sites.h"

/* Where a payload's function may be: modules are within 2 GiB of the kernel. */
#define TO_OFFSET 0x3f000000u

static u64 text_start, text_size, to_offset = TO_OFFSET;
static const u8 *text;
static u8 *taken; /* how many redirects have each byte of the text */
static u32 plain, lock, key, short_jump, ftrace, refused, overlapping, most_pieces;

static void *read_whole(const char *path, size_t *size)
{
	size_t room = 64 << 20;
	u8 *buf = malloc(room);
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (!buf || fd < 0)
		exit(2);
	for (*size = 0; (n = read(fd, buf + *size, room - *size)) > 0; *size += (size_t)n)
		;
	close(fd);
	return buf;
}

static int read_text(u64 at, u8 *buf, size_t len)
{
	static const u8 pad[] = {0x5f, 0x24, 0x03, 0xd5}; /* what the new function begins with */

	if (at == text_start + to_offset && len == sizeof(pad)) {
		memcpy(buf, pad, len);
		return 0;
	}
	if (at < text_start || at - text_start + len > text_size)
		return -EFAULT;
	for (size_t i = 0; i < len; i++)
		buf[i] = text[at - text_start + i];
	return 0;
}

/* Each function by itself: what cannot be had together is only counted. */
static bool is_free(u64 start, u64 end, void *arg)
{
	(void)start, (void)end, (void)arg;
	return true;
}

/* Each redirect by itself would take the same bytes at the end of the text. */
static bool is_padding(const struct redirect *piece)
{
	return piece->old[0] == 0 && piece->from + 65536 > text_start + text_size;
}

static bool take(const struct redirect *pieces, int n)
{
	bool meets = false;

	for (int i = 0; i < n; i++)
		for (u32 k = 0; k < pieces[i].len && !is_padding(&pieces[i]); k++)
			meets |= taken[pieces[i].from - text_start + k]++;
	return meets;
}

static void count(const struct site_record *r, const struct redirect *pieces, int n)
{
	bool outside = false, keyed = n > 1 || pieces[0].lead;

	for (int i = 0; i < n; i++)
		outside |= pieces[i].from < r->func && pieces[i].from + pieces[i].len == r->func;
	if (outside)
		short_jump++;
	else if (keyed)
		key++;
	else if (has_lock(&pieces[0]))
		lock++;
	else
		plain++;
	if ((u32)n > most_pieces)
		most_pieces = (u32)n;
}

static void plan(const struct site_record *r)
{
	struct redirect_request q = {.func = r->func,
				     .size = r->size,
				     .site = r->ftrace_site,
				     .to = text_start + to_offset,
				     .sites = r->sites,
				     .nr_sites = r->nr_sites,
				     .text_end = text_start + text_size,
				     .read = read_text,
				     .is_free = is_free};
	struct redirect pieces[REDIRECT_PIECES];
	struct redirect_obstacle o = {0};
	int n = r->nr_sites > SUTURE_MAX_SITES ? -E2BIG : arch_redirect_plan(&q, pieces, &o);

	if (r->hook && (n == -EOPNOTSUPP || n == -ENOSPC)) {
		ftrace++;
		return;
	}
	if (n < 0) {
		refused++;
		printf("refused %s %d %u %lld\n", r->name, n, o.kind, (long long)(o.at - r->func));
		return;
	}
	count(r, pieces, n);
	if (!take(pieces, n))
		return;
	overlapping++;
	printf("overlap %s\n", r->name);
}

int main(int argc, char **argv)
{
	size_t size, bytes;
	const struct site_record *r = read_whole(argc > 1 ? argv[1] : SITES_RECORDS, &bytes);
	u8 *whole = read_whole(argc > 2 ? argv[2] : SITES_TEXT, &size);

	taken = calloc(size, 1);
	if (!taken || size < 8)
		return 2;
	if (argc > 3)
		to_offset = strtoull(argv[3], NULL, 0);
	text_start = *(u64 *)(void *)whole;
	text = whole + 8;
	text_size = size - 8;
	for (size_t i = 0; i < bytes / sizeof(*r); i++)
		plan(&r[i]);
	printf("functions %zu\nplain %u\nlock %u\nkey %u\nshort %u\nftrace %u\nrefused_in_all %u\n"
	       "overlapping %u\npieces %u\n",
	       bytes / sizeof(*r), plain, lock, key, short_jump, ftrace, refused, overlapping,
	       most_pieces);
	return 0;
}
