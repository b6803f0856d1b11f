/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser of bundles: valid ones are read correctly, invalid ones are refused, and nothing is
 * read out of bounds.
 */
#include "engine_rig.h"

static const struct def full = {
	.name = "full_fix",
	.replace = true,
	.objects = {{"vmlinux", 0}, {"ext4", 0}},
	.funcs = {{0, "cmdline_proc_show"}, {0, "do_sys_open"}, {1, "ext4_map_blocks"}},
	.states = {{.id = 7, .version = 2}, {.id = 9, .is_shadow = 1, .block_disable = 1}},
};

static struct rig rig;
static u8 *data;
static size_t size;
static char why[192];

static int setup(void **state)
{
	(void)state;
	rig = (struct rig){.build_id = {0xab, 0xcd}};
	data = make_bundle(&rig, &full, &size);
	why[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(data);
	return 0;
}

/* Parse from memory of exactly this size, so that the sanitizer reports any access beyond it. */
static int parse(const u8 *from, size_t n, struct bundle *b)
{
	u8 *exact = malloc(n ? n : 1);
	int r;

	memcpy(exact, from, n);
	r = bundle_parse(b, exact, n, why, sizeof(why));
	free(exact);
	return r;
}

static int try(void)
{
	struct bundle b;

	return parse(data, size, &b);
}

static struct suture_bundle *header(void)
{
	return (struct suture_bundle *)data;
}

static struct suture_manifest *manifest(void)
{
	return (struct suture_manifest *)(data + sizeof(struct suture_bundle));
}

static void *table(size_t offset)
{
	return (u8 *)(manifest() + 1) + offset;
}

static struct suture_manifest_object *object(u32 i)
{
	return (struct suture_manifest_object *)table(0) + i;
}

static struct suture_manifest_func *func(u32 i)
{
	return (struct suture_manifest_func *)table(2 * sizeof(*object(0))) + i;
}

static struct suture_manifest_state *state_(u32 i)
{
	return (struct suture_manifest_state *)table(2 * sizeof(*object(0)) +
						     3 * sizeof(*func(0))) +
	       i;
}

static char *strings(void)
{
	return (char *)(state_(2)) + sizeof(u32);
}

static void test_good(void **state)
{
	struct bundle b;
	u32 i;

	(void)state;
	assert_int_equal(bundle_parse(&b, data, size, why, sizeof(why)), 0);
	assert_string_equal(b.manifest.name, "full_fix");
	assert_string_equal(bundle_string(&b, b.manifest.version), "1.2");
	assert_string_equal(bundle_string(&b, b.manifest.description), "");
	assert_string_equal(bundle_string(&b, b.manifest.params), "debug=1");
	assert_string_equal(bundle_string(&b, bundle_object(&b, 0).name), "vmlinux");
	assert_string_equal(bundle_string(&b, bundle_object(&b, 1).name), "ext4");
	assert_int_equal(bundle_object(&b, 0).nr_funcs, 2);
	assert_string_equal(bundle_string(&b, bundle_func(&b, 2).name), "ext4_map_blocks");
	assert_int_equal(bundle_func(&b, 1).size, 0x70);
	assert_int_equal(bundle_state(&b, 0).version, 2);
	assert_int_equal(bundle_state(&b, 1).flags, 3);
	assert_string_equal(bundle_cve(&b, 0), "CVE-2026-1234");
	assert_int_equal(b.payload_size, RIG_PAYLOAD - 3);
	for (i = 0; i < b.payload_size; i++)
		assert_int_equal(b.payload[i], (u8)(i * 7));
	assert_int_equal(b.signature->kind, SUTURE_SIG_NONE);
}

static void test_every_length(void **state)
{
	struct bundle b;
	size_t n;
	int r;

	(void)state;
	for (n = 0; n < size; n++) {
		r = parse(data, n, &b);
		assert_int_equal(r, -EMSGSIZE);
		assert_int_not_equal(why[0], 0);
	}
	/* a header that agrees with the length does not help */
	for (n = sizeof(struct suture_bundle); n < size; n++) {
		header()->total_size = (u32)n;
		assert_int_not_equal(parse(data, n, &b), 0);
	}
	header()->total_size = (u32)size;
	data = realloc(data, size + 1);
	data[size] = 0;
	assert_int_equal(parse(data, size + 1, &b), -EMSGSIZE);
	assert_text(why, "came");
}

/* All that a parsed bundle refers to is within it. */
static void read_all(const struct bundle *b)
{
	volatile size_t sum = 0;
	u32 i;

	for (i = 0; i < b->manifest.nr_objects; i++)
		sum += strlen(bundle_string(b, bundle_object(b, i).name));
	for (i = 0; i < b->manifest.nr_funcs; i++)
		sum += strlen(bundle_string(b, bundle_func(b, i).name));
	for (i = 0; i < b->manifest.nr_states; i++)
		sum += bundle_state(b, i).id;
	for (i = 0; i < b->manifest.nr_cves; i++)
		sum += strlen(bundle_cve(b, i));
	sum += strlen(bundle_string(b, b->manifest.version));
	sum += strlen(bundle_string(b, b->manifest.description));
	sum += strlen(bundle_string(b, b->manifest.params));
	for (i = 0; i < b->payload_size; i++)
		sum += b->payload[i];
	sum += b->signature->bytes[63];
}

/*
 * Set each byte to each of some values; most bundles are refused, and none causes an access out of
 * bounds.
 */
static void test_every_byte(void **state)
{
	static const u8 values[] = {0x00, 0x01, 0x07, 0x7f, 0x80, 0xff};
	u8 *exact = malloc(size);
	u32 refused = 0, tried = 0;
	struct bundle b;
	size_t at, i;

	(void)state;
	memcpy(exact, data, size);
	for (at = 0; at < size; at++) {
		if (at == header()->payload_offset + 8)
			at = header()->signature_offset - 8; /* the payload's bytes are free */
		for (i = 0; i < ARRAY_SIZE(values) + 8; i++) {
			exact[at] = i < ARRAY_SIZE(values)
					    ? values[i]
					    : data[at] ^ (u8)(1u << (i - ARRAY_SIZE(values)));
			tried++;
			if (bundle_parse(&b, exact, size, why, sizeof(why)))
				refused++;
			else
				read_all(&b);
		}
		exact[at] = data[at];
	}
	free(exact);
	assert_true(refused > tried / 3);
}

/* Change several random bytes at once. */
static void test_random(void **state)
{
	u8 *exact = malloc(size);
	size_t limit = header()->payload_offset;
	u32 seed = 1, round, i;
	struct bundle b;

	(void)state;
	for (round = 0; round < 200000; round++) {
		memcpy(exact, data, limit);
		memcpy(exact + header()->signature_offset, data + header()->signature_offset, 72);
		for (i = 0; i <= round % 4; i++) {
			seed = seed * 1664525 + 1013904223;
			exact[(seed >> 8) % limit] = (u8)(seed >> 3);
		}
		if (round % 2) /* most of the interest is behind the first checks */
			memcpy(exact, data, sizeof(struct suture_bundle));
		memcpy(exact + limit, data + limit, 8);
		if (!bundle_parse(&b, exact, size, why, sizeof(why)))
			read_all(&b);
	}
	free(exact);
}

#define REFUSED(change, error, text)                                                               \
	do {                                                                                       \
		u8 *good = malloc(size);                                                           \
		memcpy(good, data, size);                                                          \
		change;                                                                            \
		assert_int_equal(try(), -(error));                                                 \
		assert_text(why, text);                                                            \
		memcpy(data, good, size);                                                          \
		free(good);                                                                        \
		assert_int_equal(try(), 0);                                                        \
	} while (0)

static void test_header(void **state)
{
	(void)state;
	REFUSED(header()->magic++, EBADMSG, "not a bundle");
	REFUSED(header()->version = 1, EPROTO, "bundle version 1");
	REFUSED(header()->machine = 0, EBADMSG, "unknown architecture, ELF machine 0");
	REFUSED(header()->machine = 40, EBADMSG, "unknown architecture, ELF machine 40");
	REFUSED(header()->total_size--, EMSGSIZE, "came");
	REFUSED(header()->reserved[19] = 1, EBADMSG, "reserved");
	REFUSED(header()->manifest_offset += 8, EBADMSG, "manifest begins");
	REFUSED(header()->manifest_size = 0xffffffff, EMSGSIZE, "manifest ends behind");
	REFUSED(header()->manifest_size += 8, EBADMSG, "payload begins");
	REFUSED(header()->payload_size = 0xfffffff8, EMSGSIZE, "payload ends behind");
	REFUSED(header()->payload_size = 0, EBADMSG, "signature begins");
	REFUSED(header()->signature_size = 64, EBADMSG, "signature of 64 bytes");
	REFUSED(header()->signature_offset = 0xfffffff8, EBADMSG, "signature begins");
	REFUSED(data[header()->signature_offset - 1] = 1, EBADMSG, "padding before the signature");
	REFUSED(data[header()->signature_offset] = 2, EBADMSG, "unknown kind 2");
}

static void test_too_large(void **state)
{
	struct bundle b;
	u8 *big = calloc(1, SUTURE_BUNDLE_MAX + 1);

	(void)state;
	assert_int_equal(bundle_parse(&b, big, SUTURE_BUNDLE_MAX + 1, why, sizeof(why)), -EFBIG);
	free(big);
}

static void test_manifest(void **state)
{
	(void)state;
	REFUSED(manifest()->flags = 2, EBADMSG, "unknown flags");
	REFUSED(manifest()->build_id_len = 0, EBADMSG, "build-id of 0");
	REFUSED(manifest()->build_id_len = 33, EBADMSG, "build-id of 33");
	REFUSED(manifest()->build_id[31] = 1, EBADMSG, "build-id of 20");
	REFUSED(manifest()->name[0] = 0, EINVAL, "name must be");
	REFUSED(manifest()->name[0] = '-', EINVAL, "name must be");
	REFUSED(manifest()->name[2] = '/', EINVAL, "name must be");
	REFUSED(memset(manifest()->name, 'a', SUTURE_NAME_LEN), EINVAL, "name must be");
	REFUSED(manifest()->nr_objects = 0, EINVAL, "0 objects");
	REFUSED(manifest()->nr_objects = 65, EINVAL, "65 objects");
	REFUSED(manifest()->nr_funcs = 0xffffffff, EINVAL, "4294967295 functions");
	REFUSED(manifest()->nr_states = 65, EINVAL, "65 states");
	REFUSED(manifest()->nr_cves = 257, EINVAL, "257 CVEs");
	REFUSED(manifest()->nr_funcs++, EBADMSG, "tables take");
	REFUSED(manifest()->strings_size = 0, EBADMSG, "string pool of 0");
	REFUSED(manifest()->strings_size--, EBADMSG, "tables take");
	REFUSED(strings()[0] = 'x', EBADMSG, "does not begin and end");
	REFUSED(strings()[manifest()->strings_size - 1] = 'x', EBADMSG, "does not begin and end");
}

static void test_tables(void **state)
{
	(void)state;
	REFUSED(manifest()->version = manifest()->strings_size, EBADMSG, "version's text");
	REFUSED(manifest()->description = 0xffffffff, EBADMSG, "description's text");
	REFUSED(manifest()->params = 1u << 20, EBADMSG, "parameter line's text");
	REFUSED(object(1)->name = 0, EINVAL, "object name of 0 characters");
	REFUSED(object(1)->name = 0xffffffff, EBADMSG, "object name's text");
	REFUSED(object(1)->name = object(0)->name, EINVAL, "object 'vmlinux' is there twice");
	REFUSED(object(1)->nr_funcs = 0xffffffff, EBADMSG, "more functions than are left");
	REFUSED(object(1)->nr_funcs = 0, EBADMSG, "belong to no object");
	REFUSED(func(0)->name = 0, EINVAL, "function name of 0");
	REFUSED(func(0)->flags = 2, EBADMSG, "unknown flags of function");
	REFUSED(func(1)->name = func(0)->name, EINVAL, "'cmdline_proc_show' is there twice");
	REFUSED(state_(0)->id = 0, EINVAL, "no id");
	REFUSED(state_(0)->flags = 4, EINVAL, "unknown flags");
	REFUSED(state_(1)->id = 7, EINVAL, "state 7 is there twice");
	REFUSED(strings()[object(1)->name] = '\n', EINVAL, "control character");
	/* the same name at another position is another function */
	func(1)->name = func(0)->name;
	func(1)->sympos = 2;
	assert_int_equal(try(), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_good),	T(test_every_length), T(test_every_byte), T(test_random),
		T(test_header), T(test_too_large),    T(test_manifest),	  T(test_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
