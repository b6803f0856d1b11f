// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other users in the guest that decide what runs when a patched function is called. ftrace's site
 *is before the redirect, so that such a user is called first: the new code may not run although the
 *patch is on. Three kinds are known:
 *
 *	an ftrace_ops that may change the instruction pointer (FTRACE_OPS_FL_IPMODIFY), as Linux's
 *	livepatch has one for each function; but not the agent's own (hooks.c), nor that of kprobes
 *	with a post_handler, which does not lead the call elsewhere;
 *	a BPF trampoline with programs that can skip the function (fmod_ret, LSM);
 *	a direct call of ftrace that is not BPF's: its effect is not known.
 *
 * All others only observe: tracers, kprobes, fentry and fexit programs.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/ftrace.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include "agent.h"
#include "compat.h"

#if defined(CONFIG_DYNAMIC_FTRACE_WITH_REGS) || defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS)

#define ENABLED_FUNCTIONS "/sys/kernel/tracing/enabled_functions"

/* Unexported symbols, looked up once. NULL or 0: the kernel's configuration leaves them out. */
static struct {
	bool known;
	struct ftrace_ops **ops_list;
	int (*ops_test)(struct ftrace_ops *ops, unsigned long ip, void *regs);
	unsigned long (*direct_call)(unsigned long ip);
	const int *ftrace_enabled;
	unsigned long klp_handler, kprobe_handler;
	u32 klp_ops, klp_stack, klp_node, klp_new; /* offsets, for the name of the module */
	struct mutex *trampoline_lock;
	struct hlist_head *trampolines;
	struct bpf_prog *(*next_program)(u32 *id);
} kernel; /* under agent_lock */

/* BPF's trampolines are direct calls, too. */
#define HAS_DIRECT_CALLS IS_ENABLED(CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)

static bool are_records_found(void)
{
	return kernel.ops_list && kernel.ops_test && (kernel.direct_call || !HAS_DIRECT_CALLS);
}

static void find_kernel(void)
{
	if (kernel.known)
		return;
	kernel.known = true;
	kernel.ops_list = (void *)compat_symbol("ftrace_ops_list");
	kernel.ops_test = (void *)compat_symbol("ftrace_ops_test");
	kernel.direct_call = (void *)compat_symbol("ftrace_find_rec_direct");
	kernel.ftrace_enabled = (void *)compat_symbol("ftrace_enabled");
	kernel.klp_handler = compat_symbol("klp_ftrace_handler");
	kernel.kprobe_handler = compat_symbol("kprobe_ftrace_handler");
	kernel.klp_ops = btf_offset("klp_ops", "fops");
	kernel.klp_stack = btf_offset("klp_ops", "func_stack");
	kernel.klp_node = btf_offset("klp_func", "stack_node");
	kernel.klp_new = btf_offset("klp_func", "new_func");
	kernel.trampoline_lock = (void *)compat_symbol("trampoline_mutex");
	kernel.trampolines = compat_trampolines();
	kernel.next_program = (void *)compat_symbol("bpf_prog_get_curr_or_next");
	if (!are_records_found())
		pr_warn("ftrace's own records are not found: other users of patched functions are "
			"not seen\n");
	else if (HAS_DIRECT_CALLS && IS_ENABLED(CONFIG_BPF_JIT) &&
		 (!kernel.trampoline_lock || !kernel.trampolines))
		pr_warn("BPF's trampolines are not found: programs that can skip patched functions "
			"are not seen\n");
}

/* ---- users that change the instruction pointer ---- */

struct modifier {
	unsigned long handler;
	unsigned long replacement; /* of Linux's livepatch: its new function; 0: not known */
};

