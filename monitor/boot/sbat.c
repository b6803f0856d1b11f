/* SPDX-License-Identifier: BSD-2-Clause */
/* The section by which shim revokes generations of a loader (its document on SBAT says what the
 * fields are).
 */
#include "core/version.h"

extern const char sbat[];
const char sbat[] __attribute__((section(".sbat"), used)) =
	"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
	"suture,1,The Suture authors,suture," MONITOR_VERSION
	",file:///usr/share/doc/suture-monitor\n";
