/* SPDX-License-Identifier: BSD-2-Clause */
/* The CVEs that a patch fixes: suture build --cve ID[,ID...], as often as given. */
#ifndef CTL_CVES_H
#define CTL_CVES_H

#define CVES_MAX 256u /* the monitor's limit */
#define CVE_LEN	 32u

struct cves {
	char ids[CVES_MAX][CVE_LEN];
	unsigned count;
};

/* Add the ids of a list; an id that is already there is not added again. An exit code, message
 * printed. */
int cves_add(struct cves *c, const char *list);

#endif
