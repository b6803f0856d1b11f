/* SPDX-License-Identifier: BSD-2-Clause */
#include "patch/switch/switch.h"
#include "arch/redirect.h"
#include "arch/time.h"
#include "core/pause.h"
#include "core/pool.h"
#include "guest/hooks.h"
#include "guest/kernel.h"
#include "guest/mem.h"
#include "guest/watch.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/check/check.h"
#include "patch/switch/readback.h"
#include "patch/switch/redo.h"
#include "stage2/shadow.h"

/* The service CPU has other work to do after this time. */
#define AHEAD_SLICE_US 10000

static int fail_attempt(struct transition_report *r, int err, const char *fmt, ...)
	__printf_like(3, 4);

static int fail_attempt(struct transition_report *r, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vformat(r->reason, sizeof(r->reason), fmt, ap);
	va_end(ap);
	return err;
}

/* ---- the redirect of one function ---- */

static int find_ipas(const struct switch_func *f, struct redirect *piece,
		     struct transition_report *r)
{
	u64 last = piece->from + piece->len - 1;
	int err = guest_translate(GVA(piece->from), &piece->ipa);

	if (!err && ALIGN_DOWN(last, PAGE_SIZE) != ALIGN_DOWN(piece->from, PAGE_SIZE))
		err = guest_translate(GVA(ALIGN_DOWN(last, PAGE_SIZE)), &piece->ipa2);
	return err ? fail_attempt(r, err, "%s: %#llx is not mapped in the guest kernel", f->name,
				  piece->from)
		   : 0;
}

/*
 * Bytes of an optimized kprobe stay the guest's: with the redirect over them the guest would read
 * other bytes than it wrote, and stop with BUG_ON().
 */
static int check_unoptimized(const struct switch_func *f, struct redirect *piece,
			     struct transition_report *r)
{
	u64 to = arch_redirect_jump(piece->old, piece->len, piece->from);

	piece->jump = to;
	/* Modules may jump to one another; vmlinux jumps only to itself. */
	if (to && guest_is_kernel_text(piece->from, 1) && !guest_is_kernel_text(to, 1))
		return fail_attempt(r, -EBUSY,
				    "%s: an optimized kprobe of the guest's is where its jump "
				    "would be: remove it",
				    f->name);
	return 0;
}

/* guest_read() reads the guest's own bytes, also where a shadow page is in force. */
static int read_code(u64 at, u8 *buf, size_t len)
{
	return guest_read(GVA(at), buf, len);
}

static const char *obstacle_name(u32 kind)
{
	switch (kind) {
	case SUTURE_SITE_KEY:
		return "static key";
	case SUTURE_SITE_CALL:
		return "static call";
	case SUTURE_SITE_PROBE:
		return "kprobe";
	default:
		return "breakpoint";
	}
}

/* Say which obstacle arch_redirect_plan() has found, and the way out. */
static int explain_obstacle(const struct switch_func *f, int err, const struct redirect_obstacle *o,
			    struct transition_report *r)
{
	long long offset = (long long)(o->at - f->old_addr);

	switch (err) {
	case -ENOSPC:
		return fail_attempt(
			r, err,
			"%s is too short for a jump (%llu bytes): patch its callers instead",
			f->name, f->old_size);
	case -EILSEQ:
		return fail_attempt(
			r, err,
			"%s: the bytes at %#llx are not the beginning of a function, or not "
			"what is said to be there: check that the patch was built for this "
			"kernel",
			f->name, o->at);
	case -EBUSY:
		return fail_attempt(
			r, err,
			"%s: a %s of the guest's is where its jump would be, %lld bytes from "
			"its beginning: remove it",
			f->name, o->kind ? "kprobe" : "breakpoint (a kprobe?)", offset);
	case -EOPNOTSUPP:
		return fail_attempt(
			r, err,
			"%s: the kernel itself rewrites a %s %lld bytes from its beginning, and "
			"its jump fits neither before it nor elsewhere; nor is there a hook of "
			"ftrace (see the guest's kernel log): patch its callers instead",
			f->name, obstacle_name(o->kind), offset);
	case -E2BIG:
		return fail_attempt(
			r, err,
			"%s: its jump would be in more than %u pieces, because of the static "
			"keys %lld bytes from its beginning: patch its callers instead",
			f->name, REDIRECT_PIECES, offset);
	case -ERANGE:
		return fail_attempt(r, err, "%s: no jump reaches from %#llx to %#llx", f->name,
				    o->at, f->new_addr);
	default:
		return fail_attempt(r, err, "%s: its code at %#llx cannot be read in the guest",
				    f->name, o->at);
	}
}

