#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Install the Debian packages that the build and the tests need (mk/packages.txt), as root or
# through sudo. Says what it does; does nothing where all is there.
#   mk/setup.sh [PACKAGE...]    (these, instead of the list)
set -eu

list=$(dirname "$0")/packages.txt
missing=
for package in ${*:-$(grep -v '^#' "$list")}; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
	echo "setup: all packages ${*:-of $list} are installed"
	exit 0
fi

root=
if [ "$(id -u)" != 0 ]; then
	root=$(command -v sudo) || {
		echo "setup: not root and no sudo here; as root, run: apt-get install$missing" >&2
		exit 1
	}
fi
echo "setup: installing$missing"
log=build/logs/setup.log
mkdir -p build/logs
if ! {
	$root apt-get -q update &&
		$root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install \
			--no-install-recommends $missing
} >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "setup: apt-get failed; the whole output is in $log" >&2
	exit 1
fi
