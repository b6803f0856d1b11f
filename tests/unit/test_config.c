/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "document.h"
#include "boot/config.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"

static struct config c;
static char why[160];

static int parse(const char *text)
{
	/* at its exact size on the heap, so that reading beyond it is seen */
	size_t len = strlen(text);
	char *copy = malloc(len + !len);
	int err;

	memcpy(copy, text, len);
	memset(&c, 0xa5, sizeof(c));
	why[0] = 0;
	err = config_parse(&c, copy, len, why, sizeof(why));
	free(copy);
	return err;
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(parse("next=\\vmlinuz"), 0);
	assert_string_equal(c.next, "\\vmlinuz");
	assert_string_equal(c.cmdline, "");
	assert_true(c.nic_none);
	assert_int_equal(c.port, 8443);
	assert_int_equal(c.memory, 64 << 20);
	assert_int_equal(c.service_cpu, -1);
	assert_int_equal(c.debug_port, 0);
	assert_int_equal(c.pause_budget_us, 1000);
	assert_int_equal(c.pause_limit_us, 50000);
	assert_false(c.insecure || c.require || c.hide || c.guest_patches);
	assert_true(c.guest_may_disable);
	assert_false(c.guest_may_apply);
	assert_true(c.compare_text);
	assert_int_equal(c.floors.count, 0);
}

static void every_key(void **state)
{
	(void)state;
	assert_int_equal(parse("# comment\r\n"
			       "\r\n"
			       " next = /EFI/debian/grubx64.efi \r\n"
			       "cmdline=root=/dev/sda1 quiet # not a comment\n"
			       "nic=00:1f.6\n"
			       "ip=10.0.2.15/24\n"
			       "gateway=10.0.2.2\n"
			       "port=443\n"
			       "insecure=yes\n"
			       "require=no\n"
			       "hide=yes\n"
			       "guest_patches=yes\n"
			       "guest_may_disable=no\n"
			       "guest_may_apply=yes\n"
			       "compare_text=no\n"
			       "floor=fix 1.2\n"
			       "floor=other\t3\n"
			       "floor=fix 1.10\n"
			       "memory=1G\n"
			       "log_level=debug\n"
			       "debug_port=0x402\n"
			       "service_cpu=7\n"
			       "pause_budget_us=200\n"
			       "pause_limit_us=3000"),
			 0);
	assert_string_equal(c.next, "\\EFI\\debian\\grubx64.efi");
	assert_string_equal(c.cmdline, "root=/dev/sda1 quiet # not a comment");
	assert_false(c.nic_none || c.nic_by_mac);
	assert_int_equal(c.nic_bdf, 0x1f << 3 | 6);
	assert_memory_equal(&c.ip, "\x0a\x00\x02\x0f", 4);
	assert_memory_equal(&c.netmask, "\xff\xff\xff\x00", 4);
	assert_memory_equal(&c.gateway, "\x0a\x00\x02\x02", 4);
	assert_int_equal(c.port, 443);
	assert_true(c.insecure);
	assert_false(c.require);
	assert_true(c.hide);
	assert_true(c.guest_patches);
	assert_false(c.guest_may_disable);
	assert_true(c.guest_may_apply);
	assert_false(c.compare_text);
	assert_int_equal(c.floors.count, 2);
	assert_string_equal(floors_version(&c.floors, "fix"), "1.10");
	assert_string_equal(floors_version(&c.floors, "other"), "3");
	assert_int_equal(c.memory, 1 << 30);
	assert_int_equal(c.log_level, 3);
	assert_int_equal(c.debug_port, 0x402);
	assert_int_equal(c.service_cpu, 7);
	assert_int_equal(c.pause_budget_us, 200);
	assert_int_equal(c.pause_limit_us, 3000);
}

static void nic_by_mac(void **state)
{
	(void)state;
	assert_int_equal(
		parse("next=\\a\nnic=52:54:00:aB:34:56\nip=192.168.1.9/30\ninsecure=yes\n"), 0);
	assert_true(c.nic_by_mac);
	assert_false(c.nic_none);
	assert_memory_equal(c.nic_mac, "\x52\x54\x00\xab\x34\x56", 6);
	assert_memory_equal(&c.netmask, "\xff\xff\xff\xfc", 4);
}

static void memory_is_whole_large_pages(void **state)
{
	(void)state;
	assert_int_equal(parse("next=\\a\nmemory=17M"), 0);
	assert_int_equal(c.memory, 18 << 20);
}

