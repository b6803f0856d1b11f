/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's log: lines in memory, read through the API, copied to a debug port.
 *
 * Each kind of line has its own part of the log: a line displaces the oldest line of its kind only.
 * Events that a guest or a network peer can cause repeatedly have a kind with a limit, so that they
 * cannot fill the log or keep a CPU busy with it.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "lib/format.h"
#include "lib/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_kind {
	LOG_MONITOR, /* start and faults of the monitor, which no guest or peer can cause at will;
			no limit */
	LOG_ACCESS,  /* the guest: accesses, registers and instructions that are refused */
	LOG_CPU,     /* the guest: CPUs that start, stop, or enter another kernel */
	LOG_AGENT,  /* the guest: agents that connect, leave, or are refused; memory that is removed
		     */
	LOG_MODULE, /* the guest: modules that cannot be patched */
	LOG_PATCH,  /* state changes of patches, refused declarations, lines for the guest's log */
	LOG_OPERATOR, /* operations requested through the API */
	LOG_NET,      /* the link and the network's protocols */
	LOG_KINDS
};

/* A reason and its subject: "patch 'name': reason (ERROR)" */
#define LOG_LINE_MAX (REASON_LEN + 128)

/* A kind with a limit may add LOG_BURST lines at once; then one line per interval. */
#define LOG_BURST	64u
#define LOG_INTERVAL_US 250000u

/*
 * Append one line (no newline needed), stamped with the time since the monitor's start. Any CPU
 * inside the monitor, also in exit handlers; waits for nothing but the log's own lock, and
 * allocates nothing. Lines above the configured level are dropped. Lines above the kind's limit are
 * dropped and counted, and a line with their number precedes the next one that is kept.
 */
void log_limited(enum log_kind kind, enum log_level level, const char *fmt, ...)
	__printf_like(3, 4);

/* Lines of LOG_MONITOR: only for events that neither guest nor peer can cause repeatedly. */
#define log_error(...) log_limited(LOG_MONITOR, LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_limited(LOG_MONITOR, LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_limited(LOG_MONITOR, LOG_INFO, __VA_ARGS__)

struct log_entry {
	u64 seq;     /* 1 for the first line since boot */
	u64 time_us; /* since the monitor's start */
	u32 level;
	u32 kind;
	char text[LOG_LINE_MAX]; /* text from the guest in it may contain any byte */
};

/*
 * Fetch the oldest line with a sequence number >= seq. Returns false when there is none. A reader
 * goes on with entry->seq + 1; a gap in the numbers means that lines were overwritten.
 */
bool log_read(u64 seq, struct log_entry *entry);

const char *log_kind_name(enum log_kind kind);

/* Since the start: lines of the kind that were kept, and those above its limit. */
struct log_counts {
	u64 kept, left_out;
};
struct log_counts log_count(enum log_kind kind);

/* Highest level that is kept. Service CPU or boot. */
void log_set_level(enum log_level level);

#endif
