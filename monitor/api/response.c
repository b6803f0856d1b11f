/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/connection.h"
#include "core/audit.h"
#include "core/version.h"
#include "lib/format.h"

static const char *status_text(u16 status)
{
	static const struct {
		u16 status;
		const char *text;
	} texts[] = {
		{200, "OK"},
		{202, "Accepted"},
		{400, "Bad Request"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{411, "Length Required"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
		{507, "Insufficient Storage"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}

size_t http_headers(char *buf, size_t size, const struct api_reply *r, bool keep_alive)
{
	char chain[2 * SHA256_SIZE + 1];
	u8 head[SHA256_SIZE];
	u64 seq = audit_head(head);
	int len;

	for (u32 i = 0; i < sizeof(head); i++)
		format(chain + 2 * i, sizeof(chain) - 2 * i, "%02x", head[i]);
	len = format(
		buf, size,
		"HTTP/1.1 %u %s\r\n"
		"Server: suture/%s\r\n"
		"Content-Type: %s\r\n"
		"Content-Length: %zu\r\n"
		"Cache-Control: no-store\r\n"
		"Suture-Audit: %llu %s\r\n"
		"%s%s%s%s%s%s%s"
		"Connection: %s\r\n\r\n",
		r->status, status_text(r->status), MONITOR_VERSION, r->type, r->out.len, seq, chain,
		*r->location ? "Location: " : "", r->location, *r->location ? "\r\n" : "",
		r->allow ? "Allow: " : "", r->allow ? r->allow : "", r->allow ? "\r\n" : "",
		r->status == 429 ? "Retry-After: 1\r\n" : "", keep_alive ? "keep-alive" : "close");

	return MIN((size_t)len, size - 1);
}

static struct answer_counts answers;

struct answer_counts connection_answers(void)
{
	return answers;
}

void connection_count(u16 status)
{
	if (status < 400)
		answers.good++;
	else if (status < 500)
		answers.refused++;
	else
		answers.failed++;
}

u64 connection_answer_sum(void)
{
	return answers.good + answers.refused + answers.failed;
}
