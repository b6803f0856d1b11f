#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Install the Debian packages that the build and the tests need for $ARCH (mk/packages.txt), as root or
# through sudo. Says what it does; does nothing where all is there.
#   mk/setup.sh [PACKAGE...]    (these, instead of the list)
set -eu

list=$(dirname "$0")/packages.txt
arch=${ARCH:-x86}
missing=
for package in ${*:-$(awk -v arch="$arch" '!/^#/ && (NF == 1 || $2 == arch) { print $1 }' "$list")}; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
	echo "setup: all packages ${*:-of $list for ARCH=$arch} are installed"
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