/*
 * A piece that is data: the word from which the guest's ftrace handler reads where to lead a call.
 * add_hook() adds the ranges for tasks that are on that way.
 */
static int lay_hook(const struct switch_func *f, struct redirect *piece,
		    struct transition_report *r)
{
	u64 word;

	*piece = (struct redirect){.from = f->hook, .len = sizeof(f->new_addr), .is_data = true};
	if (f->ftrace_site != SUTURE_NONE)
		piece->site = f->old_addr + f->ftrace_site;
	memcpy(piece->bytes, &f->new_addr, sizeof(f->new_addr));
	if (guest_read_u64(GVA(f->hook), &word) || word)
		return fail_attempt(r, -EFAULT, "%s: there is no word of 0 at %#llx for its hook",
				    f->name, f->hook);
	return 1;
}

static bool is_free(u64 start, u64 end, void *plan)
{
	return shadow_plan_is_free(plan, start, end);
}

/* Returns the number of pieces. */
static int make_redirect(struct shadow_plan *plan, const struct switch_func *f,
			 struct redirect *pieces, struct transition_report *r)
{
	const struct redirect_request request = {
		.func = f->old_addr,
		.size = f->old_size,
		.site = f->ftrace_site,
		.to = f->new_addr,
		.sites = f->sites,
		.nr_sites = f->nr_sites,
		.text_end = guest_is_kernel_text(f->old_addr, 1) ? guest_kernel.layout.text_end : 0,
		.read = read_code,
		.is_free = is_free,
		.arg = plan,
	};
	struct redirect_obstacle obstacle = {0};
	int n = arch_redirect_plan(&request, pieces, &obstacle), err = 0;

	if (f->hook && (n == -EOPNOTSUPP || n == -ENOSPC))
		n = lay_hook(f, pieces, r);
	else if (n < 0)
		n = explain_obstacle(f, n, &obstacle, r);
	if (n < 0)
		return n;
	for (int i = 0; !err && i < n; i++) {
		pieces[i].key = f->key;
		pieces[i].to = f->new_addr;
		err = check_unoptimized(f, &pieces[i], r);
		if (!err)
			err = find_ipas(f, &pieces[i], r);
	}
	return err ? err : n;
}

/* ---- planning, with the guest running ---- */

static bool is_redirected(const struct switch_func *f)
{
	return f->active_addr != f->old_addr;
}

static int plan_func(struct shadow_plan *plan, const struct switch_func *f,
		     struct transition_report *r)
{
	struct redirect pieces[REDIRECT_PIECES];
	int err;

	/*
	 * The redirect was dropped before; the engine will be told, and then ask for another set.
	 * An engine that has lost its last switch does not know which redirect there is.
	 */
	if ((is_redirected(f) || switch_is_behind()) && shadow_plan_remove(plan, f->key) &&
	    !switch_is_behind())
		return fail_attempt(r, -EAGAIN, "%s: its redirect was dropped by the guest",
				    f->name);
	if (!f->new_addr)
		return 0;
	err = make_redirect(plan, f, pieces, r);
	if (err < 0)
		return err;
	err = shadow_plan_add(plan, pieces, (u32)err);
	if (err == -EEXIST)
		return fail_attempt(r, err, "%s is redirected already", f->name);
	if (err == -ENOSPC)
		return fail_attempt(r, err, "%s: its jump would overlap that of another function",
				    f->name);
	return err ? fail_attempt(r, err, "%s: no memory for its redirect", f->name) : 0;
}

static int plan_set(struct shadow_plan *plan, const struct switch_set *set,
		    struct transition_report *r)
{
	int err = 0;

	for (u32 i = 0; !err && i < set->count; i++)
		err = plan_func(plan, &set->funcs[i], r);
	return err;
}

/* ---- what must not be on a stack ---- */

