// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sites: places in a function that the kernel itself writes to, and that its redirect must leave
 * alone.
 */
#include <linux/jump_label.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/static_call.h>
#include "agent.h"
#include "arch.h"
#include "compat.h"

/*
 * So many bytes are looked at where the redirect may put a jump: at the function's entry (landing
 * pad, ftrace site and the longest jump), and behind a key and at its target (the longest jump).
 * The instruction that a jump ends in may be longer: a kprobe on it counts too.
 */
#define ENTRY_WINDOW 24
#define KEY_WINDOW   16
#define INSN_MAX     16

/* The reach of a short jump from the first bytes of a function. */
#define REACH 160

/* Symbols that the kernel's configuration may leave out, together with what they would find. */
static struct kprobe *(*find_kprobe)(void *addr);
static void (*lock_keys)(void);
static void (*unlock_keys)(void);
static int (*keys_reserved)(void *start, void *end);
static int (*calls_reserved)(void *start, void *end);
static void (*settle_locks)(void);
static struct mutex *text_lock;
static struct jump_entry *keys_start, *keys_end;

static const struct {
	const char *name;
	void *symbol;
} wanted[] = {
	{"get_kprobe", &find_kprobe},
	{"jump_label_lock", &lock_keys},
	{"jump_label_unlock", &unlock_keys},
	{"jump_label_text_reserved", &keys_reserved},
	{"static_call_text_reserved", &calls_reserved},
	{"alternatives_enable_smp", &settle_locks},
	{"text_mutex", &text_lock},
	{"__start___jump_table", &keys_start},
	{"__stop___jump_table", &keys_end},
};

void sites_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		*(unsigned long *)wanted[i].symbol = compat_symbol(wanted[i].name);
}

/*
 * A kernel that began with one CPU has removed its lock prefixes, and restores them when a second
 * CPU comes. Make it restore them now, while there is no redirect over them. It does so once only.
 */
void sites_settle(void)
{
	if (settle_locks && num_possible_cpus() > 1)
		settle_locks();
}

/* ---- what is found ---- */

struct window {
	unsigned long start, end;
	unsigned long limit; /* of the function or part that it is in */
};

struct search {
	unsigned long func;
	const struct module *mod;	    /* NULL: vmlinux */
	struct jump_entry *keys, *keys_end; /* of it */
	struct suture_decl_site *sites;
	unsigned int nr_sites; /* more than SUTURE_MAX_SITES: there was no room */
	struct window windows[1 + 2 * SUTURE_MAX_SITES];
	unsigned int nr_windows;
};

static void add_window(struct search *s, unsigned long start, unsigned long len,
		       unsigned long limit)
{
	if (start < limit && s->nr_windows < ARRAY_SIZE(s->windows))
		s->windows[s->nr_windows++] =
			(struct window){start, min(start + len, limit), limit};
}

/* NULL: it is known, or there is no room. */
static struct suture_decl_site *add_site(struct search *s, unsigned long at, u8 kind, u8 len)
{
	s32 offset = at - s->func;
	unsigned int i;

	for (i = 0; i < s->nr_sites && i < SUTURE_MAX_SITES; i++)
		if (s->sites[i].offset == offset && s->sites[i].kind == kind)
			return NULL;
	if (s->nr_sites >= SUTURE_MAX_SITES) {
		s->nr_sites = SUTURE_MAX_SITES + 1;
		return NULL;
	}
	s->sites[s->nr_sites] =
		(struct suture_decl_site){.offset = offset, .kind = kind, .len = len};
	return &s->sites[s->nr_sites++];
}

/* ---- static keys ---- */

#ifdef CONFIG_JUMP_LABEL
static void add_key(struct search *s, const struct jump_entry *key, unsigned long limit)
{
	unsigned long at = jump_entry_code(key), target = jump_entry_target(key);
	unsigned int len = arch_key_size(at);
	unsigned long room = compat_symbol_room(target);
	struct suture_decl_site *site = add_site(s, at, SUTURE_SITE_KEY, len);

	if (!site)
		return;
	site->target = target - s->func;
	site->room = min(room, 0xfffful);
	add_window(s, at + len, KEY_WINDOW, limit);
	add_window(s, target, KEY_WINDOW, target + room);
}

/* Where the kernel's table is not found: the keys, without their targets. */
static void add_unknown_keys(struct search *s, const struct window *w)
{
	unsigned long at;

	if (!keys_reserved || !keys_reserved((void *)w->start, (void *)(w->end - 1)))
		return;
	for (at = w->start; at < w->end; at++)
		if (keys_reserved((void *)at, (void *)at))
			add_site(s, at, SUTURE_SITE_KEY, 1);
}

