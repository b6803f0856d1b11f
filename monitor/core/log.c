/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/log.h"
#include "arch/barrier.h"
#include "arch/platform.h"
#include "arch/time.h"
#include "core/lock.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"

#define LOCK_LIMIT_US 100000
#define LOG_LINES     1088u

/* The part of the log that holds the lines of each kind. */
static const struct place {
	const char *name;
	u32 first, count;
} places[LOG_KINDS] = {
	[LOG_MONITOR] = {"monitor", 0, 384},
	[LOG_ACCESS] = {"access", 384, 64},
	[LOG_CPU] = {"cpu", 448, 64},
	[LOG_AGENT] = {"agent", 512, 64},
	[LOG_MODULE] = {"module", 576, 64},
	[LOG_PATCH] = {"patch", 640, 256},
	[LOG_OPERATOR] = {"operator", 896, 128},
	[LOG_NET] = {"net", 1024, 64},
};

static enum log_level highest = LOG_INFO;

static struct {
	struct spinlock lock;
	u64 next; /* sequence number of the next line, minus one */
	struct {
		struct log_counts counts;
		u64 told;    /* of counts.left_out: reported in the log */
		u64 full_us; /* the lines so far use the limit up until this time */
	} kinds[LOG_KINDS];
	struct log_entry lines[LOG_LINES];
} ring; /* zero, and so not in the image */

/* The port may end in a terminal, and the text may hold bytes from the guest. */
static void debug_text(const char *s)
{
	static const char hex[] = "0123456789abcdef";

	for (; *s; s++) {
		u8 c = (u8)*s;

		if (c >= ' ' && c < 0x7f) {
			arch_debug_putc(*s);
			continue;
		}
		arch_debug_putc('\\');
		arch_debug_putc('x');
		arch_debug_putc(hex[c >> 4]);
		arch_debug_putc(hex[c & 15]);
	}
}

static void debug_line(const struct log_entry *e)
{
	static const char letters[] = "EWID";
	char head[32];

	format(head, sizeof(head), "suture %c %7llu.%03llu ", letters[e->level & 3],
	       e->time_us / 1000, e->time_us % 1000);
	debug_text(head);
	debug_text(e->text);
	arch_debug_putc('\n');
}

/* If the service CPU dies with the lock held, the line is lost and the guest goes on. */
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

/* True if the kind's limit allows another line. The lock is held. */
static bool admit_line(enum log_kind kind, u64 now)
{
	u64 full_us = MAX(ring.kinds[kind].full_us, now) + LOG_INTERVAL_US;

	if (kind == LOG_MONITOR || MUTATION(log_limit))
		return true;
	if (full_us > now + (u64)LOG_BURST * LOG_INTERVAL_US)
		return false;
	ring.kinds[kind].full_us = full_us;
	return true;
}

static void append_line(struct log_entry *e)
{
	const struct place *p = &places[e->kind];
	u64 n = ring.kinds[e->kind].counts.kept++;

	e->seq = ++ring.next;
	ring.lines[p->first + n % p->count] = *e;
	debug_line(e);
}

static void append_left_out(enum log_kind kind, u64 now)
{
	u64 *told = &ring.kinds[kind].told, left_out = ring.kinds[kind].counts.left_out;
	struct log_entry e = {.level = LOG_WARN, .kind = kind, .time_us = now};

	if (*told == left_out)
		return;
	format(e.text, sizeof(e.text), "%llu more lines like the next ones ('%s') were left out",
	       left_out - *told, places[kind].name);
	*told = left_out;
	append_line(&e);
}

void log_limited(enum log_kind kind, enum log_level level, const char *fmt, ...)
{
	struct log_entry e = {.level = level, .kind = kind, .time_us = arch_time_us()};
	va_list ap;

	if (level > READ_ONCE(highest))
		return;
	va_start(ap, fmt);
	vformat(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);

	if (!lock_ring())
		return;
	if (admit_line(kind, e.time_us)) {
		append_left_out(kind, e.time_us);
		append_line(&e);
	} else {
		ring.kinds[kind].counts.left_out++;
	}
	spin_unlock(&ring.lock);
}

/* The oldest line of the kind from seq on, or NULL. */
static const struct log_entry *find_line(const struct place *p, u64 kept, u64 seq)
{
	u64 low = kept > p->count ? kept - p->count : 0, high = kept;

	while (low < high) {
		u64 mid = (low + high) / 2;

		if (ring.lines[p->first + mid % p->count].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low < kept ? &ring.lines[p->first + low % p->count] : NULL;
}

bool log_read(u64 seq, struct log_entry *entry)
{
	const struct log_entry *oldest = NULL;

	spin_lock(&ring.lock);
	for (u32 i = 0; i < LOG_KINDS; i++) {
		const struct log_entry *e = find_line(&places[i], ring.kinds[i].counts.kept, seq);

		if (e && (!oldest || e->seq < oldest->seq))
			oldest = e;
	}
	if (oldest)
		*entry = *oldest;
	spin_unlock(&ring.lock);
	return oldest;
}

const char *log_kind_name(enum log_kind kind)
{
	return places[kind].name;
}

struct log_counts log_count(enum log_kind kind)
{
	struct log_counts counts;

	spin_lock(&ring.lock);
	counts = ring.kinds[kind].counts;
	spin_unlock(&ring.lock);
	return counts;
}

void log_set_level(enum log_level level)
{
	WRITE_ONCE(highest, level);
}