static bool can_redirect(const struct ftrace_ops *ops)
{
	unsigned long handler = (unsigned long)ops->saved_func;

	/* direct calls, which have the flag in 5.10, are looked at by themselves */
	if (!(ops->flags & FTRACE_OPS_FL_IPMODIFY) || ops->flags & FTRACE_OPS_FL_DIRECT ||
	    handler == kernel.kprobe_handler || within_module(handler, THIS_MODULE))
		return false;
	return (ops->flags & FTRACE_OPS_FL_PERMANENT) || !kernel.ftrace_enabled ||
	       READ_ONCE(*kernel.ftrace_enabled);
}

/* The newest of the functions that klp_ops has: the one that its handler leads to. */
static unsigned long klp_replacement(const struct ftrace_ops *ops)
{
	const char *klp = (const char *)ops - kernel.klp_ops;
	const struct list_head *stack = (const void *)(klp + kernel.klp_stack), *first;

	if (kernel.klp_ops == SUTURE_NONE || kernel.klp_stack == SUTURE_NONE ||
	    kernel.klp_node == SUTURE_NONE || kernel.klp_new == SUTURE_NONE)
		return 0;
	first = READ_ONCE(stack->next);
	if (first == stack)
		return 0;
	return READ_ONCE(
		*(unsigned long *)((const char *)first - kernel.klp_node + kernel.klp_new));
}

/*
 * ftrace walks its list the same way, without a lock: code that frees operations, one of their
 * hashes or a livepatch's function waits until no CPU has preemption disabled. The flags of the
 * list's last entry do not matter here.
 */
static bool find_modifier(unsigned long site, struct modifier *m)
{
	struct ftrace_ops *ops;
	bool found = false;

	preempt_disable();
	for (ops = READ_ONCE(*kernel.ops_list); ops && !found;
	     ops = rcu_dereference_raw(ops->next)) {
		/* regs are not looked at, but have to be there */
		if (!can_redirect(ops) || !kernel.ops_test(ops, site, ops))
			continue;
		found = true;
		m->handler = (unsigned long)ops->saved_func;
		m->replacement = m->handler == kernel.klp_handler ? klp_replacement(ops) : 0;
	}
	preempt_enable();
	return found;
}

/* "name [module]", or "name"; size bytes, cut off with "...". */
static void name_of(unsigned long address, char *name, size_t size)
{
	char text[KSYM_SYMBOL_LEN];

	sprint_symbol_no_offset(text, address);
	text_mark_cut(name, size, snprintf(name, size, "%s", text));
}

/* The module's name, "": it is not in one, or gone. */
static void module_of(unsigned long address, char *name, size_t size)
{
	char text[KSYM_SYMBOL_LEN], *start, *end;

	*name = 0;
	if (!address)
		return;
	sprint_symbol_no_offset(text, address);
	start = strrchr(text, '[');
	end = start ? strchr(start, ']') : NULL;
	if (!end)
		return;
	*end = 0;
	strscpy(name, start + 1, size);
}

static void describe_modifier(const struct modifier *m, char *who)
{
	char name[SUTURE_NAME_LEN];

	if (m->handler == kernel.klp_handler) {
		module_of(m->replacement, name, sizeof(name));
		snprintf(who, SUTURE_WHO_LEN, "Linux's livepatch (klp)%s%s (/sys/kernel/livepatch)",
			 *name ? ", module " : "", name);
		return;
	}
	name_of(m->handler, name, sizeof(name));
	snprintf(who, SUTURE_WHO_LEN, "ftrace user %s ('I' in " ENABLED_FUNCTIONS ")", name);
}

/* ---- direct calls ---- */

static unsigned long direct_call(unsigned long site)
{
	unsigned long address;

	/* for the table's sake, as above */
	preempt_disable();
	address = kernel.direct_call(site);
	preempt_enable();
	return address;
}

static bool is_bpf(unsigned long address)
{
	char text[KSYM_SYMBOL_LEN];

	sprint_symbol_no_offset(text, address);
	return strstarts(text, "bpf_trampoline_");
}

