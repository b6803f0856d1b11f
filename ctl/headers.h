/* SPDX-License-Identifier: BSD-2-Clause */
/* What kernel headers say about the architecture that they are for. */
#ifndef CTL_HEADERS_H
#define CTL_HEADERS_H

struct headers {
	unsigned machine;	/* enum suture_machine */
	const char *arch;	/* ARCH= of kbuild */
	char cross_compile[64]; /* CROSS_COMPILE= of kbuild; "": the machine's own compiler */
};

/*
 * Read the configuration in the folder, and look for a compiler: the machine's own where it is of
 * that architecture, else $CROSS_COMPILE, else Debian's cross compiler. An exit code, with a
 * message printed.
 */
int headers_read(struct headers *h, const char *folder);

#endif
