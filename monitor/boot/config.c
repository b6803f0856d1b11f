/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/config.h"
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"

#define VALUE_MAX sizeof(((struct config *)0)->cmdline)

/*
 * One key. `set` stores the value and returns false if it is not one of `allowed`. Numbers and text
 * go to `size` bytes at `offset`.
 */
struct key {
	const char *name;
	bool (*set)(const struct key *k, struct config *c, const char *value);
	const char *allowed;
	size_t offset, size;
	u64 min, max;
	bool often; /* it may be given several times */
};

static bool parse_number(const char **s, u64 *v)
{
	const char *p = *s;
	u32 base = 10;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	const char *digits = p;
	for (*v = 0;; p++) {
		u32 digit = *p >= '0' && *p <= '9'   ? (u32)(*p - '0')
			    : *p >= 'a' && *p <= 'f' ? (u32)(*p - 'a') + 10
			    : *p >= 'A' && *p <= 'F' ? (u32)(*p - 'A') + 10
						     : 16;
		if (digit >= base)
			break;
		if (*v > (UINT64_MAX - digit) / base)
			return false;
		*v = *v * base + digit;
	}
	*s = p;
	return p > digits;
}

/* Exactly `digits` hexadecimal digits. */
static bool parse_hex(const char **s, u32 digits, u32 *v)
{
	for (*v = 0; digits; digits--, ++*s) {
		char ch = **s;
		if (ch >= '0' && ch <= '9')
			*v = *v * 16 + (u32)(ch - '0');
		else if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f')
			*v = *v * 16 + (u32)((ch | 0x20) - 'a') + 10;
		else
			return false;
	}
	return true;
}

static bool parse_ipv4(const char **s, u32 *addr)
{
	u8 *byte = (u8 *)addr;
	u64 v;

	for (u32 i = 0; i < 4; i++) {
		if (i && *(*s)++ != '.')
			return false;
		if (!parse_number(s, &v) || v > 255)
			return false;
		byte[i] = (u8)v;
	}
	return true;
}

static bool store_number(const struct key *k, struct config *c, u64 v)
{
	if (v < k->min || v > k->max)
		return false;
	memcpy((char *)c + k->offset, &v, k->size); /* all architectures are little-endian */
	return true;
}

static bool set_text(const struct key *k, struct config *c, const char *value)
{
	return str_copy((char *)c + k->offset, value, k->size) < k->size;
}

/* A path: firmware wants backslashes. */
static bool set_path(const struct key *k, struct config *c, const char *value)
{
	char *path = (char *)c + k->offset;

	if ((*value != '\\' && *value != '/') || !value[1] || strlen(value) >= k->size)
		return false;
	set_text(k, c, value);
	for (; *path; path++)
		if (*path == '/')
			*path = '\\';
	return true;
}

static bool set_bool(const struct key *k, struct config *c, const char *value)
{
	bool yes = !strcmp(value, "yes");

	if (!yes && strcmp(value, "no"))
		return false;
	*((bool *)c + k->offset) = yes;
	return true;
}

static bool set_number(const struct key *k, struct config *c, const char *value)
{
	u64 v;

	return parse_number(&value, &v) && !*value && store_number(k, c, v);
}

static bool set_memory(const struct key *k, struct config *c, const char *value)
{
	u64 v;

	if (!parse_number(&value, &v) || v > UINT32_MAX)
		return false;
	if (*value == 'M')
		v <<= 20;
	else if (*value == 'G')
		v <<= 30;
	else
		return false;
	return !value[1] && v >= k->min && store_number(k, c, ALIGN_UP(v, 2ull << 20));
}

static bool set_level(const struct key *k, struct config *c, const char *value)
{
	static const char *const names[] = {[LOG_ERROR] = "error",
					    [LOG_WARN] = "warn",
					    [LOG_INFO] = "info",
					    [LOG_DEBUG] = "debug"};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(value, names[i]))
			return store_number(k, c, i);
	return false;
}

static bool set_service_cpu(const struct key *k, struct config *c, const char *value)
{
	if (strcmp(value, "last"))
		return set_number(k, c, value);
	c->service_cpu = -1;
	return true;
}

static bool set_nic(const struct key *k, struct config *c, const char *value)
{
	const char *p = value;
	u32 bus, dev, fn, byte;

	(void)k;
	c->nic_none = !strcmp(value, "none");
	if (c->nic_none)
		return true;

	c->nic_by_mac = false;
	if (parse_hex(&p, 2, &bus) && *p++ == ':' && parse_hex(&p, 2, &dev) && *p++ == '.' &&
	    parse_hex(&p, 1, &fn) && !*p) {
		c->nic_bdf = (u16)(bus << 8 | dev << 3 | fn);
		return dev < 32 && fn < 8;
	}

	c->nic_by_mac = true;
	p = value;
	for (u32 i = 0; i < 6; i++) {
		if ((i && *p++ != ':') || !parse_hex(&p, 2, &byte))
			return false;
		c->nic_mac[i] = (u8)byte;
	}
	return !*p && !(c->nic_mac[0] & 1); /* a station's address, not a group's */
}

static bool set_ip(const struct key *k, struct config *c, const char *value)
{
	u64 prefix;

	(void)k;
	if (!parse_ipv4(&value, &c->ip) || *value++ != '/' || !parse_number(&value, &prefix) ||
	    *value || prefix < 1 || prefix > 30)
		return false;
	c->netmask = __builtin_bswap32(~0u << (32 - prefix));
	u32 host = c->ip & ~c->netmask;
	return c->ip && host && host != ~c->netmask;
}

static bool set_gateway(const struct key *k, struct config *c, const char *value)
{
	(void)k;
	return parse_ipv4(&value, &c->gateway) && !*value && c->gateway;
}

