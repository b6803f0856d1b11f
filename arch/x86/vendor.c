/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of the vendors' virtualizations. No other common file names one. */
#include "hv.h"
#include "lib/errno.h"
#include "lib/format.h"

static const struct hv_ops *const vendors[] = {&svm_ops, &vmx_ops};

const struct hv_ops *hv;

int vendor_find(char *why, size_t why_size)
{
	int err = -ENODEV;

	for (u32 i = 0; i < ARRAY_SIZE(vendors) && err == -ENODEV; i++) {
		err = vendors[i]->probe(why, why_size);
		if (!err)
			hv = vendors[i];
	}
	if (err == -ENODEV)
		format(why, why_size,
		       "this processor has no virtualization that the monitor knows (AMD SVM, "
		       "Intel VMX)");
	return err;
}
