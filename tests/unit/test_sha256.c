/* SPDX-License-Identifier: BSD-2-Clause */
/* The examples of FIPS 180-4, and lengths around a block's end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format.h"
#include "lib/sha256.h"

static void assert_digest(const char *text, size_t size, const char *expected)
{
	char hex[2 * SHA256_SIZE + 1];
	u8 digest[SHA256_SIZE];

	sha256(text, size, digest);
	for (u32 i = 0; i < SHA256_SIZE; i++)
		format(hex + 2 * i, sizeof(hex) - 2 * i, "%02x", digest[i]);
	assert_string_equal(hex, expected);
}

static void knows_the_examples(void **state)
{
	(void)state;
	assert_digest("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_digest("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void knows_a_million(void **state)
{
	char *text = malloc(1000000);

	(void)state;
	memset(text, 'a', 1000000);
	assert_digest(text, 1000000,
		      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	assert_digest(text, 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
	assert_digest(text, 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_examples),
		cmocka_unit_test(knows_a_million),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
