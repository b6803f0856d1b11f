/* SPDX-License-Identifier: BSD-2-Clause */
#include "patch/bundle.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/sort.h"
#include "lib/string.h"

#define CVES_MAX    256u
#define TEXT_MAX    65536u
#define SYMBOLS_MAX 65536u
#define STRINGS_MAX (SUTURE_MAX_FUNCS * SUTURE_SYM_LEN + 4 * TEXT_MAX)
#define ALIGNMENT   8u

struct parser {
	struct bundle *b;
	struct suture_bundle header;
	char *why;
	size_t why_size;
};

#define refuse(p, error, ...) (format((p)->why, (p)->why_size, __VA_ARGS__), -(error))

static bool is_zero(const u8 *p, u64 size)
{
	while (size--)
		if (*p++)
			return false;
	return true;
}

/* ---- the parts ---- */

/* The part must begin where the one before it ends; padding for alignment must be zero. */
static int check_part(struct parser *p, const char *name, u64 *at, u32 offset, u32 size)
{
	u64 start = ALIGN_UP(*at, (u64)ALIGNMENT);

	if (offset != start)
		return refuse(p, EBADMSG, "the %s begins at %u, it must at %llu", name, offset,
			      start);
	if (start > p->b->size || size > p->b->size - start)
		return refuse(p, EMSGSIZE, "the %s ends behind the bundle's end: truncated?", name);
	if (!is_zero(p->b->data + *at, start - *at))
		return refuse(p, EBADMSG, "the padding before the %s is not zero", name);
	*at = start + size;
	return 0;
}

static int check_header(struct parser *p)
{
	struct suture_bundle *h = &p->header;
	size_t size = p->b->size;
	u64 at = sizeof(*h);
	int r;

	if (size < sizeof(*h))
		return refuse(p, EMSGSIZE, "%zu bytes are too few for a bundle: truncated?", size);
	if (size > SUTURE_BUNDLE_MAX)
		return refuse(p, EFBIG, "a bundle of %zu bytes; the limit is %u", size,
			      SUTURE_BUNDLE_MAX);
	memcpy(h, p->b->data, sizeof(*h));
	if (h->magic != SUTURE_BUNDLE_MAGIC)
		return refuse(p, EBADMSG, "not a bundle (magic): `suture build` makes them");
	if (h->version != SUTURE_BUNDLE_VERSION)
		return refuse(p, EPROTO,
			      "bundle version %u, this monitor knows %u: build it with "
			      "the `suture` that came with the monitor",
			      h->version, SUTURE_BUNDLE_VERSION);
	p->b->machine = h->machine;
	if (!*bundle_machine_name(h->machine))
		return refuse(p, EBADMSG, "for an unknown architecture, ELF machine %u",
			      h->machine);
	if (h->total_size != size)
		return refuse(p, EMSGSIZE, "the bundle says that it has %u bytes, %zu came",
			      h->total_size, size);
	if (!is_zero(h->reserved, sizeof(h->reserved)))
		return refuse(p, EBADMSG, "reserved bytes of the header are not zero");
	r = check_part(p, "manifest", &at, h->manifest_offset, h->manifest_size);
	if (!r)
		r = check_part(p, "payload", &at, h->payload_offset, h->payload_size);
	if (!r)
		r = check_part(p, "signature", &at, h->signature_offset, h->signature_size);
	if (r)
		return r;
	if (!h->payload_size)
		return refuse(p, EBADMSG, "the payload is empty");
	if (h->signature_size != sizeof(struct suture_signature))
		return refuse(p, EBADMSG, "a signature of %u bytes, it must have %zu",
			      h->signature_size, sizeof(struct suture_signature));
	if (at != size)
		return refuse(p, EMSGSIZE, "%llu bytes behind the signature", size - at);
	return 0;
}

static int check_signature(struct parser *p)
{
	struct suture_signature s;

	memcpy(&s, p->b->data + p->header.signature_offset, sizeof(s));
	if (s.kind != SUTURE_SIG_NONE && s.kind != SUTURE_SIG_ECDSA_P256)
		return refuse(p, EBADMSG, "signature of unknown kind %u", s.kind);
	return 0;
}

/* ---- the manifest ---- */

bool bundle_is_name(const char *s, size_t size)
{
	const char *end = memchr(s, 0, size);

	if (!end || end == s)
		return false;
	for (; *s; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && *s != '_')
			return false;
	return true;
}

