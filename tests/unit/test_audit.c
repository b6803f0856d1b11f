/* SPDX-License-Identifier: BSD-2-Clause */
/* The chain of the audit log, computed with openssl's SHA-256. */
#include "core/audit.h"
#include "lib/format.h"
#include "lib/string.h"
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void chains_records(void **state)
{
	u8 chain[SHA256_SIZE], linked[SHA256_SIZE + AUDIT_TEXT] = {0};
	struct audit_record r;
	char what[AUDIT_TEXT + 8];

	(void)state;
	assert_int_equal(audit_head(chain), 0);
	assert_memory_equal(chain, linked, sizeof(chain));
	assert_false(audit_read(0, &r));

	for (u32 n = 1; n <= 3 * AUDIT_KEPT; n++) {
		u8 expected[SHA256_SIZE];

		memset(what, 'x', sizeof(what));
		what[n % sizeof(what)] = 0;
		audit_add(1800000000 + n, "admin\n", what, 202);
		assert_true(audit_read(n, &r));
		assert_int_equal(r.seq, n);
		assert_non_null(strstr(r.text, " 202 'admin?' "));
		memcpy(linked + SHA256_SIZE, r.text, strlen(r.text));
		SHA256(linked, SHA256_SIZE + strlen(r.text), expected);
		assert_memory_equal(r.chain, expected, sizeof(expected));
		assert_int_equal(audit_head(chain), n);
		assert_memory_equal(chain, expected, sizeof(expected));
		memcpy(linked, expected, sizeof(expected));
	}
	assert_true(audit_read(0, &r));
	assert_int_equal(r.seq, 2 * AUDIT_KEPT + 1);
	assert_false(audit_read(3 * AUDIT_KEPT + 1, &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
