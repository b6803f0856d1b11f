/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Error numbers, with Linux's values: they cross the ABI into the guest. On the host (unit tests)
 * they are the host's own, which are the same.
 */
#ifndef LIB_ERRNO_H
#define LIB_ERRNO_H

#include "lib/types.h"

#if __STDC_HOSTED__
#include <errno.h>
#else
#define EPERM	     1
#define ENOENT	     2
#define ESRCH	     3
#define EINTR	     4
#define EIO	     5
#define E2BIG	     7
#define ENOEXEC	     8
#define EAGAIN	     11
#define ENOMEM	     12
#define EACCES	     13
#define EFAULT	     14
#define EBUSY	     16
#define EEXIST	     17
#define ENODEV	     19
#define EINVAL	     22
#define EFBIG	     27
#define ENOSPC	     28
#define ERANGE	     34
#define ENAMETOOLONG 36
#define ENOSYS	     38
#define ELOOP	     40
#define EPROTO	     71
#define EBADMSG	     74
#define EOVERFLOW    75
#define EILSEQ	     84
#define EMSGSIZE     90
#define ENOPROTOOPT  92
#define EOPNOTSUPP   95
#define EADDRINUSE   98
#define ENETDOWN     100
#define ESHUTDOWN    108
#define ETIMEDOUT    110
#define EALREADY     114
#define ECANCELED    125
#define EKEYREJECTED 129
#endif

/* A short name such as "EBUSY" for a positive or negative errno; "E?" when unknown. */
const char *errno_name(int err);

/*
 * True for zero and for a negative errno (down to -MAX_ERRNO, as in Linux). For numbers that a
 * guest sends.
 */
static inline bool is_result(int err)
{
	return err <= 0 && err >= -4095;
}

#endif
