/* SPDX-License-Identifier: BSD-2-Clause */
/* suture keys: a certificate authority, the monitor's keys, a client for each role, and a signer.
 */
#include "ctl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DAY	     86400L
#define DEFAULT_DAYS 800 /* with the day before: browsers refuse servers above 825 */
#define SERIAL_BYTES 16
#define SAN_MAX	     1024

struct maker {
	const char *dir;
	unsigned days;
	EVP_PKEY *ca_key;
	X509 *ca;
};

/* What a certificate is for. */
struct subject {
	const char *name;			    /* CN; and of its files */
	const char *role;			    /* OU; NULL for none */
	const char *constraints, *usage, *extended; /* as in openssl's x509v3_config */
	const char *alternative;		    /* names of a server; NULL */
};

/* ---- files ---- */

static int save_pem(const struct maker *m, const char *name, const char *ending, BIO *pem,
		    bool secret)
{
	char path[PATH_MAX], *text;
	long size = BIO_get_mem_data(pem, &text);

	snprintf(path, sizeof(path), "%s/%s.%s", m->dir, name, ending);
	return save_file(path, text, (size_t)size, secret);
}

static int save_key(const struct maker *m, const char *name, EVP_PKEY *key)
{
	BIO *pem = BIO_new(BIO_s_mem());
	int r = EX_FAILED;

	if (pem && PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1)
		r = save_pem(m, name, "key", pem, true);
	BIO_free(pem);
	return r;
}

static int save_public(const struct maker *m, const char *name, EVP_PKEY *key)
{
	BIO *pem = BIO_new(BIO_s_mem());
	int r = EX_FAILED;

	if (pem && PEM_write_bio_PUBKEY(pem, key) == 1)
		r = save_pem(m, name, "pub", pem, false);
	BIO_free(pem);
	return r;
}

static int save_certificate(const struct maker *m, const char *name, X509 *cert)
{
	BIO *pem = BIO_new(BIO_s_mem());
	int r = EX_FAILED;

	if (pem && PEM_write_bio_X509(pem, cert) == 1)
		r = save_pem(m, name, "pem", pem, false);
	BIO_free(pem);
	return r;
}

/* ---- certificates ---- */

static bool set_serial(X509 *cert)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *n = NULL;
	bool good = RAND_bytes(bytes, sizeof(bytes)) == 1;

	bytes[0] = (bytes[0] & 0x7f) | 0x40;
	if (good)
		n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	good = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return good;
}

static bool set_name(X509 *cert, const struct subject *s)
{
	X509_NAME *name = X509_get_subject_name(cert);
	bool good = X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					       (const unsigned char *)s->name, -1, -1, 0) == 1;

	if (good && s->role)
		good = X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_ASC,
						  (const unsigned char *)s->role, -1, -1, 0) == 1;
	return good;
}

static bool add_extension(X509 *cert, X509 *issuer, int kind, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool good;

	if (!value)
		return true;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, kind, value);
	good = e && X509_add_ext(cert, e, -1) == 1;
	X509_EXTENSION_free(e);
	return good;
}

