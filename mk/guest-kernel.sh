#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Unpack the Debian kernel that a metapackage names, and what builds modules for it, into DIR;
# nothing is installed. DIR/vmlinuz, DIR/modules, DIR/kbuild (for make -C) and DIR/release result.
#   mk/guest-kernel.sh DIR METAPACKAGE
set -eu

here=$(dirname "$0")
mkdir -p "$1/download"
dir=$(cd "$1" && pwd)
meta=$2
APT_CONFIG=$("$here/apt.sh" "$dir/../../apt")
export APT_CONFIG

image=$(apt-cache depends "$meta" | awk '$1 == "Depends:" { print $2; exit }')
release=${image#linux-image-}
headers=linux-headers-$release
set -- $(apt-cache depends "$headers" |
	awk '$1 == "Depends:" && $2 ~ /-common$|^linux-kbuild-/ { print $2 }')
echo "guest kernel: $release"

cd "$dir/download"
rm -f ./*.deb
apt-get -qq download "$image" "$headers" "$@"
cd ..
rm -rf boot lib usr etc
for deb in download/*.deb; do
	dpkg -x "$deb" .
done
rm -rf download

# Debian's headers name their other half by its installed place
sed -i "s|/usr/src/|$dir/usr/src/|" "usr/src/$headers/Makefile"
ln -sfn "usr/src/$headers" kbuild
ln -sfn "lib/modules/$release" modules
ln -sfn "boot/vmlinuz-$release" vmlinuz
echo "$release" >release
