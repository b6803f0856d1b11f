// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's log while it loaded a payload. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "helper.h"

/* Of lines that are worth telling, the first ones count most. */
enum rank { OOPS_CAUSE, OOPS_PLACE, OOPS, NAMED, OTHER, NR_RANKS };

static bool begins(const char *line, const char *word)
{
	return !strncmp(line, word, strlen(word));
}

static enum rank rank_of(const char *line, const char *module)
{
	const size_t length = strlen(module);

	if (begins(line, "BUG: ") || begins(line, "kernel BUG at ") ||
	    begins(line, "general protection fault") || begins(line, "Unable to handle kernel"))
		return OOPS_CAUSE;
	if (begins(line, "RIP: ") || begins(line, "pc : "))
		return OOPS_PLACE;
	if (begins(line, "Oops: ") || begins(line, "Internal error: "))
		return OOPS;
	/* the message for each module that is not from its own source */
	if (strstr(line, "taint"))
		return NR_RANKS;
	if (!strncmp(line, module, length) && line[length] == ':')
		return NAMED;
	return strstr(line, module) ? OTHER : NR_RANKS;
}

/* The text of a record "PRIORITY,NUMBER,TIME,FLAGS;TEXT\n...": NULL if user space wrote it. */
static char *text_of(char *record)
{
	char *text = strchr(record, ';');
	char *end;

	if (!text || strtoul(record, NULL, 10) >= 8)
		return NULL;
	text++;
	end = strchr(text, '\n');
	if (end)
		*end = 0;
	for (char *c = text; *c; c++) {
		if (*c < ' ' || *c == 0x7f)
			*c = ' ';
	}
	return text;
}

/* The next record; false at the log's end. Those that were overwritten meanwhile are passed over.
 */
static bool read_record(int log, char *record, size_t size)
{
	ssize_t n;

	do
		n = read(log, record, size - 1);
	while (n < 0 && (errno == EPIPE || errno == EINTR));
	if (n <= 0)
		return false;
	record[n] = 0;
	return true;
}

int log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (log >= 0)
		lseek(log, 0, SEEK_END);
	return log;
}

static void append(char *text, size_t size, const char *line)
{
	size_t length = strlen(text);

	snprintf(text + length, size - length, "%s'%s'", length ? ", " : "", line);
}

bool log_read(int log, const char *module, char *text, size_t size)
{
	char lines[NR_RANKS][SUTURE_TEXT_LEN] = {""};
	char record[8192];
	bool oops;

	while (log >= 0 && read_record(log, record, sizeof(record))) {
		char *line = text_of(record);
		enum rank rank = line ? rank_of(line, module) : NR_RANKS;

		/* of an oops the first, of others the last: it is the reason */
		if (rank < NR_RANKS && (rank >= NAMED || !*lines[rank]))
			snprintf(lines[rank], sizeof(lines[rank]), "%.*s", SUTURE_TEXT_LEN - 1,
				 line);
	}
	oops = *lines[OOPS_CAUSE] || *lines[OOPS];
	*text = 0;
	for (int i = 0; i < NR_RANKS; i++) {
		if (*lines[i] && (oops ? i <= OOPS : i >= NAMED))
			append(text, size, lines[i]);
	}
	return oops;
}