/*
 * The key of the function's trampoline if it has programs that can skip the function; else 0.
 * Nothing is waited for under the lock: ftrace takes it with its own locks held.
 */
static u64 skipping_trampoline(unsigned long func)
{
	const struct hlist_node *node;
	unsigned int i;
	u64 key = 0;

	if (!kernel.trampoline_lock || !kernel.trampolines)
		return 0;
	mutex_lock(kernel.trampoline_lock);
	for (i = 0; i < COMPAT_TRAMPOLINE_BUCKETS && !key; i++) {
		for (node = kernel.trampolines[i].first; node && !key; node = node->next) {
			const struct bpf_trampoline *tr = compat_trampoline(node);

			if ((unsigned long)READ_ONCE(tr->func.addr) == func &&
			    READ_ONCE(tr->progs_cnt[BPF_TRAMP_MODIFY_RETURN]) > 0)
				key = tr->key;
		}
	}
	mutex_unlock(kernel.trampoline_lock);
	return key;
}

/*
 * Was the program loaded for that trampoline? Only the trampoline's list says whether it is
 * attached. Its lock must not be taken here: Linux's livepatch fails if another task has it at the
 * wrong moment.
 */
static bool is_skipper(const struct bpf_prog *prog, u64 key)
{
	return ((prog->type == BPF_PROG_TYPE_TRACING &&
		 prog->expected_attach_type == BPF_MODIFY_RETURN) ||
		prog->type == BPF_PROG_TYPE_LSM) &&
	       prog->aux->attach_btf_id == (u32)(key & S32_MAX);
}

static void describe_program(u64 key, char *who)
{
	struct bpf_prog *prog;
	bool found = false;
	u32 id = 1;

	snprintf(who, SUTURE_WHO_LEN, "a BPF program (fmod_ret; bpftool prog)");
	while (kernel.next_program && !found && (prog = kernel.next_program(&id))) {
		found = is_skipper(prog, key);
		if (found)
			snprintf(who, SUTURE_WHO_LEN, "BPF program %.*s (%s, id %u; bpftool prog)",
				 BPF_OBJ_NAME_LEN, prog->aux->name,
				 prog->type == BPF_PROG_TYPE_LSM ? "LSM" : "fmod_ret",
				 prog->aux->id);
		bpf_prog_put(prog);
		id++;
	}
}

static bool find_direct(unsigned long func, unsigned long site, char *who)
{
	unsigned long address = HAS_DIRECT_CALLS ? direct_call(site) : 0;
	char name[SUTURE_NAME_LEN];
	u64 key;

	if (!address)
		return false;
	if (!is_bpf(address)) {
		name_of(address, name, sizeof(name));
		snprintf(who, SUTURE_WHO_LEN, "direct call of %s ('D' in " ENABLED_FUNCTIONS ")",
			 name);
		return true;
	}
	key = skipping_trampoline(func);
	if (key)
		describe_program(key, who);
	return key;
}

void overrides_prepare(void)
{
	find_kernel();
}

/* Is there such a user? `who` gets its name, SUTURE_WHO_LEN bytes. Sleeps. agent_lock held. */
static bool find_override(unsigned long func, unsigned long size, char *who)
{
	u32 offset = compat_ftrace_site(func, size);
	struct modifier m;

	find_kernel();
	if (offset == SUTURE_NONE || !are_records_found())
		return false;
	if (find_modifier(func + offset, &m)) {
		describe_modifier(&m, who);
		return true;
	}
	return find_direct(func, func + offset, who);
}

#else

void overrides_prepare(void)
{
}

static bool find_override(unsigned long func, unsigned long size, char *who)
{
	return false;
}

#endif

int overrides_check(const struct lookup *l)
{
	char who[SUTURE_WHO_LEN];
	unsigned int i;

	for (i = 0; i < l->count; i++) {
		const struct klp_func *func = l->funcs[i];

		if (!func->old_func ||
		    !find_override((unsigned long)func->old_func, func->old_size, who))
			continue;
		refuse("'%s': overridden by %s", func->old_name, who);
		return -EBUSY;
	}
	return 0;
}

