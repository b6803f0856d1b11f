#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Write the notices that go with a binary: our own licence, then the copyright file of each Debian
# package whose code is in it.
#   mk/notices.sh OUTPUT LICENCE NAME=COPYRIGHT-FILE...
set -eu

output=$1
licence=$2
shift 2
heading() { printf '\n%s\n%s\n\n' "$1" '------------------------------------------------------------'; }

{
	echo 'Notices for suture.efi, the Suture monitor, and for the code of others that is in it.'
	heading 'Suture (BSD-2-Clause)'
	cat "$licence"
	for part in "$@"; do
		heading "${part%%=*}, as Debian describes it"
		cat "${part#*=}"
	done
} >"$output.tmp"
mv "$output.tmp" "$output"
