// SPDX-License-Identifier: GPL-2.0-only
#define NUMBER 1
#include "patch.h"
