/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A payload's text in guest memory, compared with the module that its bundle has. The module's
 * sections of code are where the kernel's loader puts them, and each of their bytes is the file's,
 * but for what relocations and the kernel itself write (arch/text.h): there stands one of the
 * values that they give. docs/security.md says what this proves.
 *
 * The values of undefined symbols, and where sections without code lie, are not known here. They
 * follow from the first reference to each; all others must agree with it, and what is called must
 * be text of the kernel or of a module.
 */
#ifndef PATCH_TEXT_TEXT_H
#define PATCH_TEXT_TEXT_H

#include "patch/text/query.h"

/*
 * 0: the text is the bundle's. -EBADMSG: it is not, and `why` names the first difference; -ENOEXEC:
 * the payload is not understood; -EFAULT: the text cannot be read; -ENOMEM. Service CPU, while the
 * guest runs: a site that the guest changes at the moment is looked at again for a few
 * milliseconds. Allocates from the pool, and frees that again.
 */
int text_check(const struct text_query *q, char *why, size_t why_size);

#endif