/* The ranges that are collected; only counted while `ranges` is NULL. */
struct range_list {
	struct check_range *ranges;
	u32 count;
	const struct switch_func *f; /* the current function */
};

static void add_range(struct range_list *l, u64 start, u64 end)
{
	if (l->ranges)
		l->ranges[l->count] = (struct check_range){start, end, l->f->name};
	l->count++;
}

/*
 * The bytes of a piece, and the bytes between pieces: a CPU there has executed a part of the
 * original, or of the redirect.
 */
static int add_piece(const struct redirect *piece, void *list)
{
	struct range_list *l = list;

	if (!piece->is_data)
		add_range(l, piece->from - (MUTATION(between_pieces) ? 0 : piece->lead),
			  piece->from + piece->len);
	return 0;
}

/* A landing pad, ftrace's site, and the address behind its call. */
#define ENTRY_LEN 16

/*
 * On the way through a hook the stack has the address behind ftrace's site, or in its place that of
 * the new function (active code): a task that returns there has read the word already.
 */
static int add_hook(const struct redirect *piece, void *list)
{
	struct range_list *l = list;

	if (!piece->is_data || MUTATION(hooked_entry))
		return 0;
	add_range(l, l->f->old_addr, l->f->old_addr + ENTRY_LEN);
	return 0;
}

/*
 * The ranges of active code, and of the bytes that the switch changes: a CPU may be between two
 * instructions of the old jump, or where the new one will be. None with SWITCH_OFFLINE, where no
 * task can be there.
 */
static int make_ranges(const struct switch_set *set, const struct shadow_plan *plan,
		       struct range_list *l, struct transition_report *r)
{
	l->count = 0;
	/* A task at the first instruction of new code has the jump to it behind it. */
	for (u32 i = 0; i < set->count && set->mode != SWITCH_OFFLINE; i++) {
		const struct switch_func *f = &set->funcs[i];
		u64 active = MUTATION(active_code) ? f->old_addr : f->active_addr;

		l->f = f;
		if (!f->active_size || f->active_addr + f->active_size < f->active_addr)
			return fail_attempt(r, -EINVAL,
					    "%s: the size of its active code is not known",
					    f->name);
		if (set->mode != SWITCH_FORCED) {
			add_range(l, active - (is_redirected(f) && !MUTATION(jumped_to_code)),
				  active + f->active_size);
			shadow_plan_for_removed(plan, f->key, add_hook, l);
		}
		if (MUTATION(redirect_bytes))
			continue;
		shadow_plan_for_removed(plan, f->key, add_piece, l);
		shadow_plan_for_added(plan, f->key, add_piece, l);
	}
	for (u32 i = 0; i < set->nr_extra && !MUTATION(extra_ranges); i++, l->count++)
		if (l->ranges)
			l->ranges[l->count] = set->extra[i];
	return 0;
}

/* ---- the pause ---- */

/*
 * The check merges ranges that overlap, such as a payload's text and its functions, under one name.
 * The smallest range that has the address gives the most precise name.
 */
static void name_code(const struct check_range *all, u32 count, u64 address, char *name)
{
	u64 smallest = UINT64_MAX;

	for (u32 i = 0; i < count; i++) {
		const struct check_range *c = &all[i];

		if (address <= c->start || address > c->end || c->end - c->start >= smallest)
			continue;
		smallest = c->end - c->start;
		str_copy(name, c->name, SUTURE_SYM_LEN);
	}
}

static int describe_blocker(const struct check_range *all, u32 count, struct transition_report *r)
{
	struct blocker *b = &r->blocker;

	name_code(all, count, b->address, b->func);
	for (u32 i = 0; i < b->nr_stack; i++)
		if (b->stack[i].func[0])
			name_code(all, count, b->stack[i].address, b->stack[i].func);
	return fail_attempt(r, -EAGAIN, "%s (%u) is in %s (%s)", b->comm, b->pid, b->func,
			    b->where);
}

/* ---- probes that came meanwhile ---- */

static int is_on_page(u64 page, void *arg)
{
	return *(const u64 *)arg - page < PAGE_SIZE;
}

/*
 * Optimized kprobes are jumps to pages of their own. In vmlinux any jump that leaves it is one
 * (check_unoptimized()), in a module it may be the module's own.
 */
