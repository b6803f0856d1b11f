#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Fetch Debian source packages and unpack them, with Debian's patches, into DIR/<package>.
#   mk/deps.sh DIR PACKAGE...
set -eu

here=$(dirname "$0")
mkdir -p "$1/download"
dir=$(cd "$1" && pwd)
shift
APT_CONFIG=$("$here/apt.sh" "$dir/../apt")
export APT_CONFIG

cd "$dir/download"
for package in "$@"; do
	echo "deps: Debian source package $package"
	rm -rf "${package}"_*
	# apt checks its downloads against the signed index, so dpkg-source need not check again
	apt-get -qq source --download-only "$package"
	rm -rf "${dir:?}/$package"
	dpkg-source --no-check -x "${package}"_*.dsc "$dir/$package" >/dev/null
done
