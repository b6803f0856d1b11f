#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The resident copy is moved by adding one number to the words that its relocation table names.
# Refuse an image that would need anything else: another kind of relocation, a symbol from outside,
# or a relocated word in the code. On x86 refuse indirect branches as well: the guest could have trained
# what the processor predicts for them.
#   mk/check-image.sh IMAGE RELOCATION-KIND
set -eu

image=$1
kind=$2
bad=$(readelf -rW "$image" | awk -v kind="$kind" '$3 ~ /^R_/ && $3 != kind')
if [ -n "$bad" ]; then
	echo "$image: relocations other than $kind:" >&2
	echo "$bad" | head >&2
	exit 1
fi
bad=$(readelf -sW "$image" | awk '$5 != "LOCAL" && $7 == "UND" && $8 != "" { print $8 }')
if [ -n "$bad" ]; then
	echo "$image: undefined symbols:" >&2
	echo "$bad" >&2
	exit 1
fi
if readelf -d "$image" | grep -q TEXTREL; then
	echo "$image: relocations in the code (TEXTREL)" >&2
	exit 1
fi
case $kind in
R_X86_64_*)
	# the trampoline by which a CPU starts runs with no value of the guest's in its registers
	bad=$(${OBJDUMP:-objdump} -d --no-show-raw-insn "$image" |
		awk '/^[0-9a-f]+ </ { name = $2 } /(call|jmp) +\*/ &&
			name !~ /<(trampoline_start|long_mode)>/ { print name, $0 }')
	if [ -n "$bad" ]; then
		echo "$image: indirect branches:" >&2
		echo "$bad" | head >&2
		exit 1
	fi
	;;
esac
