#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Fetch a kernel of Debian's, by apt, into DIR: DIR/kernel has its image, modules and headers, as
# guest-kernel.sh unpacks them, and with `source` DIR/linux-source.deb is what it was built from.
#   fetch.sh DIR RELEASE [source]
set -eu

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
	echo "a kernel is fetched by apt, which this machine has not" >&2
	exit 1
}
here=$(cd "$(dirname "$0")" && pwd)
tools=$here
[ -e "$here/guest-kernel.sh" ] || tools=$here/../mk
dir=$1 release=$2
[ -e "$dir/kernel/release" ] || "$tools/guest-kernel.sh" "$dir/kernel" "$release"
[ "${3:-}" = source ] || exit 0
read -r suite version <"$dir/kernel/package"
APT_CONFIG=$("$tools/apt.sh" "$dir/../apt" "$suite")
export APT_CONFIG
series=$(echo "$version" | cut -d. -f 1,2)
"$tools/source-deb.sh" "$dir/linux-source.deb" "linux-source-$series" "$version"