/* A certificate for key, by the authority; of the authority itself as long as m has none. */
static X509 *make_certificate(const struct maker *m, EVP_PKEY *key, const struct subject *s)
{
	X509 *cert = X509_new(), *issuer = m->ca ? m->ca : cert;
	bool good = cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
		    set_name(cert, s) &&
		    X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
		    /* the monitor's clock may be some minutes behind */
		    X509_gmtime_adj(X509_getm_notBefore(cert), -DAY) &&
		    X509_gmtime_adj(X509_getm_notAfter(cert), m->days * DAY) &&
		    X509_set_pubkey(cert, key) == 1;

	good = good && add_extension(cert, issuer, NID_subject_key_identifier, "hash") &&
	       add_extension(cert, issuer, NID_authority_key_identifier, m->ca ? "keyid" : NULL) &&
	       add_extension(cert, issuer, NID_basic_constraints, s->constraints) &&
	       add_extension(cert, issuer, NID_key_usage, s->usage) &&
	       add_extension(cert, issuer, NID_ext_key_usage, s->extended) &&
	       add_extension(cert, issuer, NID_subject_alt_name, s->alternative);
	if (good && X509_sign(cert, m->ca_key, EVP_sha256()) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

/* A key and its certificate, in files. */
static int make_pair(const struct maker *m, const struct subject *s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = key ? make_certificate(m, key, s) : NULL;
	int r = cert ? save_key(m, s->name, key) : EX_FAILED;

	if (!r)
		r = save_certificate(m, s->name, cert);
	X509_free(cert);
	EVP_PKEY_free(key);
	return r;
}

static int make_authority(struct maker *m)
{
	const struct subject s = {
		"suture-ca", NULL, "critical,CA:TRUE,pathlen:0", "critical,keyCertSign,cRLSign",
		NULL,	     NULL};
	int r;

	m->ca_key = EVP_EC_gen("P-256");
	m->ca = m->ca_key ? make_certificate(m, m->ca_key, &s) : NULL;
	r = m->ca ? save_key(m, "ca", m->ca_key) : EX_FAILED;
	return r ? r : save_certificate(m, "ca", m->ca);
}

static int make_signer(const struct maker *m)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	int r = key ? save_key(m, "signer", key) : EX_FAILED;

	if (!r)
		r = save_public(m, "signer", key);
	EVP_PKEY_free(key);
	return r;
}

/* ---- what is made of them ---- */

/* "IP:10.0.2.15,DNS:host,..." of the hosts. An exit code. */
static int name_hosts(char **hosts, char *text, size_t size)
{
	size_t len = 0;

	for (; *hosts; hosts++) {
		unsigned char address[16];
		bool ip = inet_pton(AF_INET, *hosts, address) == 1;

		if (strpbrk(*hosts, ",: /"))
			return fail(EX_BAD_USAGE,
				    "%s: give the monitor's name or IPv4 address, without "
				    "a port",
				    *hosts);
		len += (size_t)snprintf(text + len, size - len, "%s%s:%s", len ? "," : "",
					ip ? "IP" : "DNS", *hosts);
		if (len >= size)
			return fail(EX_BAD_USAGE, "too many hosts");
	}
	return EX_DONE;
}

/* What the monitor takes: its key, its certificate, the authority, the signer. */
static int collect_keys(const struct maker *m)
{
	static const char *const parts[] = {"monitor.key", "monitor.pem", "ca.pem", "signer.pub"};
	BIO *all = BIO_new(BIO_s_mem());
	int r = all ? EX_DONE : EX_FAILED;

	for (size_t i = 0; !r && i < sizeof(parts) / sizeof(parts[0]); i++) {
		char path[PATH_MAX], *text;
		size_t size;

		snprintf(path, sizeof(path), "%s/%s", m->dir, parts[i]);
		text = read_file(path, 65536, &size);
		r = text && BIO_write(all, text, (int)size) == (int)size ? EX_DONE : EX_FAILED;
		free(text);
	}
	if (!r)
		r = save_pem(m, "keys", "pem", all, true);
	BIO_free(all);
	return r;
}

static int write_contexts(const struct maker *m, const char *host)
{
	static const char *const roles[] = {"read", "operate", "admin"};
	BIO *text = BIO_new(BIO_s_mem());
	char full[PATH_MAX], path[PATH_MAX];
	char *data;
	long size;
	int r;

	if (!text || !realpath(m->dir, full)) {
		BIO_free(text);
		return fail(EX_FAILED, "%s: %s", m->dir, strerror(errno));
	}
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		BIO_printf(text,
			   "%s[%s]\nhost = %s\nca = %s/ca.pem\ncert = %s/%s.pem\nkey = %s/%s.key\n",
			   i ? "\n" : "", roles[i], host, full, full, roles[i], full, roles[i]);
	size = BIO_get_mem_data(text, &data);
	snprintf(path, sizeof(path), "%s/contexts", m->dir);
	r = save_file(path, data, (size_t)size, false);
	BIO_free(text);
	return r;
}

static int make_all(struct maker *m, char **hosts)
{
	static const char client[] = "critical,digitalSignature";
	char names[SAN_MAX];
	const struct subject subjects[] = {
		{"monitor", NULL, "critical,CA:FALSE", client, "serverAuth", names},
		{"read", "read", "critical,CA:FALSE", client, "clientAuth", NULL},
		{"operate", "operate", "critical,CA:FALSE", client, "clientAuth", NULL},
		{"admin", "admin", "critical,CA:FALSE", client, "clientAuth", NULL},
	};
	int r = name_hosts(hosts, names, sizeof(names));

	if (r)
		return r;
	if (mkdir(m->dir, 0700))
		return fail(EX_BAD_USAGE, "%s: %s; keys are made in a new folder", m->dir,
			    strerror(errno));
	r = make_authority(m);
	for (size_t i = 0; !r && i < sizeof(subjects) / sizeof(subjects[0]); i++)
		r = make_pair(m, &subjects[i]);
	if (!r)
		r = make_signer(m);
	if (!r)
		r = collect_keys(m);
	if (!r)
		r = write_contexts(m, hosts[0]);
	return r ? fail(EX_FAILED, "%s: the keys could not be made", m->dir) : EX_DONE;
}

int cmd_keys(const struct options *o, char **args)
{
	struct maker m = {.dir = args[0],
			  .days = o->days != DAYS_NONE ? (unsigned)o->days : DEFAULT_DAYS};
	int r = make_all(&m, args + 1);

	X509_free(m.ca);
	EVP_PKEY_free(m.ca_key);
	if (!r)
		printf("%s/keys.pem: for the monitor, as \\EFI\\suture\\keys.pem; it takes and "
		       "removes it\n"
		       "%s/signer.key: for suture sign\n"
		       "%s/contexts: of read, operate and admin: SUTURE_CONFIG names it\n",
		       m.dir, m.dir, m.dir);
	return r;
}
