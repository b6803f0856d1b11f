/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/audit.h"
#include "lib/format.h"
#include "lib/string.h"

static struct {
	u64 count;
	struct audit_record records[AUDIT_KEPT]; /* of number n at (n - 1) % AUDIT_KEPT */
} audit;

static struct audit_record *record_at(u64 seq)
{
	return &audit.records[(seq - 1) % AUDIT_KEPT];
}

u64 audit_head(u8 chain[SHA256_SIZE])
{
	memset(chain, 0, SHA256_SIZE);
	if (audit.count)
		memcpy(chain, record_at(audit.count)->chain, SHA256_SIZE);
	return audit.count;
}

void audit_add(u64 utc, const char *who, const char *what, u16 status)
{
	u8 linked[SHA256_SIZE + AUDIT_TEXT];
	struct audit_record *r = record_at(audit.count + 1);
	size_t len;

	audit_head(linked); /* before r, which may be the oldest, is written */
	r->seq = audit.count + 1;
	format(r->text, sizeof(r->text), "%llu %llu %u '%s' %s", r->seq, utc, status, who, what);
	len = strlen(r->text);
	for (size_t i = 0; i < len; i++)
		if (r->text[i] < ' ' || r->text[i] > '~')
			r->text[i] = '?';
	memcpy(linked + SHA256_SIZE, r->text, len);
	sha256(linked, SHA256_SIZE + len, r->chain);
	audit.count++;
}

void audit_hash(char text[AUDIT_HASH], const u8 digest[SHA256_SIZE])
{
	size_t len = (size_t)format(text, AUDIT_HASH, " sha256 ");

	for (size_t i = 0; i < SHA256_SIZE; i++)
		len += (size_t)format(text + len, AUDIT_HASH - len, "%02x", digest[i]);
}

bool audit_read(u64 since, struct audit_record *r)
{
	u64 oldest = audit.count > AUDIT_KEPT ? audit.count - AUDIT_KEPT + 1 : 1;
	u64 seq = MAX(since, oldest);

	if (seq > audit.count)
		return false;
	*r = *record_at(seq);
	return true;
}
