/* SPDX-License-Identifier: BSD-2-Clause */
#include "patch/switch.h"
#include "core/arch.h"
#include "core/errno.h"
#include "core/lib/format.h"
#include "core/lib/string.h"
#include "core/mutate.h"
#include "core/pause.h"
#include "core/pool.h"
#include "guest/hooks.h"
#include "guest/kernel.h"
#include "guest/mem.h"
#include "patch/check.h"
#include "stage2/shadow.h"

/* As much of a function as arch_redirect_offset() wants to see. */
#define CODE_MAX 64u

static int fail(struct transition_report *r, int err, const char *fmt, ...) __printf_like(3, 4);

static int fail(struct transition_report *r, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vformat(r->reason, sizeof(r->reason), fmt, ap);
	va_end(ap);
	return err;
}

/* ---- the redirect of one function ---- */

static int find_ipas(const struct switch_func *f, struct redirect *redirect,
		     struct transition_report *r)
{
	u64 last = redirect->from + redirect->len - 1;
	int err = guest_translate(GVA(redirect->from), &redirect->ipa);

	if (!err && ALIGN_DOWN(last, PAGE_SIZE) != ALIGN_DOWN(redirect->from, PAGE_SIZE))
		err = guest_translate(GVA(ALIGN_DOWN(last, PAGE_SIZE)), &redirect->ipa2);
	return err ? fail(r, err, "%s at %#llx is not mapped in the guest kernel", f->name,
			  (unsigned long long)redirect->from)
		   : 0;
}

/*
 * Bytes that the guest patches itself stay its own: under the redirect it would read back other
 * ones than it wrote, which Linux takes for a fault of its own (BUG_ON).
 */
static int check_untouched(const struct switch_func *f, const struct redirect *redirect,
			   struct transition_report *r)
{
	u64 offset = redirect->from - f->old_addr, to;

	if (offset + redirect->len > 64 || (f->rewritten >> offset & ((1ull << redirect->len) - 1)))
		return fail(r, -EOPNOTSUPP,
			    "%s: the kernel itself rewrites instructions where its jump would be "
			    "(a static key, a static call or a probe): patch its callers instead, "
			    "or remove the probe",
			    f->name);
	to = arch_redirect_jump(redirect->old, redirect->len, redirect->from);
	/* Modules may jump to one another; vmlinux jumps nowhere but to itself. */
	if (to && guest_is_kernel_text(redirect->from, 1) && !guest_is_kernel_text(to, 1))
		return fail(r, -EBUSY,
			    "%s: an optimized kprobe of the guest's is where its jump "
			    "would be: remove it",
			    f->name);
	return 0;
}

/* guest_read() sees the guest's own bytes, also where a shadow page is in force. */
static int make_redirect(const struct switch_func *f, struct redirect *redirect,
			 struct transition_report *r)
{
	u8 code[CODE_MAX];
	size_t size = MIN(f->old_size, CODE_MAX);
	int offset, len, err;

	if (guest_read(GVA(f->old_addr), code, size))
		return fail(r, -EFAULT, "%s: its code at %#llx cannot be read in the guest",
			    f->name, (unsigned long long)f->old_addr);
	offset = arch_redirect_offset(code, size, f->ftrace_site, f->old_addr, f->new_addr);
	if (offset == -ENOSPC)
		return fail(r, offset,
			    "%s is too short for a jump (%llu bytes): patch its callers instead",
			    f->name, (unsigned long long)f->old_size);
	if (offset < 0)
		return fail(r, offset,
			    "%s: the bytes at %#llx are not the beginning of a function: check "
			    "that the patch was built for this kernel",
			    f->name, (unsigned long long)f->old_addr);

	*redirect = (struct redirect){
		.key = f->key, .from = f->old_addr + (u32)offset, .to = f->new_addr};
	len = arch_redirect_encode(redirect->from, redirect->to, redirect->bytes);
	if (len < 0)
		return fail(r, len, "%s: no jump reaches from %#llx to %#llx", f->name,
			    (unsigned long long)redirect->from, (unsigned long long)redirect->to);
	if ((size_t)offset + (size_t)len > size)
		return fail(r, -ENOSPC,
			    "%s is too short (%llu bytes, %d needed): patch its callers instead",
			    f->name, (unsigned long long)f->old_size, offset + len);
	len = arch_redirect_pad(code + offset, size - (size_t)offset, redirect->bytes, len);
	if (len < 0)
		return fail(r, len,
			    "%s: a breakpoint of the guest's (a kprobe?) is where its jump would "
			    "be: remove it",
			    f->name);
	redirect->len = (u32)len;
	memcpy(redirect->old, code + offset, redirect->len);
	err = check_untouched(f, redirect, r);
	return err ? err : find_ipas(f, redirect, r);
}

/* ---- planning, with the guest running ---- */

static bool is_redirected(const struct switch_func *f)
{
	return f->active_addr != f->old_addr;
}

