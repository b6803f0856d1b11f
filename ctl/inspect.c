/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/errno.h"
#include "patch/bundle.h"

static void hex(const unsigned char *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", p[i]);
	out[2 * n] = 0;
}

static json_t *describe(const struct bundle *b)
{
	const struct suture_manifest *m = &b->manifest;
	json_t *objects = json_array(), *states = json_array(), *cves = json_array();
	char id[65], key[2 * sizeof(b->signature->key_id) + 1];
	unsigned f = 0;

	hex(m->build_id, m->build_id_len, id);
	for (unsigned o = 0; o < m->nr_objects; o++) {
		struct suture_manifest_object mo = bundle_object(b, o);
		json_t *funcs = json_array();

		for (unsigned end = f + mo.nr_funcs; f < end; f++) {
			struct suture_manifest_func mf = bundle_func(b, f);

			json_array_append_new(funcs,
					      json_pack("{s:s, s:i, s:i}", "name",
							bundle_string(b, mf.name), "sympos",
							(int)mf.sympos, "size", (int)mf.size));
		}
		json_array_append_new(objects,
				      json_pack("{s:s, s:o}", "name", bundle_string(b, mo.name),
						"functions", funcs));
	}
	for (unsigned i = 0; i < m->nr_states; i++) {
		struct suture_manifest_state s = bundle_state(b, i);

		json_array_append_new(states, json_pack("{s:I, s:i, s:b, s:b}", "id",
							(json_int_t)s.id, "version", (int)s.version,
							"is_shadow", (int)(s.flags & 1),
							"block_disable", (int)(s.flags & 2)));
	}
	for (unsigned i = 0; i < m->nr_cves; i++)
		json_array_append_new(cves, json_string(bundle_cve(b, i)));
	hex(b->signature->key_id, sizeof(b->signature->key_id), key);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:I, s:i, s:i, s:o, s:o, "
			 "s:o}",
			 "name", m->name, "version", bundle_string(b, m->version), "description",
			 bundle_string(b, m->description), "params", bundle_string(b, m->params),
			 "architecture", bundle_machine_name(b->machine), "build_id", id, "replace",
			 (int)(m->flags & SUTURE_MANIFEST_REPLACE), "signature",
			 b->signature->kind == SUTURE_SIG_NONE ? "none" : "ecdsa-p256", "key",
			 b->signature->kind == SUTURE_SIG_NONE ? "" : key, "expires",
			 (json_int_t)m->expires, "size", (int)b->size, "payload_size",
			 (int)b->payload_size, "objects", objects, "states", states, "cves", cves);
}

static void print_text(const json_t *d)
{
	json_t *o, *f;
	size_t i, j;

	printf("name        %s\nversion     %s\ndescription %s\nbuild-id    %s, %s\nreplace     "
	       "%s\n",
	       jstr(d, "name"), jstr(d, "version"), jstr(d, "description"), jstr(d, "build_id"),
	       jstr(d, "architecture"), jbool(d, "replace") ? "yes" : "no");
	printf("params      %s\nsignature   %s %s\nsize        %lld bytes, payload %lld\n",
	       jstr(d, "params"), jstr(d, "signature"), jstr(d, "key"), jint(d, "size"),
	       jint(d, "payload_size"));
	json_array_foreach(json_object_get(d, "objects"), i, o)
	{
		printf("object      %s\n", jstr(o, "name"));
		json_array_foreach(json_object_get(o, "functions"), j, f)
		{
			printf("  function  %s", jstr(f, "name"));
			if (jint(f, "sympos"))
				printf(" (number %lld of that name)", jint(f, "sympos"));
			putchar('\n');
		}
	}
	json_array_foreach(json_object_get(d, "states"), i, o)
		printf("state       %lld, version %lld%s%s\n", jint(o, "id"), jint(o, "version"),
		       jbool(o, "is_shadow") ? ", shadow" : "",
		       jbool(o, "block_disable") ? ", blocks disabling" : "");
	json_array_foreach(json_object_get(d, "cves"), i, o)
		printf("cve         %s\n", json_string_value(o));
}

void *read_bundle(const char *path, struct bundle *b)
{
	char why[192];
	size_t size;
	void *data = read_file(path, SUTURE_BUNDLE_MAX, &size);
	int err = data ? bundle_parse(b, data, size, why, sizeof(why)) : 0;

	if (!err)
		return data;
	fail(EX_BAD_USAGE, "%s: not a good bundle: %s (%s)", path, why, errno_name(err));
	free(data);
	return NULL;
}

int cmd_inspect(const struct options *o, char **args)
{
	struct bundle b;
	json_t *d;
	void *data = read_bundle(args[0], &b);
	int r = EX_DONE;

	if (!data)
		return EX_BAD_USAGE;
	d = describe(&b);
	if (!d) {
		r = fail(EX_FAILED, "%s: its strings are not UTF-8", args[0]);
	} else if (o->json) {
		print_value(o, d);
	} else {
		escape_json(d);
		print_text(d);
	}
	json_decref(d);
	free(data);
	return r;
}
