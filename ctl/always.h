/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions that some stack has at every moment: a switch never finds them unused. */
#ifndef CTL_ALWAYS_H
#define CTL_ALWAYS_H

/* Whose stack has the kernel's function; NULL: nobody's at every moment, as far as it is known. */
const char *always_on_stack(const char *function);

#endif
