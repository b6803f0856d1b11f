/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References of a payload to memory that it does not have while it runs: __init memory is freed
 * after module_init(), __exit memory may never be loaded, __ro_after_init memory becomes read-only.
 */
#ifndef CTL_LIFETIME_H
#define CTL_LIFETIME_H

#include "ko.h"
#include "verdict.h"

/* Report each such reference as an error, with the names of both symbols. */
void lifetime_check(const struct ko *ko, struct verdict *v);

#endif
