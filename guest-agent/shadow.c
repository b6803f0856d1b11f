// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow variables: data that payloads attach to <object, id>. The guarantees are those of
 * Linux's Documentation/livepatch/shadow-vars.rst. Readers walk the table under RCU; the lock
 * makes "is there one already" and "add one" a single step, constructor included.
 */
#include <linux/hashtable.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "agent.h"

struct shadow {
	struct hlist_node node;
	union {
		struct rcu_head rcu;
		struct shadow *next; /* of those that shadow_free_state() frees */
	};
	void *obj;
	unsigned long id;
	size_t size;
	char data[] __aligned(__alignof__(u64)); /* for whatever the caller puts there */
};

static DEFINE_HASHTABLE(table, 12); /* by object */
static DEFINE_SPINLOCK(table_lock);
static unsigned long changes = 1; /* of the table; under table_lock */

/* Under RCU or table_lock. */
static struct shadow *find(void *obj, unsigned long id)
{
	struct shadow *s;

	hash_for_each_possible_rcu(table, s, node, (unsigned long)obj, lockdep_is_held(&table_lock))
	{
		if (s->obj == obj && s->id == id)
			return s;
	}
	return NULL;
}

void *suture_klp_shadow_get(void *obj, unsigned long id)
{
	struct shadow *s;

	rcu_read_lock();
	s = find(obj, id);
	rcu_read_unlock();
	return s ? s->data : NULL;
}

/* table_lock held. NULL: the constructor refused. */
static struct shadow *add(struct shadow *s, klp_shadow_ctor_t ctor, void *ctor_data)
{
	int err = ctor ? ctor(s->obj, s->data, ctor_data) : 0;

	if (err) {
		pr_err("constructor of shadow variable <%p, %lx> failed (error %d)\n", s->obj,
		       s->id, err);
		return NULL;
	}
	hash_add_rcu(table, &s->node, (unsigned long)s->obj);
	changes++;
	return s;
}

/* The variable of <obj, id>; *existed says whether it was there before. NULL: could not be made. */
static struct shadow *get_or_add(void *obj, unsigned long id, size_t size, gfp_t gfp,
				 klp_shadow_ctor_t ctor, void *ctor_data, bool *existed)
{
	struct shadow *s, *fresh;
	unsigned long flags;

	rcu_read_lock();
	s = find(obj, id);
	rcu_read_unlock();
	*existed = s;
	if (s)
		return s;

	/* not under the lock: it may sleep */
	fresh = kzalloc(struct_size(fresh, data, size), gfp);
	if (!fresh)
		return NULL;
	fresh->obj = obj;
	fresh->id = id;
	fresh->size = size;

	spin_lock_irqsave(&table_lock, flags);
	s = find(obj, id);
	*existed = s;
	if (!s)
		s = add(fresh, ctor, ctor_data);
	spin_unlock_irqrestore(&table_lock, flags);
	if (s != fresh)
		kfree(fresh);
	return s;
}

void *suture_klp_shadow_alloc(void *obj, unsigned long id, size_t size, gfp_t gfp,
			      klp_shadow_ctor_t ctor, void *ctor_data)
{
	bool existed;
	struct shadow *s = get_or_add(obj, id, size, gfp, ctor, ctor_data, &existed);

	if (WARN(existed, "suture: shadow variable <%p, %lx> exists already\n", obj, id))
		return NULL;
	return s ? s->data : NULL;
}

void *suture_klp_shadow_get_or_alloc(void *obj, unsigned long id, size_t size, gfp_t gfp,
				     klp_shadow_ctor_t ctor, void *ctor_data)
{
	bool existed;
	struct shadow *s = get_or_add(obj, id, size, gfp, ctor, ctor_data, &existed);

	return s ? s->data : NULL;
}

/* table_lock held. */
static void remove(struct shadow *s, klp_shadow_dtor_t dtor)
{
	hash_del_rcu(&s->node);
	changes++;
	if (dtor)
		dtor(s->obj, s->data);
	kfree_rcu(s, rcu);
}

void suture_klp_shadow_free(void *obj, unsigned long id, klp_shadow_dtor_t dtor)
{
	struct shadow *s;
	unsigned long flags;

	spin_lock_irqsave(&table_lock, flags);
	s = find(obj, id);
	if (s)
		remove(s, dtor);
	spin_unlock_irqrestore(&table_lock, flags);
}

