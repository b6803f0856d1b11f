/* SPDX-License-Identifier: BSD-2-Clause */
#include "buildlog.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_ 4096

void buildlog_show(const char *path)
{
	char line[LINE_MAX_];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		fputs(line, stderr);
	if (f)
		fclose(f);
}

/* "  CC [M]  name.o", "make[1]: Entering ..." */
static bool is_progress(const char *line)
{
	if (!strncmp(line, "make", 4) && (line[4] == ':' || line[4] == '['))
		return true;
	return line[0] == ' ' && line[1] == ' ' && isupper((unsigned char)line[2]) &&
	       isupper((unsigned char)line[3]);
}

/* "WARNING: modpost: "name" [file.ko] undefined!": check_symbols() knows better. */
static bool is_undefined(const char *line)
{
	return strstr(line, "modpost: ") &&
	       (strstr(line, "] undefined!") || strstr(line, "unresolved symbol warnings"));
}

/* kbuild's remark on pahole, which is not needed: no BTF is made. */
static bool is_about_pahole(const char *line)
{
	return !strncmp(line, "warning: pahole", 15) ||
	       !strncmp(line, "  The kernel was built with: ", 29) ||
	       !strncmp(line, "  You are using:             ", 29);
}

bool buildlog_show_warnings(const char *path)
{
	char line[LINE_MAX_];
	FILE *f = fopen(path, "r");
	bool mismatch = false;

	while (f && fgets(line, sizeof(line), f)) {
		if (*line == '\n' || is_progress(line) || is_undefined(line) ||
		    is_about_pahole(line))
			continue;
		mismatch |= strcasestr(line, "section mismatch") != NULL;
		fputs(line, stderr);
	}
	if (f)
		fclose(f);
	return mismatch;
}
