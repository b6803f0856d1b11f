/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's version, for the log, the API and `suture status`. */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

#define MONITOR_VERSION "0.1.0"

#endif