static int check_manifest(struct parser *p)
{
	struct suture_manifest *m = &p->b->manifest;
	const u8 *at = p->b->data + p->header.manifest_offset;
	u64 size;

	if (p->header.manifest_size < sizeof(*m))
		return refuse(p, EBADMSG, "a manifest of %u bytes is too short",
			      p->header.manifest_size);
	memcpy(m, at, sizeof(*m));
	if (m->flags & ~SUTURE_MANIFEST_REPLACE || m->reserved)
		return refuse(p, EBADMSG, "unknown flags in the manifest");
	if (!m->build_id_len || m->build_id_len > sizeof(m->build_id) ||
	    !is_zero(m->build_id + m->build_id_len, sizeof(m->build_id) - m->build_id_len))
		return refuse(p, EBADMSG, "a build-id of %u bytes", m->build_id_len);
	if (!bundle_is_name(m->name, sizeof(m->name)))
		return refuse(p, EINVAL,
			      "the patch's name must be of a-z, 0-9 and _, and shorter "
			      "than %u",
			      SUTURE_NAME_LEN);
	if (!m->nr_objects || m->nr_objects > SUTURE_MAX_OBJECTS ||
	    m->nr_funcs > SUTURE_MAX_FUNCS || m->nr_states > SUTURE_MAX_STATES ||
	    m->nr_cves > CVES_MAX || m->nr_symbols > SYMBOLS_MAX)
		return refuse(p, EINVAL,
			      "%u objects, %u functions, %u states, %u CVEs, %u symbols: at least "
			      "one object, at most %u, %u, %u, %u, %u",
			      m->nr_objects, m->nr_funcs, m->nr_states, m->nr_cves, m->nr_symbols,
			      SUTURE_MAX_OBJECTS, SUTURE_MAX_FUNCS, SUTURE_MAX_STATES, CVES_MAX,
			      SYMBOLS_MAX);
	if (!m->strings_size || m->strings_size > STRINGS_MAX)
		return refuse(p, EBADMSG, "a string pool of %u bytes", m->strings_size);

	/* counts are limited by now: no sum overflows */
	p->b->objects = at + sizeof(*m);
	p->b->funcs = p->b->objects + m->nr_objects * sizeof(struct suture_manifest_object);
	p->b->states = p->b->funcs + m->nr_funcs * sizeof(struct suture_manifest_func);
	p->b->symbols = p->b->states + m->nr_states * sizeof(struct suture_manifest_state);
	p->b->cves = p->b->symbols + m->nr_symbols * sizeof(struct suture_manifest_symbol);
	p->b->strings = (const char *)(p->b->cves + m->nr_cves * sizeof(su32));
	size = (u64)((const u8 *)p->b->strings - at) + m->strings_size;
	if (size != p->header.manifest_size)
		return refuse(p, EBADMSG, "the manifest's tables take %llu bytes of its %u", size,
			      p->header.manifest_size);
	if (p->b->strings[0] || p->b->strings[m->strings_size - 1])
		return refuse(p, EBADMSG, "the string pool does not begin and end with zero");
	return 0;
}

/* The purpose of a string decides its largest length, and whether it may be empty. */
static int check_string(struct parser *p, const char *what, u32 offset, size_t max, bool empty)
{
	const char *s;
	size_t i, len;

	if (offset >= p->b->manifest.strings_size)
		return refuse(p, EBADMSG, "the %s's text at %u is behind the string pool's end",
			      what, offset);
	s = p->b->strings + offset;
	len = strlen(s);
	if (len >= max || (!len && !empty))
		return refuse(p, EINVAL, "a %s of %zu characters, it may have up to %zu%s", what,
			      len, max - 1, empty ? "" : " and not none");
	for (i = 0; i < len; i++)
		if ((u8)s[i] < ' ' || s[i] == 0x7f)
			return refuse(p, EINVAL, "a control character in a %s", what);
	return 0;
}

static int check_texts(struct parser *p)
{
	const struct suture_manifest *m = &p->b->manifest;
	int r = check_string(p, "version", m->version, TEXT_MAX, true);
	u32 i, offset;

	if (!r)
		r = check_string(p, "description", m->description, TEXT_MAX, true);
	if (!r)
		r = check_string(p, "parameter line", m->params, SUTURE_TEXT_LEN, true);
	for (i = 0; !r && i < m->nr_cves; i++) {
		memcpy(&offset, p->b->cves + i * sizeof(offset), sizeof(offset));
		r = check_string(p, "CVE", offset, SUTURE_CVE_LEN, false);
	}
	return r;
}

static int by_name(const void *a, const void *b, const void *bundle)
{
	struct suture_manifest_func f = bundle_func(bundle, *(const u32 *)a);
	struct suture_manifest_func g = bundle_func(bundle, *(const u32 *)b);
	int order = strcmp(bundle_string(bundle, f.name), bundle_string(bundle, g.name));

	if (order)
		return order;
	return f.sympos < g.sympos ? -1 : f.sympos > g.sympos;
}

static int check_twice(struct parser *p, u32 first, u32 count)
{
	static u32 order[SUTURE_MAX_FUNCS]; /* one bundle is parsed at a time */

	for (u32 i = 0; i < count; i++)
		order[i] = first + i;
	heap_sort(order, count, sizeof(*order), by_name, p->b);
	for (u32 i = 1; i < count; i++)
		if (!by_name(&order[i - 1], &order[i], p->b))
			return refuse(p, EINVAL, "function '%s' is there twice",
				      bundle_string(p->b, bundle_func(p->b, order[i]).name));
	return 0;
}

