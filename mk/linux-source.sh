#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Fetch Debian's linux-source-6.1 and unpack its livepatch tests and samples into DIR/tree, with
# their hashes in DIR/sha256sums and the package's name in DIR/package.
#   mk/linux-source.sh DIR
set -eu

here=$(dirname "$0")
name=linux-source-6.1
mkdir -p "$1"
dir=$(cd "$1" && pwd)
APT_CONFIG=$("$here/apt.sh" "$dir/../apt")
export APT_CONFIG

cd "$dir"
rm -rf tree download
mkdir tree download
cd download
echo "linux source: $name"
# apt checks what it loads against the signed index
apt-get -qq download "$name"
dpkg-deb --show --showformat '${Package} ${Version}\n' "$name"_*.deb >../package
dpkg-deb --fsys-tarfile "$name"_*.deb | tar -xO "./usr/src/$name.tar.xz" | xz -dc -T0 |
	tar -xC ../tree --strip-components=1 "$name/lib/livepatch" "$name/samples/livepatch" \
		"$name/tools/testing/selftests/livepatch"
cd ..
rm -rf download
(cd tree && find . -type f | LC_ALL=C sort | xargs sha256sum) >sha256sums
chmod -R a-w tree
touch ready
