/* SPDX-License-Identifier: BSD-2-Clause */
/* The livepatch source around the objects with the new functions. */
#ifndef CTL_DIFF_PAYLOAD_SOURCE_H
#define CTL_DIFF_PAYLOAD_SOURCE_H

#include "callbacks.h"
#include "convert.h"

/*
 * Write Kbuild and the source of the patch `name` to the folder, for the objects' changes and the
 * callbacks. The linked new functions are there as new-functions.o_shipped. An exit code, with a
 * message printed.
 */
int payload_source_write(const char *folder, const char *name, const struct changes *c,
			 size_t count, const struct callbacks *callbacks);

#endif
