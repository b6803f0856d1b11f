/* SPDX-License-Identifier: BSD-2-Clause */
/* The rig's operator: bundles, and the commands. */
#include "engine_rig.h"

const struct def fix = {
	.name = "fix",
	.objects = {{"vmlinux", ALL_CALLBACKS}},
	.funcs = {{0, "cmdline_proc_show"}, {0, "do_sys_open"}},
};

const struct def other = {
	.name = "other",
	.objects = {{"vmlinux", 0}},
	.funcs = {{0, "cmdline_proc_show"}},
};

static u32 add_string(char *pool, u32 *used, const char *s)
{
	u32 at = *used;

	strcpy(pool + at, s);
	*used += (u32)strlen(s) + 1;
	return at;
}

u8 *make_bundle(struct rig *rig, const struct def *d, size_t *size)
{
	struct suture_manifest m = {.build_id_len = sizeof(rig->build_id), .nr_cves = 1};
	struct suture_bundle h = {.magic = SUTURE_BUNDLE_MAGIC,
				  .version = SUTURE_BUNDLE_VERSION,
				  .machine = SUTURE_MACHINE_X86_64};
	struct suture_manifest_object objects[RIG_MODULES] = {0};
	struct suture_manifest_func funcs[RIG_FUNCS] = {0};
	struct suture_manifest_state states[RIG_STATES] = {0};
	char pool[2048] = "";
	u32 used = 1, i, j, n = 0, cve;
	u8 *out, *at;

	memcpy(m.build_id, rig->build_id, sizeof(rig->build_id));
	strcpy(m.name, d->name);
	m.flags = d->replace ? SUTURE_MANIFEST_REPLACE : 0;
	m.version = add_string(pool, &used, rig->version ? rig->version : "1.2");
	m.params = add_string(pool, &used, "debug=1");
	cve = add_string(pool, &used, "CVE-2026-1234");
	m.nr_objects = count_objects(d);
	m.nr_funcs = count_funcs(d);
	m.nr_states = count_states(d);
	for (i = 0; i < m.nr_objects; i++) {
		objects[i].name = add_string(pool, &used, d->objects[i].name);
		for (j = 0; j < m.nr_funcs; j++) {
			if (d->funcs[j].object != i)
				continue;
			objects[i].nr_funcs++;
			funcs[n].name = add_string(pool, &used, d->funcs[j].name);
			funcs[n].flags = d->uncalled >> j & 1 ? SUTURE_MANIFEST_UNCALLED : 0;
			funcs[n++].size = 0x70;
		}
	}
	for (i = 0; i < m.nr_states; i++) {
		states[i].id = d->states[i].id;
		states[i].version = d->states[i].version;
		states[i].flags = d->states[i].is_shadow | d->states[i].block_disable << 1;
	}
	m.strings_size = used;
	h.manifest_offset = sizeof(h);
	h.manifest_size =
		(u32)(sizeof(m) + m.nr_objects * sizeof(*objects) + m.nr_funcs * sizeof(*funcs) +
		      m.nr_states * sizeof(*states) + sizeof(cve) + used);
	h.payload_offset = ALIGN_UP(h.manifest_offset + h.manifest_size, 8u);
	h.payload_size = RIG_PAYLOAD - 3;
	h.signature_offset = ALIGN_UP(h.payload_offset + h.payload_size, 8u);
	h.signature_size = sizeof(struct suture_signature);
	h.total_size = h.signature_offset + h.signature_size;

	*size = h.total_size;
	out = rig_alloc(rig, *size);
	memcpy(out, &h, sizeof(h));
	at = out + h.manifest_offset;
	memcpy(at, &m, sizeof(m));
	at += sizeof(m);
	memcpy(at, objects, m.nr_objects * sizeof(*objects));
	at += m.nr_objects * sizeof(*objects);
	memcpy(at, funcs, m.nr_funcs * sizeof(*funcs));
	at += m.nr_funcs * sizeof(*funcs);
	memcpy(at, states, m.nr_states * sizeof(*states));
	at += m.nr_states * sizeof(*states);
	memcpy(at, &cve, sizeof(cve));
	memcpy(at + sizeof(cve), pool, used);
	for (i = 0; i < h.payload_size; i++)
		out[h.payload_offset + i] = (u8)(i * 7);
	return out;
}

int upload(struct rig *rig, const struct def *d)
{
	struct bundle b;
	size_t size;
	u8 *data = make_bundle(rig, d, &size);
	int r;

	rig_add(rig, d);
	rig->why[0] = 0;
	r = bundle_parse(&b, data, size, rig->why, sizeof(rig->why));
	assert_int_equal(r, 0);
	r = engine_upload(rig->e, &b, rig->why, sizeof(rig->why));
	if (r)
		rig_free(rig, data, size);
	return r;
}

int rollback(struct rig *rig, const char *name)
{
	rig->why[0] = 0;
	return engine_rollback(rig->e, name, rig->why, sizeof(rig->why));
}

int cancel(struct rig *rig, const char *name)
{
	rig->why[0] = 0;
	return engine_cancel(rig->e, name, rig->why, sizeof(rig->why));
}

int revert(struct rig *rig, const char *name)
{
	rig->why[0] = 0;
	return engine_revert(rig->e, name, rig->why, sizeof(rig->why));
}

void apply(struct rig *rig, const struct def *d)
{
	assert_int_equal(upload(rig, d), 0);
	settle(rig, 100);
	assert_phase(rig, d->name, PHASE_APPLIED);
}