static bool set_floor(const struct key *k, struct config *c, const char *value)
{
	struct floor f;

	(void)k;
	return floor_parse(&f, value) && floors_raise(&c->floors, &f) >= 0;
}

#define FIELD(f) .offset = offsetof(struct config, f), .size = sizeof(((struct config *)0)->f)

static const struct key keys[] = {
	{"next", set_path, "a path from the volume's root, as \\vmlinuz", FIELD(next)},
	{"cmdline", set_text, "text of at most 2047 characters", FIELD(cmdline)},
	{.name = "nic", .set = set_nic, .allowed = "bus:device.function, a MAC address, or none"},
	{.name = "ip", .set = set_ip, .allowed = "address/prefix, as 10.0.2.15/24"},
	{.name = "gateway", .set = set_gateway, .allowed = "an IPv4 address"},
	{"port", set_number, "1 to 65535", FIELD(port), .min = 1, .max = 65535},
	{"insecure", set_bool, "yes or no", FIELD(insecure)},
	{"require", set_bool, "yes or no", FIELD(require)},
	{"hide", set_bool, "yes or no", FIELD(hide)},
	{"guest_patches", set_bool, "yes or no", FIELD(guest_patches)},
	{"guest_may_disable", set_bool, "yes or no", FIELD(guest_may_disable)},
	{"guest_may_apply", set_bool, "yes or no", FIELD(guest_may_apply)},
	{"compare_text", set_bool, "yes or no", FIELD(compare_text)},
	{"floor", set_floor, "a patch's name and a version, for at most 32 patches", FIELD(floors),
	 .often = true},
	{"memory", set_memory, "16M to 1G", FIELD(memory), .min = 16 << 20, .max = 1 << 30},
	{"log_level", set_level, "error, warn, info or debug", FIELD(log_level), .max = LOG_DEBUG},
	{"debug_port", set_number, "a number, 0 for none", FIELD(debug_port), .max = UINT64_MAX},
	{"service_cpu", set_service_cpu, "last or the hardware ID of a CPU", FIELD(service_cpu),
	 .max = INT64_MAX},
	{"pause_budget_us", set_number, "100 to 1000000", FIELD(pause_budget_us), .min = 100,
	 .max = 1000000},
	{"pause_limit_us", set_number, "100 to 10000000", FIELD(pause_limit_us), .min = 100,
	 .max = 10000000},
};

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r';
}

/* One line, `number` counted from 1; changes *seen. Returns the error's length, 0 if none. */
static int parse_line(struct config *c, char *line, u32 number, u32 *seen, char *why, size_t size)
{
	while (is_blank(*line))
		line++;
	size_t len = strlen(line);
	while (len && is_blank(line[len - 1]))
		line[--len] = 0;
	if (!len || *line == '#')
		return 0;
	for (const char *p = line; *p; p++)
		if ((*p < ' ' && *p != '\t') || *p > '~')
			return format(why, size, "line %u: only printable ASCII is allowed",
				      number);

	char *value = strchr(line, '=');
	if (!value)
		return format(why, size, "line %u: '%.*s%s' is not key=value", number,
			      BRIEF(line, 40));
	char *end = value;
	while (end > line && is_blank(end[-1]))
		end--;
	*value++ = 0;
	*end = 0;
	while (is_blank(*value))
		value++;

	for (u32 i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(line, keys[i].name))
			continue;
		if (*seen & 1u << i && !keys[i].often)
			return format(why, size, "line %u: %s is given twice", number, line);
		*seen |= 1u << i;
		struct config good = *c; /* an invalid value must not be stored in part */
		if (keys[i].set(&keys[i], c, value))
			return 0;
		*c = good;
		return format(why, size, "line %u: %s=%.*s%s: %s expected", number, line,
			      BRIEF(value, 40), keys[i].allowed);
	}
	return format(why, size, "line %u: unknown key '%.*s%s'", number, BRIEF(line, 40));
}

static int check_whole(const struct config *c, char *why, size_t size)
{
	if (!c->next[0])
		return format(why, size, "next= is missing: the path of the loader to start");
	if (!c->nic_none && !c->ip)
		return format(why, size, "nic= needs ip=address/prefix");
	if (c->gateway && (c->gateway & c->netmask) != (c->ip & c->netmask))
		return format(why, size, "gateway= is not in the network of ip=");
	if (c->pause_limit_us < c->pause_budget_us)
		return format(why, size, "pause_limit_us= is less than pause_budget_us=");
	return 0;
}

int config_parse(struct config *c, const char *text, size_t len, char *why, size_t why_size)
{
	char line[VALUE_MAX + 64];
	char other[8]; /* errors after the first one */
	u32 seen = 0;
	int bad = 0;

	*c = (struct config){
		.nic_none = true,
		.port = 8443,
		.memory = 64 << 20,
		.log_level = LOG_INFO,
		.guest_may_disable = true,
		.compare_text = true,
		.service_cpu = -1,
		.pause_budget_us = 1000,
		.pause_limit_us = 50000,
	};

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		len -= 3;
	}
	for (u32 number = 1; len; number++) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;
		char *out = bad ? other : why;
		size_t out_size = bad ? sizeof(other) : why_size;

		if (n >= sizeof(line)) {
			bad |= format(out, out_size, "line %u is too long", number);
		} else if (memchr(text, 0, n)) {
			bad |= format(out, out_size, "line %u: only printable ASCII is allowed",
				      number);
		} else {
			memcpy(line, text, n);
			line[n] = 0;
			bad |= parse_line(c, line, number, &seen, out, out_size);
		}
		n += !!end;
		text += n;
		len -= n;
	}
	if (!bad)
		bad = check_whole(c, why, why_size);
	return bad ? -EINVAL : 0;
}
