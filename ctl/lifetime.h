/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References of a payload to memory that it does not have for as long as it runs: what is __init is
 * freed after module_init(), what is __exit may never be loaded, what is __ro_after_init becomes
 * read-only.
 */
#ifndef CTL_LIFETIME_H
#define CTL_LIFETIME_H

#include "ko.h"
#include "verdict.h"

/* Each such reference is an error, with the names of what refers and of what is meant. */
void lifetime_check(const struct ko *ko, struct verdict *v);

#endif