static int plan_func(struct shadow_plan *plan, const struct switch_func *f,
		     struct transition_report *r)
{
	struct redirect redirect;
	int err;

	/* A drop came first; when the engine has heard of it, it will ask for something else. */
	if (is_redirected(f) && shadow_plan_remove(plan, f->key))
		return fail(r, -EAGAIN, "%s: its redirect was dropped by the guest", f->name);
	if (!f->new_addr)
		return 0;
	err = make_redirect(f, &redirect, r);
	if (err)
		return err;
	err = shadow_plan_add(plan, &redirect);
	if (err == -EEXIST)
		return fail(r, err, "%s is redirected already", f->name);
	if (err == -ENOSPC)
		return fail(r, err, "%s: its jump would overlap that of another function", f->name);
	return err ? fail(r, err, "%s: no memory for its redirect", f->name) : 0;
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

static void add_range(struct check_range *range, const struct switch_func *f, u64 start, u64 size)
{
	range->start = start;
	range->end = start + size;
	str_copy(range->name, f->name, sizeof(range->name));
}

/*
 * The bytes that the switch changes: of the jump that is there, and of the one that comes. What
 * cannot be told (its code has changed since) is taken to be all that a jump may lie in.
 */
static void add_jumps(struct check_range *range, const struct switch_func *f)
{
	const u64 targets[] = {is_redirected(f) ? f->active_addr : 0, f->new_addr};
	u64 start = f->old_addr + f->old_size, end = f->old_addr;

	for (u32 i = 0; i < ARRAY_SIZE(targets); i++) {
		struct switch_func jump = *f;
		struct transition_report ignored;
		struct redirect redirect;

		if (!targets[i])
			continue;
		jump.new_addr = targets[i];
		if (make_redirect(&jump, &redirect, &ignored)) {
			start = f->old_addr;
			end = f->old_addr + MIN(f->old_size, CODE_MAX);
			break;
		}
		start = MIN(start, redirect.from);
		end = MAX(end, redirect.from + redirect.len);
	}
	add_range(range, f, start, end - start);
}

/*
 * The code that is active; and where a redirect stands, its bytes too: a CPU may be between two
 * instructions of the jump. With SWITCH_OFFLINE there is none.
 */
static int make_ranges(const struct switch_set *set, struct check_range *ranges, u32 *count,
		       struct transition_report *r)
{
	u32 n = 0;

