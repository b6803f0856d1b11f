/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's log: lines in memory, read through the API, copied to a debug port.
 *
 * Each kind of line has a place of its own: a line displaces the oldest of its kind, and no other.
 * Whatever a guest or a peer can cause again and again has a kind with a limit; so it can fill
 * neither the log nor the time of those who write it.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "lib/format.h"
#include "lib/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_kind {
	LOG_MONITOR,  /* its start and its faults: what nobody can cause at will; no limit */
	LOG_ACCESS,   /* the guest: accesses, registers and instructions that are refused */
	LOG_CPU,      /* the guest: CPUs that start, stop, or run another kernel */
	LOG_AGENT,    /* the guest: agents that come, go, or are refused; memory that goes */
	LOG_MODULE,   /* the guest: modules that cannot be patched */
	LOG_PATCH,    /* lives of patches, refusals of declarations, lines for the guest's log */
	LOG_OPERATOR, /* what was asked for through the API */
	LOG_NET,      /* the link and the network's protocols */
	LOG_KINDS
};

/* A reason and its subject: "patch 'name': reason (ERROR)" */
#define LOG_LINE_MAX (REASON_LEN + 128)

/* Of a kind that has a limit so many lines are kept at once; then one each interval. */
#define LOG_BURST	64u
#define LOG_INTERVAL_US 250000u

/*
 * Append one line (no newline needed), stamped with the time since the monitor's start. Any CPU
 * inside the monitor, also in exit handlers; never blocks but for the log's own lock, allocates
 * nothing. Lines above the configured level are dropped. Lines above the kind's limit are counted,
 * and the next one that is kept is preceded by how many were left out.
 */
void log_limited(enum log_kind kind, enum log_level level, const char *fmt, ...)
	__printf_like(3, 4);

/* Lines of LOG_MONITOR: only for what neither guest nor peer can cause again and again. */
#define log_error(...) log_limited(LOG_MONITOR, LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_limited(LOG_MONITOR, LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_limited(LOG_MONITOR, LOG_INFO, __VA_ARGS__)

struct log_entry {
	u64 seq;     /* 1 for the first line since boot */
	u64 time_us; /* since the monitor's start */
	u32 level;
	u32 kind;
	char text[LOG_LINE_MAX]; /* the guest's words in it may be any bytes */
};

/*
 * Fetch the oldest line with a sequence number >= seq. Returns false when there is none. A reader
 * goes on with entry->seq + 1; a gap in the numbers says that lines were overwritten.
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
