/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/log.h"
#include "core/arch.h"
#include "core/lib/format.h"
#include "core/lib/string.h"
#include "core/lock.h"

#define LOG_LINES     1024u
#define LOCK_LIMIT_US 100000

static struct {
	struct spinlock lock;
	enum log_level level;
	u64 next; /* sequence number of the next line, minus one */
	struct log_entry lines[LOG_LINES];
} ring = {.level = LOG_INFO};

static void debug_line(const struct log_entry *e)
{
	static const char letters[] = "EWID";
	char head[32];

	format(head, sizeof(head), "suture %c %7llu.%03llu ", letters[e->level & 3],
	       (unsigned long long)(e->time_us / 1000), (unsigned long long)(e->time_us % 1000));
	for (const char *s = head; *s; s++)
		arch_debug_putc(*s);
	for (const char *s = e->text; *s; s++)
		arch_debug_putc(*s);
	arch_debug_putc('\n');
}

/* A service CPU that died in here must not stop the guest: then the line is lost. */
static bool lock_ring(void)
{
	u64 end = arch_time_us() + LOCK_LIMIT_US;

	while (!spin_trylock(&ring.lock)) {
		if (arch_time_us() > end)
			return false;
		arch_relax();
	}
	return true;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	struct log_entry e = {.level = level, .time_us = arch_time_us()};
	va_list ap;

	if (level > READ_ONCE(ring.level))
		return;
	va_start(ap, fmt);
	vformat(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);

	if (!lock_ring())
		return;
	e.seq = ++ring.next;
	ring.lines[e.seq % LOG_LINES] = e;
	debug_line(&e);
	spin_unlock(&ring.lock);
}

bool log_read(u64 seq, struct log_entry *entry)
{
	bool found = false;

	spin_lock(&ring.lock);
	if (ring.next >= LOG_LINES && seq <= ring.next - LOG_LINES)
		seq = ring.next - LOG_LINES + 1;
	if (!seq)
		seq = 1;
	if (seq <= ring.next) {
		*entry = ring.lines[seq % LOG_LINES];
		found = true;
	}
	spin_unlock(&ring.lock);
	return found;
}

void log_set_level(enum log_level level)
{
	WRITE_ONCE(ring.level, level);
}