/* One invalid line; the message names it, and the error. */
static void bad_values(void **state)
{
	static const struct {
		const char *line, *message;
	} bad[] = {
		{"next=vmlinuz", "a path from the volume's root"},
		{"next=\\", "a path from the volume's root"},
		{"nic=00:20.0", "bus:device.function"},
		{"nic=00:04.8", "bus:device.function"},
		{"nic=00:04", "bus:device.function"},
		{"nic=00:04.0x", "bus:device.function"},
		{"nic=53:54:00:12:34:56", "bus:device.function"},
		{"nic=52:54:00:12:34", "bus:device.function"},
		{"nic=", "bus:device.function"},
		{"ip=10.0.2.15", "address/prefix"},
		{"ip=10.0.2.256/24", "address/prefix"},
		{"ip=10.0.2/24", "address/prefix"},
		{"ip=10.0.2.15/0", "address/prefix"},
		{"ip=10.0.2.15/31", "address/prefix"},
		{"ip=10.0.2.0/24", "address/prefix"},
		{"ip=10.0.2.255/24", "address/prefix"},
		{"ip=99999999999999999999.0.0.1/8", "address/prefix"},
		{"gateway=10.0.2.2.1", "an IPv4 address"},
		{"gateway=0.0.0.0", "an IPv4 address"},
		{"port=0", "1 to 65535"},
		{"port=65536", "1 to 65535"},
		{"port=18446744073709551617", "1 to 65535"},
		{"port=0x", "1 to 65535"},
		{"port=-1", "1 to 65535"},
		{"port=80 80", "1 to 65535"},
		{"insecure=1", "yes or no"},
		{"require=YES", "yes or no"},
		{"hide=1", "yes or no"},
		{"guest_patches=", "yes or no"},
		{"guest_may_disable=maybe", "yes or no"},
		{"memory=64", "16M to 1G"},
		{"memory=15M", "16M to 1G"},
		{"memory=2G", "16M to 1G"},
		{"memory=64MB", "16M to 1G"},
		{"floor=fix", "a patch's name and a version"},
		{"floor=fix 1 2", "a patch's name and a version"},
		{"floor=a-fix 1", "a patch's name and a version"},
		{"log_level=all", "error, warn, info or debug"},
		{"debug_port=com1", "a number, 0 for none"},
		{"service_cpu=first", "last or the hardware ID of a CPU"},
		{"service_cpu=9223372036854775808", "last or the hardware ID of a CPU"},
		{"pause_budget_us=99", "100 to 1000000"},
		{"pause_limit_us=10000001", "100 to 10000000"},
		{"Next=\\a", "unknown key 'Next'"},
		{"=x", "unknown key ''"},
		{"nonsense", "is not key=value"},
		{"cmdline=\x01", "printable ASCII"},
		{"cmdline=\xc3\xa4", "printable ASCII"},
		{"insecure=yes\ninsecure=yes", "insecure is given twice"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		strcpy(text, "next=\\good\n");
		if (strncmp(bad[i].line, "next", 4) == 0)
			text[0] = '#';
		strcat(text, bad[i].line);
		strcat(text, "\nport=77\n");
		if (strncmp(bad[i].line, "port", 4) == 0)
			*strstr(text, "\nport=77") = 0;
		if (parse(text) != -EINVAL || !strstr(why, bad[i].message) ||
		    !strstr(why, strstr(why, "twice") ? "line 3: " : "line 2: "))
			fail_msg("%s: \"%s\"", bad[i].line, why);
	}
}

static void after_an_error_the_rest_counts(void **state)
{
	(void)state;
	assert_int_equal(parse("port=x\nmemory=1M\nnext=\\vmlinuz\ncmdline=quiet\nrequire=yes\n"),
			 -EINVAL);
	assert_string_equal(why, "line 1: port=x: 1 to 65535 expected");
	assert_string_equal(c.next, "\\vmlinuz");
	assert_string_equal(c.cmdline, "quiet");
	assert_true(c.require);
	assert_int_equal(c.port, 8443);
	assert_int_equal(c.memory, 64 << 20);
}

static void a_bad_value_leaves_the_default(void **state)
{
	(void)state;
	assert_int_equal(parse("next=\\a\nnic=00:04.0 \nip=10.0.0.0/8"), -EINVAL);
	assert_int_equal(c.ip, 0);
	assert_int_equal(parse("next=\\a\nnic=99"), -EINVAL);
	assert_true(c.nic_none);
}

static void checks_across_keys(void **state)
{
	(void)state;
	assert_int_equal(parse(""), -EINVAL);
	assert_non_null(strstr(why, "next= is missing"));
	assert_int_equal(parse("next=\\a\nnic=00:04.0"), -EINVAL);
	assert_non_null(strstr(why, "nic= needs ip="));
	assert_int_equal(parse("next=\\a\nnic=00:04.0\nip=10.0.2.15/24"), 0);
	assert_false(c.insecure);
	assert_int_equal(parse("next=\\a\nip=10.0.2.15/24\ngateway=10.0.3.1"), -EINVAL);
	assert_non_null(strstr(why, "not in the network"));
	assert_int_equal(parse("next=\\a\npause_budget_us=2000\npause_limit_us=1000"), -EINVAL);
	assert_non_null(strstr(why, "is less than"));
}

static void lengths(void **state)
{
	static char text[8192];

	(void)state;
	/* the longest command line */
	strcpy(text, "next=\\a\ncmdline=");
	size_t at = strlen(text);
	memset(text + at, 'x', sizeof(c.cmdline) - 1);
	text[at + sizeof(c.cmdline) - 1] = 0;
	assert_int_equal(parse(text), 0);
	assert_int_equal(strlen(c.cmdline), sizeof(c.cmdline) - 1);
	/* one more */
	strcat(text, "x");
	assert_int_equal(parse(text), -EINVAL);
	assert_non_null(strstr(why, "line 2: cmdline="));
	assert_string_equal(c.cmdline, "");
	/* longer than any line may be */
	memset(text + at, 'x', 6000);
	text[at + 6000] = 0;
	assert_int_equal(parse(text), -EINVAL);
	assert_string_equal(why, "line 2 is too long");
	/* the longest path */
	strcpy(text, "next=\\");
	memset(text + 6, 'x', sizeof(c.next) - 2);
	text[6 + sizeof(c.next) - 2] = 0;
	assert_int_equal(parse(text), 0);
	strcat(text, "x");
	assert_int_equal(parse(text), -EINVAL);
}

static void too_many_floors(void **state)
{
	static char text[2048];

	(void)state;
	strcpy(text, "next=\\a\n");
	for (u32 i = 0; i <= FLOORS_MAX; i++)
		format(text + strlen(text), 32, "floor=fix%u 1\n", i);
	assert_int_equal(parse(text), -EINVAL);
	assert_string_equal(why,
			    "line 34: floor=fix32 1: a patch's name and a version, for at most 32 "
			    "patches expected");
	assert_int_equal(c.floors.count, FLOORS_MAX);
}

static void odd_bytes(void **state)
{
	static const char zero[] = "next=\\a\ncmdline=a\0b\n";

	(void)state;
	assert_int_equal(parse("\xef\xbb\xbfnext=\\a"), 0);
	assert_int_equal(config_parse(&c, zero, sizeof(zero) - 1, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "line 2: only printable ASCII"));
	/* the message is cut to its buffer */
	assert_int_equal(config_parse(&c, "nonsense", 8, why, 10), -EINVAL);
	assert_int_equal(strlen(why), 9);
}

/* Each key of the table is in docs/boot.md, and the other way round. */
static void keys_are_documented(void **state)
{
	struct names keys = {0}, documented = {0};
	const char *table = strstr(document("docs/boot.md"), "## Configuration");
	size_t wrong;

	(void)state;
	assert_non_null(table);
	names_find(&documented, table, "\n| `", "` |");
	table = document("monitor/boot/config.c");
	names_find(&keys, table, "\t{\"", "\", set_");
	names_find(&keys, table, "{.name = \"", "\", .set = set_");
	assert_in_range(keys.count, 16, 30);
	wrong = names_missing(&keys, &documented, "a key that docs/boot.md lacks") +
		names_missing(&documented, &keys, "documented, and no key");
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(every_key),
		cmocka_unit_test(nic_by_mac),
		cmocka_unit_test(memory_is_whole_large_pages),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(after_an_error_the_rest_counts),
		cmocka_unit_test(a_bad_value_leaves_the_default),
		cmocka_unit_test(checks_across_keys),
		cmocka_unit_test(lengths),
		cmocka_unit_test(too_many_floors),
		cmocka_unit_test(odd_bytes),
		cmocka_unit_test(keys_are_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
