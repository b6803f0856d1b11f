// SPDX-License-Identifier: GPL-2.0-only
#define NUMBER 3
#include "patch.h"