static void find_keys(struct search *s, const struct window *w)
{
	struct jump_entry *key;

	if (!s->mod && !keys_start)
		add_unknown_keys(s, w);
	for (key = s->keys; key < s->keys_end; key++)
		if (jump_entry_code(key) >= w->start && jump_entry_code(key) < w->end)
			add_key(s, key, w->limit);
}

static void choose_keys(struct search *s)
{
	s->keys = s->mod ? s->mod->jump_entries : keys_start;
	s->keys_end = s->mod ? s->keys + s->mod->num_jump_entries : keys_end;
}
#else
static void find_keys(struct search *s, const struct window *w)
{
}

static void choose_keys(struct search *s)
{
}
#endif

/* ---- static calls and kprobes ---- */

static void find_calls(struct search *s, const struct window *w)
{
	unsigned long at, next;

	if (!calls_reserved || !calls_reserved((void *)w->start, (void *)(w->end - 1)))
		return;
	for (at = w->start; at < w->end; at = next) {
		next = at + 1;
		if (!calls_reserved((void *)at, (void *)at))
			continue;
		while (next < at + ARCH_CALL_SIZE && calls_reserved((void *)next, (void *)next))
			next++;
		add_site(s, at, SUTURE_SITE_CALL, next - at);
	}
}

/* Functions with padding before them that a short jump reaches, where a long one has no room. */
static void find_entries(struct search *s, unsigned long size)
{
	unsigned long at, next;

	for (at = s->func + size; at - s->func < REACH; at = next) {
		next = at + compat_symbol_size(at);
		if (next == at)
			break;
		if (compat_ftrace_site(at, next - at) != SUTURE_NONE)
			add_site(s, at, SUTURE_SITE_ENTRY, 1);
	}
	for (at = compat_symbol_before(s->func); at && s->func - at < REACH;
	     at = compat_symbol_before(at))
		if (compat_ftrace_site(at, compat_symbol_size(at)) != SUTURE_NONE)
			add_site(s, at, SUTURE_SITE_ENTRY, 1);
}

static bool has_call(const struct search *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_sites && i < SUTURE_MAX_SITES; i++)
		if (s->sites[i].kind == SUTURE_SITE_CALL)
			return true;
	return false;
}

static void find_probes(struct search *s, const struct window *w)
{
	unsigned long at;

	for (at = w->start; find_kprobe && at < min(w->end + INSN_MAX, w->limit); at++)
		if (find_kprobe((void *)at))
			add_site(s, at, SUTURE_SITE_PROBE, 1);
}

/* No site changes while these locks are held. */
static void lock_text(void)
{
	if (lock_keys && unlock_keys)
		lock_keys();
	if (text_lock)
		mutex_lock(text_lock);
	preempt_disable();
}

static void unlock_text(void)
{
	preempt_enable();
	if (text_lock)
		mutex_unlock(text_lock);
	if (lock_keys && unlock_keys)
		unlock_keys();
}

/* Code at `place` must be left by a jump before any of these. */
static bool call_follows(s64 place, const struct suture_decl_site *sites, unsigned int nr_sites)
{
	unsigned int i;

	for (i = 0; i < nr_sites; i++)
		if (sites[i].kind == SUTURE_SITE_CALL && sites[i].offset >= place &&
		    sites[i].offset < place + ARCH_CALL_SIZE)
			return true;
	return false;
}

bool sites_are_close(u32 ftrace_site, unsigned long size, const struct suture_decl_site *sites,
		     unsigned int nr_sites)
{
	unsigned long entry = (unsigned long)ftrace_site + ARCH_CALL_SIZE;
	unsigned int i;

	if (ftrace_site == SUTURE_NONE || nr_sites > SUTURE_MAX_SITES)
		return false;
	if (size < entry + ARCH_CALL_SIZE || call_follows(entry, sites, nr_sites))
		return true;
	for (i = 0; i < nr_sites; i++)
		if (sites[i].kind == SUTURE_SITE_KEY &&
		    (call_follows(sites[i].offset + sites[i].len, sites, nr_sites) ||
		     call_follows(sites[i].target, sites, nr_sites)))
			return true;
	return false;
}

unsigned int sites_find(const struct module *mod, unsigned long func, unsigned long size,
			struct suture_decl_site *sites)
{
	struct search s = {.func = func, .mod = mod, .sites = sites};
	unsigned int i;

	choose_keys(&s);
	add_window(&s, func, ENTRY_WINDOW, func + size);
	lock_text();
	for (i = 0; i < s.nr_windows; i++) {
		find_keys(&s, &s.windows[i]);
		find_calls(&s, &s.windows[i]);
		find_probes(&s, &s.windows[i]);
	}
	unlock_text();
	if (s.nr_sites <= SUTURE_MAX_SITES && has_call(&s))
		find_entries(&s, size);
	return s.nr_sites;
}