	for (u32 i = 0; i < set->count && set->care != SWITCH_OFFLINE; i++) {
		const struct switch_func *f = &set->funcs[i];
		bool forced = set->care == SWITCH_FORCED;

		if (!f->active_size || f->active_addr + f->active_size < f->active_addr)
			return fail(r, -EINVAL, "%s: the size of its active code is not known",
				    f->name);
		if (!forced)
			add_range(&ranges[n++], f,
				  MUTATION(active_code) ? f->old_addr : f->active_addr,
				  f->active_size);
		if (!MUTATION(redirect_bytes) && (forced || is_redirected(f)))
			add_jumps(&ranges[n++], f);
	}
	for (u32 i = 0; i < set->nr_also && !MUTATION(also_ranges); i++)
		ranges[n++] = set->also[i];
	*count = n;
	return 0;
}

/* ---- the pause ---- */

/*
 * Ranges that overlap are one for the check, with one name: a payload's text, say, and its
 * functions. Of all that hold the address the smallest says best what is there.
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
	return fail(r, -EAGAIN, "%s (%u) is in %s (%s)", b->comm, b->pid, b->func, b->where);
}

/* ---- probes that came meanwhile ---- */

static int is_on_page(u64 page, void *arg)
{
	return *(const u64 *)arg - page < PAGE_SIZE;
}

/*
 * Optimized kprobes are jumps to pages of their own. In vmlinux any jump that leaves it is one
 * (check_untouched()), in a module it may be the module's own.
 */
static int check_unprobed(const struct redirect *redirect, void *report)
{
	u64 to = arch_redirect_jump(redirect->old, redirect->len, redirect->from);
	int found =
		to && !MUTATION(optimized_probes) ? guest_for_each_slot_page(is_on_page, &to) : 0;

	if (found < 0)
		return fail(report, -EAGAIN, "the pages of optimized kprobes cannot be found");
	return found ? fail(report, -EAGAIN,
			    "an optimized kprobe of the guest's is where the jump at %#llx would "
			    "be: remove it",
			    (unsigned long long)redirect->from)
		     : 0;
}

/* The check could not tell: what that means for who waits. Its own words stay as the detail. */
static int explain(struct transition_report *r, int err)
{
	str_copy(r->detail, r->reason, sizeof(r->detail));
	return fail(r, -EAGAIN,
		    err == -ETIMEDOUT
			    ? "not all tasks could be looked at within one pause: the next attempt "
			      "may take longer, up to pause_limit_us= of suture.conf"
			    : "for a moment it could not be told where each task of the guest was: "
			      "tried again");
}

/*
 * Check, fill, commit, apply. -EBUSY: a blocker. Whatever else fails may be different the next
 * time.
 */
static int switch_paused(struct pause *p, struct shadow_plan *plan, struct check_range *ranges,
			 u32 count, const struct check_ahead *ahead, struct transition_report *r)
{
	int err = count ? check_run(p, NULL, ranges, count, ahead, r) : 0;

	if (err)
		return err == -EBUSY ? err : explain(r, err);
	err = shadow_plan_for_each_added(plan, check_unprobed, r);
	if (err)
		return err;
	err = shadow_plan_fill(plan);
	if (err == -EBUSY)
		return fail(
			r, -EAGAIN,
			"the guest has a breakpoint (a kprobe?) on the jump at %#llx: remove it",
			(unsigned long long)shadow_plan_obstacle(plan));
	if (err)
		return fail(r, -EAGAIN, "the guest changed its code while the switch was prepared");
	if (pause_commit(p, shadow_plan_apply, plan))
		return fail(r, -EAGAIN, "the pause was too short: its deadline came at the commit");
	shadow_plan_apply(plan);
	return 0;
}

static int pause_and_switch(struct shadow_plan *plan, struct check_range *ranges, u32 count,
			    u64 budget_us, struct transition_report *r)
{
	struct check_ahead *ahead = count ? check_ahead(ranges, count) : NULL;
	struct pause p;
	u64 took_us;
	int err = pause_begin(&p, budget_us);

	if (err) {
		err = fail(r, -EAGAIN, "the guest's CPUs did not stop within %llu us",
			   (unsigned long long)budget_us);
		goto free_ahead;
	}
	err = switch_paused(&p, plan, ranges, count, ahead, r);
	pause_end(&p);

	took_us = arch_time_us() - p.start_us;
	r->pause_last_us = took_us;
	r->pause_max_us = MAX(r->pause_max_us, took_us);
	r->cpus_paused = p.cpus_held;
free_ahead:
	check_ahead_free(ahead);
	return err;
}

static void clear_attempt(struct transition_report *r)
{
	r->tasks_checked = r->tasks_before_pause = r->words_checked = r->words_cleared = 0;
	r->pages_shadowed = 0;
	r->blocker = (struct blocker){0};
	r->reason[0] = r->detail[0] = '\0';
}

int switch_try(const struct switch_set *set, u64 budget_us, struct transition_report *r)
{
	u64 max = 2ull * set->count + set->nr_also;
	size_t pages = (2 * max * sizeof(struct check_range) + PAGE_SIZE - 1) / PAGE_SIZE;
	struct check_range *all, *ranges; /* as they are named, and for the check */
	struct shadow_plan *plan;
	u32 count = 0, nr_all = 0;
	int err;

	r->attempts++;
	clear_attempt(r);
	if (!max)
		return 0;
	if (max > CHECK_MAX_RANGES)
		return fail(
			r, -ENOSPC,
			"%u functions and %u of their parts change at once: at most %u can, where "
			"a function counts twice",
			set->count, set->nr_also, CHECK_MAX_RANGES);
	all = pool_alloc(pages);
	if (!all)
		return fail(r, -ENOMEM, "no memory for %u functions", set->count);
	plan = shadow_plan_begin();
	if (!plan) {
		err = fail(r, -ENOMEM, "no memory for a plan of shadow pages");
		goto free_ranges;
	}

	err = make_ranges(set, all, &nr_all, r);
	if (!err)
		err = plan_set(plan, set, r);
	if (err == -EBUSY) /* what is in the way can go */
		err = -EAGAIN;
	if (err)
		goto abort;
	err = shadow_plan_prepare(plan);
	if (err) {
		fail(r, err, "no shadow pages can be made (%s)", errno_name(err));
		goto abort;
	}
	ranges = all + max;
	memcpy(ranges, all, nr_all * sizeof(*all));
	count = check_sort(ranges, nr_all);
	err = pause_and_switch(plan, ranges, count, budget_us, r);
	if (err == -EBUSY)
		err = describe_blocker(all, nr_all, r);
	if (err)
		goto abort;

	r->pages_shadowed = shadow_plan_pages(plan);
	r->functions_redirected += set->count;
	shadow_plan_finish(plan);
	goto free_ranges;
abort:
	shadow_plan_abort(plan);
free_ranges:
	pool_free(all, pages);
	return err;
}

int switch_validate(const struct switch_set *set, struct transition_report *r)
{
	struct shadow_plan *plan = shadow_plan_begin();
	int err;

	r->reason[0] = '\0';
	if (!plan)
		return fail(r, -ENOMEM, "no memory for a plan of shadow pages");
	err = plan_set(plan, set, r);
	shadow_plan_abort(plan);
	return err;
}
