/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's log: one ring of lines in memory, read through the API, copied to a debug port. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "core/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_LINE_MAX 480 /* the longest reason why a patch is refused, and its name */

/*
 * Append one line (no newline needed), stamped with the time since the monitor's start. Any CPU
 * inside the monitor, also in exit handlers; never blocks but for the log's own lock. Lines above
 * the configured level are dropped; too long ones are cut.
 */
void log_line(enum log_level level, const char *fmt, ...) __printf_like(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

struct log_entry {
	u64 seq;     /* 1 for the first line since boot */
	u64 time_us; /* since the monitor's start */
	u32 level;
	char text[LOG_LINE_MAX];
};

/*
 * Fetch the oldest line with a sequence number >= seq. Returns false when there is none. A reader
 * goes on with entry->seq + 1; a gap in the numbers says that lines were overwritten.
 */
bool log_read(u64 seq, struct log_entry *entry);

/* Highest level that is kept. Service CPU or boot. */
void log_set_level(enum log_level level);

#endif
