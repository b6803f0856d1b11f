#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each licence that a file's first lines name has its text in LICENSES/, and each text there is used.
set -u
status=0

named=$(git ls-files --cached --others --exclude-standard -- '*.[chS]' '*.py' '*.sh' '*.mk' '*.lds' Makefile |
	xargs -r sed -sn '1,2s/.*SPDX-License-Identifier: \([A-Za-z0-9. -]*[A-Za-z0-9]\).*/\1/p' |
	sed 's/ OR /\n/g; s/ AND /\n/g' | sort -u)
for licence in $named; do
	[ -s "LICENSES/$licence.txt" ] || {
		echo "lint: a file names the licence $licence, and LICENSES/$licence.txt is not there" >&2
		status=1
	}
done
for text in LICENSES/*.txt; do
	echo "$named" | grep -qxF "$(basename "$text" .txt)" || {
		echo "lint: no file names the licence of $text" >&2
		status=1
	}
done
exit $status
