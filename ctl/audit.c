/* SPDX-License-Identifier: BSD-2-Clause */
/* suture audit: who changed what, with a proof that no record is missing. */
#include "ctl.h"

#include <string.h>

#include "lib/sha256.h"

#define CHAIN_CHARS (2 * SHA256_SIZE)

static void to_hex(const unsigned char *bytes, char text[CHAIN_CHARS + 1])
{
	for (size_t i = 0; i < SHA256_SIZE; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
}

/* False: it is not a chain. */
static bool from_hex(const char *text, unsigned char *bytes)
{
	unsigned byte;

	if (strlen(text) != CHAIN_CHARS)
		return false;
	for (size_t i = 0; i < SHA256_SIZE; i++) {
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		bytes[i] = (unsigned char)byte;
	}
	return true;
}

/* Does the record follow the one with that chain? */
static bool follows(const char *before, const json_t *record)
{
	unsigned char linked[SHA256_SIZE + 1024], chain[SHA256_SIZE];
	char expected[CHAIN_CHARS + 1];
	size_t len = strlen(jstr(record, "text"));

	if (len > sizeof(linked) - SHA256_SIZE || !from_hex(before, linked))
		return false;
	memcpy(linked + SHA256_SIZE, jstr(record, "text"), len);
	sha256(linked, SHA256_SIZE + len, chain);
	to_hex(chain, expected);
	return !strcmp(expected, jstr(record, "chain"));
}

/* Each record follows the one before it, and the head is the last one's. The first one that is kept
 * can be judged if it is the first of all. */
static int verify_chain(const json_t *answer)
{
	const json_t *records = json_object_get(answer, "records");
	char zeros[CHAIN_CHARS + 1];
	const char *before = NULL;
	long long next = 1;
	json_t *record;
	size_t i;

	memset(zeros, '0', CHAIN_CHARS);
	zeros[CHAIN_CHARS] = 0;
	json_array_foreach(records, i, record)
	{
		if (!i)
			next = jint(record, "seq");
		if (!i && next == 1)
			before = zeros;
		if (jint(record, "seq") != next++ || (before && !follows(before, record)))
			return fail(EX_FAILED,
				    "record %lld does not follow the one before it: the log was "
				    "changed",
				    jint(record, "seq"));
		before = jstr(record, "chain");
	}
	if (before && strcmp(before, jstr(answer, "chain")) != 0)
		return fail(EX_FAILED, "the last record is not the head: the log was cut");
	return EX_DONE;
}

int cmd_audit(const struct options *o, char **args)
{
	json_t *answer = NULL, *record;
	size_t i;
	int r = api_request(o, "GET", "/v1/audit", NULL, 0, &answer);

	(void)args;
	if (r)
		return r;
	r = verify_chain(answer);
	if (o->json) {
		print_value(o, answer);
	} else {
		json_array_foreach(json_object_get(answer, "records"), i, record)
			printf("%s\n", jstr(record, "text"));
		printf("head %lld %s\n", jint(answer, "seq"), jstr(answer, "chain"));
	}
	json_decref(answer);
	return r;
}
