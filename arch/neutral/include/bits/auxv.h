/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Empty. <elf.h> includes the C library's header of this name, which is installed for one
 * architecture only.
 */
