/* SPDX-License-Identifier: BSD-2-Clause */
/* Decompression of kernel images and modules, with libarchive. */
#ifndef CTL_UNPACK_H
#define CTL_UNPACK_H

#include <stddef.h>

#define UNPACK_MAX (512u << 20)

/*
 * Decompress with the filter that fits (gzip, xz, zstd, lz4, ...). `expected`: the size of the
 * result, 0 if not known. Malloced; NULL when the data is damaged, is not compressed, or has
 * another size. Prints nothing.
 */
void *unpack(const void *data, size_t size, size_t expected, size_t *out_size);

#endif
