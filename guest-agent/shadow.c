// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow variables: data that payloads attach to <object, id>. What callers may rely on is written
 * in Linux's Documentation/livepatch/shadow-vars.rst. Readers walk the table under RCU; the lock
 * makes "is there one already" and "add one" a single step, constructor included.
 */
#include <linux/hashtable.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "agent.h"

struct shadow {
	struct hlist_node node;
	struct rcu_head rcu;
	void *obj;
	unsigned long id;
	size_t size;
	char data[] __aligned(__alignof__(u64)); /* for whatever the caller puts there */
};

static DEFINE_HASHTABLE(table, 12); /* by object */
static DEFINE_SPINLOCK(table_lock);

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
	HLIST_HEAD(removed);
	struct shadow *s;
	struct hlist_node *next;
	unsigned long flags;
	int bucket;

	spin_lock_irqsave(&table_lock, flags);
	hash_for_each_safe(table, bucket, next, s, node)
	{
		if (s->id == id) {
			hash_del_rcu(&s->node);
			hlist_add_head(&s->node, &removed);
		}
	}
	spin_unlock_irqrestore(&table_lock, flags);
	/* readers may stand on a removed node, and must not be led to the list of the removed */
	synchronize_rcu();
	hlist_for_each_entry_safe(s, next, &removed, node)
	{
		if (dtor)
			dtor(s->obj, s->data);
		kfree(s);
	}
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
}
