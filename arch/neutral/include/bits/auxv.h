/* SPDX-License-Identifier: BSD-2-Clause */
/* Nothing: <elf.h> includes the C library's, which exists for one architecture at a time. */