/* ---- those that come later ---- */

#define LOOK_EVERY_MS 1000

struct place {
	unsigned long func, size;
};

static struct suture_overridden
	*told;		/* the list that the monitor has; NULL: it is empty. Poll thread */
static bool tell_again; /* under agent_lock */
static ktime_t look_due;

static int compare_places(const void *a, const void *b)
{
	const struct place *p = a, *q = b;

	return p->func < q->func ? -1 : p->func > q->func;
}

static unsigned int list_places(struct place *places)
{
	const struct klp_object *obj;
	const struct klp_func *func;
	const struct patch *p;
	unsigned int count = 0;

	list_for_each_entry(p, &patches, list)
	{
		klp_for_each_object_static(p->klp, obj)
		{
			if (obj->name && !obj->mod)
				continue;
			klp_for_each_func_static(obj, func)
			{
				if (!func->old_func)
					continue;
				if (places)
					places[count] = (struct place){
						(unsigned long)func->old_func, func->old_size};
				count++;
			}
		}
	}
	return count;
}

static struct suture_overridden *new_message(unsigned int room)
{
	struct suture_overridden *m =
		kvzalloc(sizeof(*m) + room * sizeof(struct suture_override), GFP_KERNEL);

	if (m)
		m->msg.type = SUTURE_MSG_OVERRIDDEN;
	return m;
}

/* The present users of these functions; NULL: out of memory. */
static struct suture_overridden *look(struct place *places, unsigned int count)
{
	struct suture_overridden *m = new_message(min(count, SUTURE_MAX_OVERRIDDEN));
	struct suture_override *list = (void *)(m + 1);
	char who[SUTURE_WHO_LEN];
	unsigned int i;

	if (!m)
		return NULL;
	sort(places, count, sizeof(*places), compare_places, NULL);
	for (i = 0; i < count; i++) {
		/* patches on a stack have the function in common */
		if (i && places[i].func == places[i - 1].func)
			continue;
		if (!find_override(places[i].func, places[i].size, who))
			continue;
		if (m->count == SUTURE_MAX_OVERRIDDEN) {
			m->more++;
			continue;
		}
		list[m->count].func = places[i].func;
		strscpy(list[m->count++].who, who, sizeof(list->who));
	}
	m->msg.size = sizeof(*m) + m->count * sizeof(*list);
	return m;
}

static bool is_news(const struct suture_overridden *m)
{
	const struct suture_override *list = (const void *)(m + 1);

	if (tell_again || !told)
		return tell_again || m->count;
	return m->count != told->count || m->more != told->more ||
	       memcmp(list, told + 1, m->count * sizeof(*list));
}

/* agent_lock held. */
static void look_and_tell(void)
{
	unsigned int count = list_places(NULL);
	struct place *places = kvmalloc_array(count + 1, sizeof(*places), GFP_KERNEL);
	struct suture_overridden *m = NULL;

	if (places)
		m = look(places, list_places(places));
	if (m && is_news(m) && !mailbox_send(&m->msg)) {
		swap(told, m);
		tell_again = false;
		if (!told->count) {
			kvfree(told);
			told = NULL;
		}
	}
	kvfree(m);
	kvfree(places);
}

void overrides_report(void)
{
	/* a callback may run long, and the poll thread must go on meanwhile */
	if (ktime_before(ktime_get(), look_due) || !mutex_trylock(&agent_lock))
		return;
	look_due = ktime_add_ms(ktime_get(), LOOK_EVERY_MS);
	if (!list_empty(&patches) || told)
		look_and_tell();
	mutex_unlock(&agent_lock);
}

void overrides_report_again(void)
{
	tell_again = true;
}

void overrides_exit(void)
{
	kvfree(told);
}
