/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/lives.h"

struct lives lives;
