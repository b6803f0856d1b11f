/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Put before every source of the monitor by the build (-include). All symbols are hidden, those
 * that are only declared too, which -fvisibility=hidden does not cover: so code and data are
 * reached relative to the program counter, never through the GOT, and the resident copy of the
 * image never reaches back into the original.
 */
#pragma GCC visibility push(hidden)