void suture_klp_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor)
{
	struct shadow *s;
	struct hlist_node *next;
	unsigned long flags;
	int bucket;

	spin_lock_irqsave(&table_lock, flags);
	hash_for_each_safe(table, bucket, next, s, node)
	{
		if (s->id == id)
			remove(s, dtor);
	}
	spin_unlock_irqrestore(&table_lock, flags);
}

void shadow_free_state(unsigned long id, klp_shadow_dtor_t dtor)
{
	struct shadow *s, *removed = NULL;
	struct hlist_node *next;
	unsigned long flags;
	int bucket;

	spin_lock_irqsave(&table_lock, flags);
	hash_for_each_safe(table, bucket, next, s, node)
	{
		if (s->id != id)
			continue;
		/* readers may be at it: its node must still lead to the rest of their bucket */
		hash_del_rcu(&s->node);
		changes++;
		s->next = removed;
		removed = s;
	}
	spin_unlock_irqrestore(&table_lock, flags);
	synchronize_rcu();
	while ((s = removed)) {
		removed = s->next;
		if (dtor)
			dtor(s->obj, s->data);
		kfree(s);
	}
}

/* ---- the report to the monitor ---- */

/* Counting takes a tenth of the poll thread's time at most, and reports are limited in number. */
#define REPORT_EVERY_MS 250

static struct {
	struct suture_shadow head;
	struct suture_shadow_id ids[SUTURE_MAX_SHADOW_IDS];
} * report;
static unsigned long reported; /* `changes` when the monitor was last told */
static ktime_t report_due;

int shadow_init(void)
{
	report = kvzalloc(sizeof(*report), GFP_KERNEL);
	return report ? 0 : -ENOMEM;
}

/* The report's entry of that id, a new one if need be; NULL: there is no room for it. */
static struct suture_shadow_id *entry_of(unsigned long id)
{
	u32 low = 0, high = report->head.nr_ids, n = high;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (report->ids[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < n && report->ids[low].id == id)
		return &report->ids[low];
	if (n == SUTURE_MAX_SHADOW_IDS)
		return NULL;
	memmove(&report->ids[low + 1], &report->ids[low], (n - low) * sizeof(report->ids[0]));
	report->ids[low] = (struct suture_shadow_id){.id = id};
	report->head.nr_ids++;
	return &report->ids[low];
}

static void count(const struct shadow *s)
{
	struct suture_shadow_id *entry = entry_of(s->id);

	if (entry) {
		entry->count++;
		entry->bytes += s->size;
	} else {
		report->head.more_count++;
		report->head.more_bytes += s->size;
	}
}

void shadow_report(void)
{
	unsigned long now = READ_ONCE(changes);
	ktime_t start = ktime_get();
	struct shadow *s;
	unsigned int i;

	if (now == reported || ktime_before(start, report_due))
		return;
	report->head = (struct suture_shadow){.msg.type = SUTURE_MSG_SHADOW};
	for (i = 0; i < HASH_SIZE(table); i++) {
		rcu_read_lock();
		hlist_for_each_entry_rcu(s, &table[i], node) count(s);
		rcu_read_unlock();
		cond_resched();
	}
	report->head.msg.size = sizeof(report->head) + report->head.nr_ids * sizeof(report->ids[0]);
	if (!mailbox_send(&report->head.msg))
		reported = now;
	report_due = ktime_add_ms(ktime_get(), REPORT_EVERY_MS);
	report_due = ktime_add_ns(report_due, 10 * ktime_to_ns(ktime_sub(ktime_get(), start)));
}

bool shadow_is_news(void)
{
	return READ_ONCE(changes) != reported;
}

void shadow_report_again(void)
{
	reported = READ_ONCE(changes) - 1;
}

void shadow_exit(void)
{
	struct shadow *s;
	struct hlist_node *next;
	unsigned int left = 0;
	size_t bytes = 0;
	int bucket;

	hash_for_each_safe(table, bucket, next, s, node)
	{
		hash_del_rcu(&s->node);
		left++;
		bytes += s->size;
		kfree_rcu(s, rcu);
	}
	if (left)
		pr_warn("%u shadow variables (%zu bytes) were left by their patches\n", left,
			bytes);
	kvfree(report);
}
