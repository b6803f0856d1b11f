/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule: which words hit, and which of these are stale. */
#include "arch/pac.h"
#include "guest/mem.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/sort.h"
#include "lib/string.h"
#include "patch/check/run.h"

int check_refuse(struct check *c, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vformat(c->r->reason, sizeof(c->r->reason), fmt, ap);
	va_end(ap);
	return err;
}

int check_out_of_time(struct check *c)
{
	return check_refuse(c, -ETIMEDOUT, "the pause was too short: %llu tasks checked",
			    c->r->tasks_checked);
}

/* ---- words ---- */

static inline u64 strip_code(u64 word)
{
	return MUTATION(strip_pac) ? word : arch_strip_pac(word);
}

static int by_start(const void *a, const void *b, const void *arg)
{
	const struct check_range *x = a, *y = b;

	(void)arg;
	return x->start < y->start ? -1 : x->start > y->start;
}

u32 check_sort(struct check_range *ranges, u32 count)
{
	u32 n = 0;

	heap_sort(ranges, count, sizeof(*ranges), by_start, NULL);
	for (u32 i = 0; i < count; i++) {
		if (n && ranges[i].start < ranges[n - 1].end)
			ranges[n - 1].end = MAX(ranges[n - 1].end, ranges[i].end);
		else if (n++ != i)
			ranges[n - 1] = ranges[i];
	}
	return n;
}

/* The range that the word hits: start < word <= end. */
static const struct check_range *find_range(const struct check_range *ranges, u32 count, u64 word)
{
	u32 low = 0, high = count;

	/* The last range that starts below the word. */
	while (low < high) {
		u32 mid = (low + high) / 2;

		if (ranges[mid].start < word)
			low = mid + 1;
		else
			high = mid;
	}
	if (MUTATION(no_hits))
		return NULL;
	return low && word <= ranges[low - 1].end - MUTATION(end_inclusive) ? &ranges[low - 1]
									    : NULL;
}

/* Most words are no code addresses, and are rejected here. */
static inline bool is_far(const struct check *c, u64 word)
{
	return word - c->lowest - 1 >= c->span;
}

/*
 * Interrupts are off where such functions hide something. An address in one on the stack of a
 * sleeping task is stale, or from before or after that place.
 */
static const struct check_range *find_hit(const struct check *c, u64 word,
					  const struct guest_task *t)
{
	const struct check_range *hit = find_range(c->ranges, c->nr_ranges, word);

	if (!hit)
		hit = find_range(c->probes, c->nr_probes, word);
	if (!hit && t->on_cpu)
		hit = find_range(c->hiding, c->nr_hiding, word);
	return hit;
}

/* ---- hits ---- */

void check_own_stacks(struct check *c, const struct guest_task *t, const struct held_cpu *h,
		      bool can_unwind)
{
	c->owner = (struct stack_owner){.task = t, .cpu = h, .can_unwind = can_unwind};
}

static void unwind_owner(struct check *c)
{
	struct stack_owner *o = &c->owner;
	const struct unwind_trace *trace = &c->trace;

	if (o->unwound || !o->can_unwind)
		return;
	o->unwound = true;
	if (o->cpu)
		unwind_running(&o->cpu->ctx, o->task, &c->trace);
	else
		unwind_sleeping(o->task, &c->trace);
	for (u32 i = 0; i < trace->nr_frames; i++)
		o->inside |= find_hit(c, strip_code(trace->frames[i].ip), o->task) != NULL;
}

/*
 * The word at that address hits, but its owner has been unwound completely, is inside none of the
 * functions, and will not return by this word.
 */
static bool is_stale(const struct check *c, u64 at)
{
	const struct stack_owner *o = &c->owner;

	return at && o->unwound && (c->trace.reliable || MUTATION(unwound_completely)) &&
	       (!o->inside || MUTATION(inside_a_function)) &&
	       (!unwind_is_live(&c->trace, at) || MUTATION(live_words));
}

static void report_stack(const struct check *c, struct blocker *b)
{
	u32 count = c->owner.unwound ? MIN(c->trace.nr_frames, BLOCKER_STACK) : 0;

	for (u32 i = 0; i < count; i++) {
		u64 address = strip_code(c->trace.frames[i].ip);
		const struct check_range *hit = find_hit(c, address, c->owner.task);

		b->stack[i].address = address;
		str_copy(b->stack[i].func, hit ? hit->name : "", sizeof(b->stack[i].func));
	}
	b->nr_stack = count;
}

/*
 * A word that is not far, without authentication code, from that address of a stack; `at` is 0 for
 * a register.
 */
static int judge_near(struct check *c, u64 word, u64 at, const struct guest_task *t,
		      const char *where)
{
	const struct check_range *hit = find_hit(c, word, t);
	struct blocker *b = &c->r->blocker;

	if (!hit)
		return 0;
	/* Rare, but expensive when many stacks have one. */
	if (c->owner.can_unwind && !c->owner.unwound && !pause_left_us(c->pause))
		return check_out_of_time(c);
	unwind_owner(c);
	if (is_stale(c, at)) {
		c->r->words_cleared++;
		return 0;
	}
	*b = (struct blocker){.valid = true, .pid = t->pid, .address = word};
	str_copy(b->comm, t->comm, sizeof(b->comm));
	str_copy(b->func, hit->name, sizeof(b->func));
	str_copy(b->where, where, sizeof(b->where));
	report_stack(c, b);
	return -EBUSY;
}

int check_word(struct check *c, u64 word, const struct guest_task *t, const char *where)
{
	c->r->words_checked++;
	word = strip_code(word);
	return is_far(c, word) ? 0 : judge_near(c, word, 0, t, where);
}

int check_words(struct check *c, u64 low, u64 high, bool holes, const struct guest_task *t,
		const char *where)
{
	u64 at = ALIGN_DOWN(low, 8), todo = (high - at + 7) / 8, checked = 0;

	while (todo) {
		size_t left, n;
		const u64 *words = guest_at(GVA(at), &left);

		if (!words && !holes)
			break;
		if (!words)
			left = PAGE_SIZE - at % PAGE_SIZE;
		n = MIN(left / 8, todo);
		for (size_t i = 0; words && i < n; i++) {
			u64 word = strip_code(words[i]);
			int err = is_far(c, word) ? 0 : judge_near(c, word, at + i * 8, t, where);

			if (err)
				return err;
		}
		checked += words ? n : 0;
		at += n * 8;
		todo -= n;
	}
	c->r->words_checked += checked;
	if (todo || (holes && !checked))
		return check_refuse(c, -EFAULT, "%s of %s (%u) cannot be read at %#llx", where,
				    t->comm, t->pid, at);
	return 0;
}
