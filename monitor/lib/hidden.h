/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The build puts this before every source of the monitor (-include). All symbols are hidden, also
 * those that are only declared, which -fvisibility=hidden does not cover. The compiler then
 * addresses code and data relative to the program counter and not through the GOT, so that the
 * resident copy of the image never refers to the original.
 */
#pragma GCC visibility push(hidden)
