/* SPDX-License-Identifier: BSD-2-Clause */
/* The rig's machine: addresses, redirects, the engine's operations, and questions. */
#include "engine_rig.h"
#include "core/log.h"

char rig_said[RIG_SAID];

/* The monitor's log is much, and read by people who look for a fault only: SUTURE_LOG=1. */
void log_limited(enum log_kind kind, enum log_level level, const char *fmt, ...)
{
	static int shown = -1;
	va_list ap;

	(void)kind;
	va_start(ap, fmt);
	if (level != LOG_DEBUG)
		vsnprintf(rig_said, sizeof(rig_said), fmt, ap);
	va_end(ap);
	if (shown < 0)
		shown = getenv("SUTURE_LOG") != NULL;
	if (!shown)
		return;
	printf("%d ", level);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void rig_line(struct rig *rig, const char *fmt, ...)
{
	va_list ap;

	if (rig->quiet)
		return;
	assert_true(rig->nr_lines < RIG_LINES);
	va_start(ap, fmt);
	assert_true(vasprintf(&rig->log[rig->nr_lines++], fmt, ap) >= 0);
	va_end(ap);
}

void rig_clear(struct rig *rig)
{
	while (rig->nr_lines)
		free(rig->log[--rig->nr_lines]);
}

void rig_expect(struct rig *rig, const char *const *want)
{
	u32 i;

	for (i = 0; i < rig->nr_lines && want[i] && !strcmp(want[i], rig->log[i]); i++)
		;
	if (i < rig->nr_lines || want[i]) {
		print_error("line %u of the kernel log is\n    %s\nand must be\n    %s\n", i + 1,
			    i < rig->nr_lines ? rig->log[i] : "(none)",
			    want[i] ? want[i] : "(none)");
		fail();
	}
	rig_clear(rig);
}

/* ---- addresses ---- */

u64 module_text(u32 slot)
{
	return MODULES + slot * MODULE_TEXT;
}

u64 payload_text(u32 slot)
{
	return MODULES + (0x100 + slot) * MODULE_TEXT;
}

struct rig_module *rig_module(struct rig *rig, const char *name)
{
	u32 i;

	for (i = 0; i < RIG_MODULES && rig->modules[i].name; i++)
		if (!strcmp(rig->modules[i].name, name))
			return &rig->modules[i];
	assert_true(i < RIG_MODULES);
	rig->modules[i].name = name;
	rig->modules[i].place = i;
	return &rig->modules[i];
}

u64 symbol(struct rig *rig, const char *object, const char *name)
{
	u64 hash = 5381;

	while (*name)
		hash = hash * 33 + (u8)*name++;
	if (!strcmp(object, "vmlinux"))
		return VMLINUX + hash % 0x8000 * 0x100;
	return module_text(rig_module(rig, object)->place) + hash % 0x80 * 0x100;
}

struct rig_payload *rig_payload(struct rig *rig, const char *name)
{
	u32 i;

	for (i = 0; i < RIG_MODULES; i++)
		if (rig->payloads[i].def && !strcmp(rig->payloads[i].def->name, name))
			return &rig->payloads[i];
	return NULL;
}

struct rig_payload *rig_add(struct rig *rig, const struct def *def)
{
	struct rig_payload *p = rig_payload(rig, def->name);
	u32 i;

	for (i = 0; !p && i < RIG_MODULES; i++)
		if (!rig->payloads[i].def)
			p = &rig->payloads[i];
	assert_non_null(p);
	p->def = def;
	return p;
}

u32 count_objects(const struct def *d)
{
	u32 n = 0;

	while (n < RIG_MODULES && d->objects[n].name)
		n++;
	return n;
}

u32 count_funcs(const struct def *d)
{
	u32 n = 0;

	while (n < RIG_FUNCS && d->funcs[n].name)
		n++;
	return n;
}

u32 count_states(const struct def *d)
{
	u32 n = 0;

	while (n < RIG_STATES && d->states[n].id)
		n++;
	return n;
}

/* ---- the machine ---- */

static u64 *redirect_slot(struct rig *rig, u64 key)
{
	u32 i;

	for (i = 0; i < RIG_REDIRECTS; i++)
		if (rig->redirects[i].key == key && rig->redirects[i].to)
			return &rig->redirects[i].to;
	for (i = 0; i < RIG_REDIRECTS; i++)
		if (!rig->redirects[i].to) {
			rig->redirects[i].key = key;
			return &rig->redirects[i].to;
		}
	fail_msg("too many redirects");
	return NULL;
}

u64 runs(struct rig *rig, const char *object, const char *name)
{
	return *redirect_slot(rig, symbol(rig, object, name));
}

u32 count_redirects(struct rig *rig)
{
	u32 i, n = 0;

	for (i = 0; i < RIG_REDIRECTS; i++)
		n += rig->redirects[i].to != 0;
	return n;
}

static bool is_occupied(const struct rig *rig, u32 place)
{
	u32 i;

	for (i = 0; i < RIG_MODULES; i++)
		if (rig->modules[i].place == place && rig->modules[i].state != ABSENT)
			return true;
	return false;
}

/* It does not lie in memory that was freed. */
static void check_address(struct rig *rig, u64 address)
{
	u32 slot = (u32)((address - MODULES) / MODULE_TEXT);

	if (address < MODULES)
		return;
	if (address >= payload_text(0)) {
		assert_true(address < payload_text(RIG_MODULES));
		assert_int_not_equal(rig->payloads[slot - 0x100].state, ABSENT);
	} else {
		assert_true(is_occupied(rig, slot));
	}
}

void check_memory(struct rig *rig)
{
	u32 i;

	for (i = 0; i < RIG_REDIRECTS; i++) {
		if (!rig->redirects[i].to)
			continue;
		check_address(rig, rig->redirects[i].key);
		check_address(rig, rig->redirects[i].to);
		assert_true(rig->redirects[i].to >= payload_text(0));
	}
}

static int rig_try_switch(void *ctx, const struct switch_set *set, struct transition_report *r)
{
	struct rig *rig = ctx;
	u32 i, j;

	r->attempts++;
	rig->last_budget_us = set->budget_us;
	r->looking = rig->watching && (rig->looks_ahead || rig->watch_gaps);
	if (r->looking && rig->looks_ahead) {
		rig->looks_ahead--;
		return -EAGAIN;
	}
	if (r->looking) {
		rig->watch_gaps--;
		rig->watching = false;
		return -EAGAIN;
	}
	rig->nr_extra = MIN(set->nr_extra, (u32)ARRAY_SIZE(rig->extra));
	if (rig->nr_extra)
		memcpy(rig->extra, set->extra, rig->nr_extra * sizeof(rig->extra[0]));
	assert_true(set->count + set->nr_extra > 0);
	for (i = 0; i < set->nr_extra; i++)
		check_address(rig, set->extra[i].end - 1);
	for (i = 0; i < set->count; i++) {
		const struct switch_func *f = &set->funcs[i];
		u64 now = *redirect_slot(rig, f->key);

		check_address(rig, f->key);
		check_address(rig, f->active_addr);
		check_address(rig, f->new_addr);
		/* the engine must know what is true now */
		assert_int_equal(f->active_addr, now ? now : f->old_addr);
		assert_int_not_equal(f->new_addr, now);
		assert_true(f->active_size > 0);
		assert_int_equal(f->key, f->old_addr);
		for (j = 0; j < i; j++)
			assert_int_not_equal(set->funcs[j].key, f->key);
		if (rig->busy && set->mode == SWITCH_SAFE && !strcmp(rig->busy, f->name)) {
			r->blocker = (struct blocker){.valid = true,
						      .pid = rig->busy_idle  ? 0
							     : rig->busy_pid ? rig->busy_pid
									     : 7,
						      .comm = "some\nbody"};
			str_copy(r->blocker.func, f->name, sizeof(r->blocker.func));
			str_copy(r->reason, "somebody sleeps in it", sizeof(r->reason));
			return -EAGAIN;
		}
	}
	if (rig->short_pause) {
		str_copy(r->reason, "the pause was too short", sizeof(r->reason));
		return -EAGAIN;
	}
	if (rig->switch_error) {
		str_copy(r->reason, "no room", sizeof(r->reason));
		return rig->switch_error;
	}
	for (i = 0; i < set->count; i++)
		*redirect_slot(rig, set->funcs[i].key) = set->funcs[i].new_addr;
	rig->switches++;
	rig->watching = false;
	r->functions_redirected += set->count;
	r->functions_verified += set->count - (rig->mismatch != NULL);
	str_copy(r->mismatch, rig->mismatch ? rig->mismatch : "", sizeof(r->mismatch));
	check_memory(rig);
	return 0;
}

static int rig_validate(void *ctx, const struct switch_set *set, struct transition_report *r)
{
	struct rig *rig = ctx;

	assert_true(set->count > 0);
	if (rig->validate_error)
		snprintf(r->reason, sizeof(r->reason), "%s is too short%*s: patch its callers",
			 set->funcs[0].name, (int)rig->reason_spaces, "");
	return rig->validate_error;
}

static int rig_look(void *ctx, u64 key, u64 to, char *why, size_t why_size)
{
	struct rig *rig = ctx;

	rig->fetches++;
	if (rig->look_busy)
		return -EAGAIN;
	if (key != rig->lost && *redirect_slot(rig, key) == to)
		return 0;
	snprintf(why, why_size, "something else is there");
	return -EILSEQ;
}

static bool rig_is_text(void *ctx, bool module, u64 va, u64 len)
{
	u64 start = module ? MODULES : VMLINUX, size = module ? MODULES_SIZE : VMLINUX_SIZE;

	(void)ctx;
	return va >= start && va - start < size && len <= size - (va - start);
}

static const u8 *rig_build_id(void *ctx, u32 *len)
{
	struct rig *rig = ctx;

	*len = sizeof(rig->build_id);
	return rig->build_id;
}

static bool rig_watching(void *ctx)
{
	struct rig *rig = ctx;

	return rig->watching || !rig->can_watch;
}

static void rig_unwatch(void *ctx)
{
	struct rig *rig = ctx;

	rig->watching = false;
}

static int rig_panic_suspected(void *ctx)
{
	struct rig *rig = ctx;

	rig->looks++;
	return rig->halted;
}

static void rig_ended(void *ctx, const char *what)
{
	struct rig *rig = ctx;

	format(rig->ended, sizeof(rig->ended), "%s", what);
}

static u64 rig_now(void *ctx)
{
	return ((struct rig *)ctx)->now_us;
}

void *rig_alloc(void *ctx, size_t size)
{
	struct rig *rig = ctx;

	if (rig->fail_alloc && !--rig->fail_alloc)
		return NULL;
	rig->allocated += (long)size;
	return rig->alloc ? rig->alloc(rig, size) : calloc(1, size);
}

void rig_free(void *ctx, void *p, size_t size)
{
	struct rig *rig = ctx;

	rig->allocated -= (long)size;
	if (rig->free)
		rig->free(rig, p, size);
	else
		free(p);
}

/* ---- questions ---- */

struct patch_info info(struct rig *rig, const char *name)
{
	struct patch_info i;
	u32 n;

	for (n = 0; !engine_patch_info(rig->e, n, &i); n++)
		if (!strcmp(i.name, name))
			return i;
	fail_msg("no patch '%s'", name);
	return i;
}

struct suture_patch_state query(struct rig *rig, const char *name)
{
	struct suture_patch_state s = {0};

	assert_int_equal(engine_query(rig->e, name, &s), 0);
	return s;
}

void assert_phase(struct rig *rig, const char *name, enum patch_phase phase)
{
	struct patch_info i = info(rig, name);

	if (i.phase != phase)
		print_error("'%s' is %s (%s), not %s\n", name, patch_phase_name(i.phase), i.why,
			    patch_phase_name(phase));
	assert_int_equal(i.phase, phase);
}

void assert_text(const char *have, const char *want)
{
	if (!strstr(have, want))
		fail_msg("\"%s\" does not say \"%s\"", have, want);
}

/* ---- its beginning and end ---- */

void rig_engine(struct rig *rig, const struct engine_config *config)
{
	struct engine_ops ops = {
		.try_switch = rig_try_switch,
		.validate = rig_validate,
		.look = rig_look,
		.is_text = rig_is_text,
		.build_id = rig_build_id,
		.watching = rig_watching,
		.unwatch = rig_unwatch,
		.panic_suspected = rig_panic_suspected,
		.ended = rig_ended,
		.now_us = rig_now,
		.alloc = rig_alloc,
		.free = rig_free,
		.ctx = rig,
	};

	rig->e = engine_create(&ops, config);
	assert_non_null(rig->e);
	engine_agent_hello(rig->e);
}

void rig_start_retry(struct rig *rig, u64 retry_us, u64 retry_max_us)
{
	struct engine_config config = {
		.guest_patches = true,
		.guest_may_disable = true,
		.floors = &rig->floors,
		.retry_us = retry_us,
		.retry_max_us = retry_max_us,
		.budget_us = 1000,
		.budget_max_us = 8000,
		.machine = SUTURE_MACHINE_X86_64,
	};

	*rig = (struct rig){.now_us = 1000000, .build_id = {0xab, 0xcd, 1, 2, 3}};
	rig_engine(rig, &config);
}

void rig_start(struct rig *rig)
{
	rig_start_retry(rig, 20000, 20000);
}

void rig_stop(struct rig *rig)
{
	rig_clear(rig);
	engine_destroy(rig->e);
	assert_int_equal(rig->allocated, 0);
}

int rig_setup(void **state)
{
	static struct rig rig;

	rig_start(&rig);
	*state = &rig;
	return 0;
}

int rig_teardown(void **state)
{
	rig_stop(*state);
	return 0;
}

u32 rig_setting(const char *name, u32 normal)
{
	const char *value = getenv(name);

	return value ? (u32)strtoul(value, NULL, 0) : normal;
}
