/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT "8443"
/* The largest answer is the log; a peer that sends more is not a monitor. */
#define ANSWER_MAX (8u << 20)
#define CONNECT_S  10L
#define REQUEST_S  60L

struct buffer {
	char *data;
	size_t size;
};

static size_t collect(char *p, size_t size, size_t n, void *arg)
{
	struct buffer *b = arg;
	size_t len = size * n;
	char *more;

	if (len > ANSWER_MAX - b->size)
		return 0;
	more = realloc(b->data, b->size + len + 1);
	if (!more)
		return 0;
	b->data = more;
	memcpy(b->data + b->size, p, len);
	b->size += len;
	b->data[b->size] = 0;
	return len;
}

const char *jstr(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

long long jint(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool jbool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static bool has_port(const char *host)
{
	const char *bracket = strrchr(host, ']');

	return strchr(bracket ? bracket : host, ':') != NULL;
}

static int unreachable(const struct options *o, CURLcode rc, const char *detail)
{
	const char *what = *detail ? detail : curl_easy_strerror(rc);

	switch (rc) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return fail(EX_UNREACHABLE, "%s: unknown host: check --host (%s)", o->host, what);
	case CURLE_COULDNT_CONNECT:
		return fail(EX_UNREACHABLE,
			    "%s: nobody answers there: check host and port, and that suture.conf "
			    "has ip= (%s)",
			    o->host, what);
	case CURLE_OPERATION_TIMEDOUT:
		return fail(EX_UNREACHABLE, "%s: no answer in time: is the machine up? (%s)",
			    o->host, what);
	case CURLE_PEER_FAILED_VERIFICATION:
		return fail(EX_UNREACHABLE,
			    "%s: this is not the monitor of the context, or its certificate is not "
			    "valid for that name (%s)",
			    o->host, what);
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		return fail(EX_BAD_USAGE, "%s: a file of the context cannot be used: %s", o->host,
			    what);
	case CURLE_SSL_CONNECT_ERROR:
		return fail(EX_UNREACHABLE, "%s: no TLS: has its suture.conf insecure=yes? (%s)",
			    o->host, what);
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
		if (!o->insecure)
			return fail(EX_UNREACHABLE,
				    "%s: the monitor ended the connection: has the certificate %s "
				    "expired, or another issuer? (%s)",
				    o->host, o->cert, what);
		return fail(EX_UNREACHABLE, "%s: %s", o->host, what);
	case CURLE_URL_MALFORMAT:
		return fail(EX_BAD_USAGE, "%s: not HOST or HOST:PORT (%s)", o->host, what);
	default:
		return fail(EX_UNREACHABLE, "%s: %s", o->host, what);
	}
}

static int judge(const struct options *o, long status, const struct buffer *b, json_t **answer)
{
	json_error_t error;
	json_t *root = json_loads(b->data ? b->data : "", 0, &error);
	const json_t *e = json_object_get(root, "error");

	if (!root)
		return fail(EX_UNREACHABLE,
			    "%s: the answer (HTTP %ld) is not JSON: is that a Suture monitor?",
			    o->host, status);
	if (status >= 400) {
		if (o->json)
			print_value(o, root);
		escape_json(root);
		fail(EX_FAILED, "%s (%s)", *jstr(e, "message") ? jstr(e, "message") : "refused",
		     *jstr(e, "code") ? jstr(e, "code") : "no code");
		json_decref(root);
		return EX_FAILED;
	}
	if (!o->json)
		escape_json(root);
	*answer = root;
	return EX_DONE;
}

/* One for all requests: they go over one connection, which the monitor keeps open for a while. */
static CURL *prepare_handle(void)
{
	static CURL *curl;

	if (curl)
		curl_easy_reset(curl);
	else
		curl = curl_easy_init();
	return curl;
}

/* The monitor's certificate must be of this authority, and name the host. */
static void set_tls(CURL *curl, const struct options *o)
{
	curl_easy_setopt(curl, CURLOPT_CAINFO, o->ca);
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_SSLCERT, o->cert);
	curl_easy_setopt(curl, CURLOPT_SSLKEY, o->key);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_3);
}

int api_request(const struct options *o, const char *method, const char *path, const void *body,
		size_t size, json_t **answer)
{
	char url[512], detail[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = NULL;
	struct buffer b = {0};
	CURL *curl = NULL;
	long status = 0;
	CURLcode rc;
	int r;

	if (!o->insecure && !(*o->ca && *o->cert && *o->key))
		return fail(EX_BAD_USAGE,
			    "the monitor wants a certificate: --context NAME, or SUTURE_CA, "
			    "SUTURE_CERT and SUTURE_KEY; suture keys makes them");
	if (snprintf(url, sizeof(url), "%s://%s%s%s", o->insecure ? "http" : "https", o->host,
		     has_port(o->host) ? "" : ":" DEFAULT_PORT, path) >= (int)sizeof(url))
		return fail(EX_BAD_USAGE, "--host %.40s...: too long", o->host);
	curl = prepare_handle();
	headers = curl_slist_append(headers, "Content-Type: application/octet-stream");
	if (!curl || !headers) {
		r = fail(EX_FAILED, "no memory");
		goto out;
	}
	curl_easy_setopt(curl, CURLOPT_URL, url);
	/* Requests to the management network must not go through a web proxy. */
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, o->insecure ? "http" : "https");
	if (!o->insecure)
		set_tls(curl, o);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, REQUEST_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &b);
	if (!strcmp(method, "POST")) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? body : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
		if (body)
			curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	} else if (strcmp(method, "GET") != 0) {
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	}
	rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	/* A refusal can come, with its reason, before the whole upload is read. */
	if (rc != CURLE_OK && !(rc == CURLE_SEND_ERROR && status >= 400 && b.size))
		r = unreachable(o, rc, detail);
	else
		r = judge(o, status, &b, answer);
out:
	curl_slist_free_all(headers);
	free(b.data);
	return r;
}
