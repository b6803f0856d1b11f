#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Refuse a PE file that would differ from build to build (a time in its header), that lacks .sbat or NX_COMPAT, that lacks
# the section for data that starts as zero or has it inside the file, or that is larger than 704 KiB.
#   mk/check-efi.sh FILE OBJDUMP
set -eu

file=$1
objdump=$2
limit=720896
refuse() {
	echo "$file: $1" >&2
	exit 1
}

# the offset of the PE header is at 60; TimeDateStamp is 8 bytes after the header's start
header=$(od -An -tu4 -j60 -N4 "$file")
stamp=$(od -An -tu4 -j$((header + 8)) -N4 "$file")
[ "$stamp" -eq 0 ] || refuse "TimeDateStamp is $((stamp)), not 0"

# the last section has a size and no contents
last=$("$objdump" -hw "$file" | awk '$1 ~ /^[0-9]+$/ { last = $0 } END { print last }')
case $last in
*.bss*CONTENTS*) refuse ".bss is in the file: $last" ;;
*.bss*ALLOC*) ;;
*) refuse "the last section is not .bss: $last" ;;
esac

"$objdump" -s -j .sbat "$file" | grep -q sbat,1, || refuse "no section .sbat that begins with sbat,1"
[ $(($(od -An -tu2 -j$((header + 94)) -N2 "$file") & 0x100)) -ne 0 ] || refuse "NX_COMPAT is not set"

size=$(stat -c %s "$file")
[ "$size" -le $limit ] || refuse "$size bytes, and $limit are allowed: see where they come from: nm -S --size-sort suture.so"