static int check_unprobed(const struct redirect *redirect, void *report)
{
	u64 to = MUTATION(optimized_probes) ? 0 : redirect->jump;
	int found = to ? guest_for_each_slot_page(is_on_page, &to) : 0;

	if (found < 0)
		return fail_attempt(report, -EAGAIN,
				    "the pages of optimized kprobes cannot be found");
	return found ? fail_attempt(report, -EAGAIN,
				    "an optimized kprobe of the guest's is where the jump at %#llx "
				    "would "
				    "be: remove it",
				    redirect->from)
		     : 0;
}

/* The check could not judge: say so for the operator. The check's own reason is kept as the detail.
 */
static int fail_undecided(struct transition_report *r, int err)
{
	str_copy(r->detail, r->reason, sizeof(r->detail));
	return fail_attempt(
		r, -EAGAIN,
		err == -ETIMEDOUT
			? "not all tasks could be looked at within one pause: the next attempt "
			  "may take longer, up to pause_limit_us= of suture.conf"
			: "for a moment it could not be told where each task of the guest was: "
			  "tried again");
}

/* An attempt, prepared for the pause: the plan, and the ranges that must not be on a stack. */
struct attempt {
	struct shadow_plan *plan;
	size_t pages;		    /* of memory for the ranges */
	struct check_range *all;    /* with their names */
	struct check_range *ranges; /* sorted and merged, for the check */
	u32 nr_all, count;
	u64 work_us;	/* what the pause has to do took so long before it */
	bool use_ahead; /* the check may leave out what was looked at before the pause */
};

/*
 * Check, fill, commit, apply. -EBUSY: a blocker. Other errors may be gone at the next attempt.
 */
static int switch_paused(struct pause *p, const struct attempt *a, struct transition_report *r)
{
	struct shadow_plan *plan = a->plan;
	int err = a->count ? check_run(p, NULL, a->ranges, a->count, a->use_ahead, r) : 0;

	if (err)
		return err == -EBUSY ? err : fail_undecided(r, err);
	err = shadow_plan_for_each_added(plan, check_unprobed, r);
	if (err)
		return err;
	err = shadow_plan_fill(plan);
	if (err == -EBUSY)
		return fail_attempt(
			r, -EAGAIN,
			"the guest has a breakpoint (a kprobe?) on the jump at %#llx: remove it",
			shadow_plan_obstacle(plan));
	if (err)
		return fail_attempt(r, -EAGAIN,
				    "the guest changed its code while the switch was prepared");
	if (pause_commit(p, shadow_plan_apply, plan))
		return fail_attempt(r, -EAGAIN,
				    "the pause was too short: its deadline came at the commit");
	shadow_plan_apply(plan);
	return 0;
}

/*
 * Look at the guest's tasks before the pause. -EAGAIN: there are more of them. The second look is
 * at those that the pause will have to look at.
 */
static int look_ahead(struct attempt *a, struct transition_report *r)
{
	bool watched = guest_watch_id() != 0;
	u64 start = arch_time_us();
	int err = check_ahead(a->ranges, a->count, start + AHEAD_SLICE_US);

	a->use_ahead = !err;
	r->looking = watched && err == -ENOENT;
	if (r->looking)
		return fail_attempt(r, -EAGAIN, "the agent's record of who has run has a gap");
	if (err == -ENOENT)
		return 0;
	start = arch_time_us();
	if (!err && check_ahead(a->ranges, a->count, start + AHEAD_SLICE_US))
		err = -EAGAIN;
	a->work_us += arch_time_us() - start;
	r->looking = err == -EAGAIN;
	return err ? fail_attempt(r, err, "the guest's tasks are being looked at") : 0;
}

/* The pause is not cut short if it takes some times as long as the same work did before it. */
static u64 budget_of(const struct attempt *a, const struct switch_set *set)
{
	u64 budget_us =
		MUTATION(planned_budget) ? set->budget_us : MAX(set->budget_us, 4 * a->work_us);

	return MIN(budget_us, set->limit_us);
}

