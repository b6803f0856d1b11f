#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Download the package NAME (linux-source-6.1) of that VERSION to the file DEB, unless it is there. apt,
# whose configuration APT_CONFIG names, checks it against the signed index.
#   mk/source-deb.sh DEB NAME VERSION
set -eu

[ ! -e "$1" ] || exit 0
rm -rf "$1.new"
mkdir -p "$1.new"
if ! (cd "$1.new" && apt-get -qq download "$2=$3"); then
	echo "linux source: $2 $3 cannot be had (mirrors drop old ones); there are:" \
		$(apt-cache madison "$2" | awk '/Packages/ { print $3 }') >&2
	exit 1
fi
mv "$1.new"/*.deb "$1"
rmdir "$1.new"
