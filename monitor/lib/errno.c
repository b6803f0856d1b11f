/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/errno.h"
#include "lib/types.h"

#define NAME(e)                                                                                    \
	{                                                                                          \
		e, #e                                                                              \
	}

static const struct {
	int err;
	const char *name;
} names[] = {
	NAME(EPERM),	    NAME(ENOENT),      NAME(ESRCH),	   NAME(EINTR),
	NAME(EIO),	    NAME(E2BIG),       NAME(ENOEXEC),	   NAME(EAGAIN),
	NAME(ENOMEM),	    NAME(EACCES),      NAME(EFAULT),	   NAME(EBUSY),
	NAME(EEXIST),	    NAME(ENODEV),      NAME(EINVAL),	   NAME(EFBIG),
	NAME(ENOSPC),	    NAME(ERANGE),      NAME(ENAMETOOLONG), NAME(ENOSYS),
	NAME(ELOOP),	    NAME(EPROTO),      NAME(EBADMSG),	   NAME(EOVERFLOW),
	NAME(EMSGSIZE),	    NAME(ENOPROTOOPT), NAME(EOPNOTSUPP),   NAME(EADDRINUSE),
	NAME(ENETDOWN),	    NAME(ETIMEDOUT),   NAME(EALREADY),	   NAME(ECANCELED),
	NAME(EKEYREJECTED), NAME(EILSEQ),      NAME(ESHUTDOWN),
};

const char *errno_name(int err)
{
	/* unsigned: a guest may send INT_MIN */
	u32 number = err < 0 ? -(u32)err : (u32)err;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((u32)names[i].err == number)
			return names[i].name;
	return "E?";
}
