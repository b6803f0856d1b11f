#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Mark a PE file as one that works where data cannot be executed (DllCharacteristics, NX_COMPAT: PE
# format, "Optional Header"): objcopy has no option for it.
#   mk/nx-compat.sh FILE
set -eu

# the offset of the PE header is at 60, and DllCharacteristics 94 bytes behind its start
at=$(($(od -An -tu4 -j60 -N4 "$1") + 94))
value=$(($(od -An -tu2 -j$at -N2 "$1") | 0x100))
# shellcheck disable=SC2059 # the format is the bytes
printf "$(printf '\\%03o\\%03o' $((value & 255)) $((value >> 8)))" |
	dd of="$1" bs=1 seek=$at conv=notrunc status=none
