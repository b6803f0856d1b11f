/* SPDX-License-Identifier: BSD-2-Clause */
#include "pack.h"
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/errno.h"
#include "patch/bundle.h"

/* A growing buffer; `bad` after an allocation has failed. */
struct buffer {
	char *data;
	size_t size;
	bool bad;
};

static void put(struct buffer *b, const void *p, size_t n)
{
	char *more = b->bad ? NULL : realloc(b->data, b->size + n + 1);

	if (!more) {
		b->bad = true;
		return;
	}
	b->data = more;
	if (n)
		memcpy(b->data + b->size, p, n);
	b->size += n;
}

static void align(struct buffer *b)
{
	static const char zeros[8];

	put(b, zeros, (8 - b->size % 8) % 8);
}

/* Offset of a string that is put into the pool; the empty string, and NULL, are at 0. */
static su32 intern(struct buffer *pool, const char *s)
{
	su32 offset = (su32)pool->size;

	if (!s || !*s)
		return 0;
	put(pool, s, strlen(s) + 1);
	return offset;
}

/* The manifest with its tables and strings, appended to out. */
static void put_manifest(struct buffer *out, const struct pack_input *in)
{
	const struct payload_info *info = in->info;
	struct suture_manifest m = {
		.flags = info->replace ? SUTURE_MANIFEST_REPLACE : 0,
		.build_id_len = in->build_id_len,
		.nr_objects = info->nr_objects,
		.nr_funcs = info->nr_funcs,
		.nr_states = info->nr_states,
		.nr_cves = in->cves->count,
		.nr_symbols = info->nr_symbols,
	};
	struct buffer pool = {0}, tables = {0};

	memcpy(m.build_id, in->build_id, in->build_id_len);
	memcpy(m.name, info->name, sizeof(m.name));
	put(&pool, "", 1);
	m.version = intern(&pool, in->version);
	m.description = intern(&pool, in->description);
	m.params = intern(&pool, in->params);
	for (unsigned i = 0; i < info->nr_objects; i++) {
		struct suture_manifest_object o = {.name = intern(&pool, info->objects[i])};

		for (unsigned f = 0; f < info->nr_funcs; f++)
			o.nr_funcs += info->funcs[f].object == i;
		put(&tables, &o, sizeof(o));
	}
	for (unsigned i = 0; i < info->nr_funcs; i++) {
		struct suture_manifest_func f = {
			.name = intern(&pool, info->funcs[i].name),
			.sympos = (su32)info->funcs[i].sympos,
			.flags = info->funcs[i].uncalled ? SUTURE_MANIFEST_UNCALLED : 0,
			.new_section = info->funcs[i].new_section,
			.new_offset = info->funcs[i].new_offset,
			.old_offset = info->funcs[i].old_offset};

		put(&tables, &f, sizeof(f));
	}
	put(&tables, info->states, info->nr_states * sizeof(info->states[0]));
	put(&tables, info->symbols, info->nr_symbols * sizeof(info->symbols[0]));
	for (unsigned i = 0; i < in->cves->count; i++) {
		su32 name = intern(&pool, in->cves->ids[i]);

		put(&tables, &name, sizeof(name));
	}
	m.strings_size = (su32)pool.size;

	put(out, &m, sizeof(m));
	put(out, tables.data, tables.size);
	put(out, pool.data, pool.size);
	out->bad |= pool.bad || tables.bad;
	free(pool.data);
	free(tables.data);
}

int pack_write(const char *path, const struct pack_input *in)
{
	struct suture_bundle h = {.magic = SUTURE_BUNDLE_MAGIC,
				  .version = SUTURE_BUNDLE_VERSION,
				  .machine = in->machine};
	struct suture_signature s = {.kind = SUTURE_SIG_NONE};
	struct buffer b = {0};
	struct bundle check;
	char why[192];
	int r;

	put(&b, &h, sizeof(h));
	h.manifest_offset = (su32)b.size;
	put_manifest(&b, in);
	h.manifest_size = (su32)b.size - h.manifest_offset;
	align(&b);
	h.payload_offset = (su32)b.size;
	h.payload_size = (su32)in->payload_size;
	put(&b, in->payload, in->payload_size);
	align(&b);
	h.signature_offset = (su32)b.size;
	h.signature_size = sizeof(s);
	put(&b, &s, sizeof(s));
	h.total_size = (su32)b.size;
	if (b.bad) {
		r = fail(EX_FAILED, "no memory for the bundle");
		goto out;
	}
	memcpy(b.data, &h, sizeof(h));
	/* The monitor's own check: a bundle that it would refuse is not written. */
	r = bundle_parse(&check, b.data, b.size, why, sizeof(why));
	r = r ? fail(EX_BAD_USAGE, "%s: %s (%s)", path, why, errno_name(r))
	      : save_file(path, b.data, b.size, false);
out:
	free(b.data);
	return r;
}
