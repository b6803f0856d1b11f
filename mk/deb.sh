#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Unpack Debian 12's PACKAGEs of an ARCHITECTURE (Debian's name) into DIR; nothing is installed.
#   mk/deb.sh DIR ARCHITECTURE PACKAGE...
set -eu

here=$(dirname "$0")
rm -rf "$1"
mkdir -p "$1/download"
dir=$(cd "$1" && pwd)
architecture=$2
shift 2
APT_CONFIG=$("$here/apt.sh" build/apt bookworm "$architecture")
export APT_CONFIG

echo "deb: $* ($architecture)"
# apt checks its downloads against the signed index
(cd "$dir/download" && apt-get -qq download "$@")
for deb in "$dir"/download/*.deb; do
	dpkg -x "$deb" "$dir"
done
rm -rf "$dir/download"
