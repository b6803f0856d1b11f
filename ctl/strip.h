/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking debug information out of a module. Not strip(1): it does not know the relocation sections
 * of livepatch modules (SHF_RELA_LIVEPATCH), and drops them.
 */
#ifndef CTL_STRIP_H
#define CTL_STRIP_H

#include <stddef.h>

/*
 * In place: *size shrinks. Every other section stays byte for byte, with its index. Returns 0, or
 * -1 when this is no 64-bit ELF file, or is damaged.
 */
int strip_debug(void *data, size_t *size);

#endif
