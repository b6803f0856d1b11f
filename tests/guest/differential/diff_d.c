// SPDX-License-Identifier: GPL-2.0-only
#define NUMBER 4
#include "patch.h"