static int check_funcs(struct parser *p, u32 first, u32 count)
{
	for (u32 i = first; i < first + count; i++) {
		struct suture_manifest_func f = bundle_func(p->b, i);
		int r = check_string(p, "function name", f.name, SUTURE_SYM_LEN, false);

		if (r)
			return r;
		if (f.flags & ~SUTURE_MANIFEST_UNCALLED)
			return refuse(p, EBADMSG, "unknown flags of function '%s'",
				      bundle_string(p->b, f.name));
	}
	return check_twice(p, first, count);
}

static int check_objects(struct parser *p)
{
	const struct suture_manifest *m = &p->b->manifest;
	struct suture_manifest_object o, other;
	u32 i, j, funcs = 0;
	int r;

	for (i = 0; i < m->nr_objects; i++) {
		o = bundle_object(p->b, i);
		r = check_string(p, "object name", o.name, SUTURE_NAME_LEN, false);
		if (r)
			return r;
		for (j = 0; j < i; j++) {
			other = bundle_object(p->b, j);
			if (!strcmp(bundle_string(p->b, other.name), bundle_string(p->b, o.name)))
				return refuse(p, EINVAL, "object '%s' is there twice",
					      bundle_string(p->b, o.name));
		}
		if (o.nr_funcs > m->nr_funcs - funcs)
			return refuse(p, EBADMSG, "object '%s' has more functions than are left",
				      bundle_string(p->b, o.name));
		r = check_funcs(p, funcs, o.nr_funcs);
		if (r)
			return r;
		funcs += o.nr_funcs;
	}
	if (funcs != m->nr_funcs)
		return refuse(p, EBADMSG, "%u functions belong to no object", m->nr_funcs - funcs);
	return 0;
}

static int check_symbols(struct parser *p)
{
	struct suture_manifest_symbol s, before = {0};

	for (u32 i = 0; i < p->b->manifest.nr_symbols; i++, before = s) {
		s = bundle_symbol(p->b, i);
		if (s.reserved || s.index <= before.index)
			return refuse(p, EBADMSG, "symbol %u is out of order", i);
	}
	return 0;
}

static int check_states(struct parser *p)
{
	struct suture_manifest_state s;
	u32 i, j;

	for (i = 0; i < p->b->manifest.nr_states; i++) {
		s = bundle_state(p->b, i);
		if (!s.id || s.flags & ~3u)
			return refuse(p, EINVAL, "state %u has no id, or unknown flags", i);
		for (j = 0; j < i; j++)
			if (bundle_state(p->b, j).id == s.id)
				return refuse(p, EINVAL, "state %llu is there twice", s.id);
	}
	return 0;
}

int bundle_parse(struct bundle *b, const void *data, size_t size, char *why, size_t why_size)
{
	struct parser p = {.b = b, .why = why, .why_size = why_size};
	int r;

	*b = (struct bundle){.data = data, .size = size};
	r = check_header(&p);
	if (!r)
		r = check_signature(&p);
	if (!r)
		r = check_manifest(&p);
	if (!r)
		r = check_texts(&p);
	if (!r)
		r = check_objects(&p);
	if (!r)
		r = check_states(&p);
	if (!r)
		r = check_symbols(&p);
	if (r)
		return r;
	b->payload = b->data + p.header.payload_offset;
	b->payload_size = p.header.payload_size;
	b->signature = (const void *)(b->data + p.header.signature_offset);
	b->signed_size = p.header.signature_offset;
	return 0;
}

/* ---- reading it ---- */

const char *bundle_machine_name(u32 machine)
{
	switch (machine) {
	case SUTURE_MACHINE_X86_64:
		return "x86-64";
	case SUTURE_MACHINE_ARM64:
		return "arm64";
	}
	return "";
}

struct suture_manifest_object bundle_object(const struct bundle *b, u32 i)
{
	struct suture_manifest_object o;

	memcpy(&o, b->objects + i * sizeof(o), sizeof(o));
	return o;
}

struct suture_manifest_func bundle_func(const struct bundle *b, u32 i)
{
	struct suture_manifest_func f;

	memcpy(&f, b->funcs + i * sizeof(f), sizeof(f));
	return f;
}

struct suture_manifest_state bundle_state(const struct bundle *b, u32 i)
{
	struct suture_manifest_state s;

	memcpy(&s, b->states + i * sizeof(s), sizeof(s));
	return s;
}

struct suture_manifest_symbol bundle_symbol(const struct bundle *b, u32 i)
{
	struct suture_manifest_symbol s;

	memcpy(&s, b->symbols + i * sizeof(s), sizeof(s));
	return s;
}

const char *bundle_string(const struct bundle *b, u32 offset)
{
	return b->strings + offset;
}

const char *bundle_cve(const struct bundle *b, u32 i)
{
	u32 offset;

	memcpy(&offset, b->cves + i * sizeof(offset), sizeof(offset));
	return bundle_string(b, offset);
}

void bundle_hash(struct bundle *b)
{
	sha256(b->data, b->size, b->digest);
}