static int pause_and_switch(const struct attempt *a, u64 budget_us, struct transition_report *r)
{
	struct pause p;
	u64 took_us;
	int err = pause_begin(&p, budget_us);

	if (err)
		return fail_attempt(r, -EAGAIN, "the guest's CPUs did not stop within %llu us",
				    budget_us);
	err = switch_paused(&p, a, r);
	pause_end(&p);

	took_us = arch_time_us() - p.start_us;
	r->pause_last_us = took_us;
	r->pause_max_us = MAX(r->pause_max_us, took_us);
	r->cpus_paused = p.cpus_held;
	return err;
}

static void clear_attempt(struct transition_report *r)
{
	r->looking = false;
	r->tasks_checked = r->tasks_before_pause = r->words_checked = r->words_cleared = 0;
	r->pages_remapped = 0;
	r->blocker = (struct blocker){0};
	r->reason[0] = r->detail[0] = r->mismatch[0] = '\0';
}

static int prepare_ranges(struct attempt *a, const struct switch_set *set,
			  struct transition_report *r)
{
	struct range_list l = {0};
	int err = make_ranges(set, a->plan, &l, r);

	if (err || !l.count)
		return err;
	a->pages = (2 * l.count * sizeof(struct check_range) + PAGE_SIZE - 1) / PAGE_SIZE;
	a->all = l.ranges = pool_alloc(a->pages);
	if (!a->all)
		return fail_attempt(r, -ENOMEM, "no memory for %u functions", set->count);
	a->ranges = a->all + l.count;
	err = make_ranges(set, a->plan, &l, r);
	a->nr_all = l.count;
	memcpy(a->ranges, a->all, a->nr_all * sizeof(*a->all));
	a->count = check_sort(a->ranges, a->nr_all);
	return err;
}

static int prepare_attempt(struct attempt *a, const struct switch_set *set,
			   struct transition_report *r)
{
	int err = plan_set(a->plan, set, r);
	u64 start;

	if (err == -EBUSY) /* the obstacle may be removed */
		err = -EAGAIN;
	if (!err)
		err = prepare_ranges(a, set, r);
	if (err)
		return err;
	start = arch_time_us();
	err = shadow_plan_prepare(a->plan);
	a->work_us = arch_time_us() - start;
	return err ? fail_attempt(r, err, "no shadow pages can be made (%s)", errno_name(err)) : 0;
}

/* ---- after it ---- */

static void read_back(const struct switch_set *set, const struct shadow_plan *plan,
		      struct transition_report *r)
{
	char why[REASON_LEN];

	for (u32 i = 0; i < set->count; i++) {
		const struct switch_func *f = &set->funcs[i];
		int err = readback_plan(plan, f->key, why, sizeof(why));

		r->functions_verified += !err;
		if (err == -EILSEQ && !r->mismatch[0])
			format(r->mismatch, sizeof(r->mismatch), "%s: %s", f->name, why);
	}
}

int switch_try(const struct switch_set *set, struct transition_report *r)
{
	struct attempt a = {0};
	int err;

	r->attempts++;
	clear_attempt(r);
	if (!set->count && !set->nr_extra)
		return 0;
	if (switch_is_made(set)) {
		r->functions_redirected += set->count;
		return 0;
	}
	a.plan = shadow_plan_begin();
	if (!a.plan)
		return fail_attempt(r, -ENOMEM, "no memory for a plan of shadow pages");
	err = prepare_attempt(&a, set, r);
	if (!err && a.count)
		err = look_ahead(&a, r);
	if (!err)
		err = pause_and_switch(&a, budget_of(&a, set), r);
	if (err == -EBUSY)
		err = describe_blocker(a.all, a.nr_all, r);
	if (!err) {
		r->pages_remapped = shadow_plan_pages(a.plan);
		r->functions_redirected += set->count;
		switch_made();
		read_back(set, a.plan, r);
		shadow_plan_finish(a.plan);
		check_ahead_forget();
	} else {
		shadow_plan_abort(a.plan);
	}
	pool_free(a.all, a.pages);
	return err;
}

int switch_validate(const struct switch_set *set, struct transition_report *r)
{
	struct shadow_plan *plan = shadow_plan_begin();
	int err;

	r->reason[0] = '\0';
	if (!plan)
		return fail_attempt(r, -ENOMEM, "no memory for a plan of shadow pages");
	err = plan_set(plan, set, r);
	shadow_plan_abort(plan);
	return err;
}
