#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Build create-diff-object, which suture build --diff runs, from Debian's kpatch source package, as
# DIR/create-diff-object.
#   mk/kpatch.sh DIR
set -eu

version=0.9.11
sum=b5f60ce70f7b471f937f1dc71695a3af762df27cc8e047a11c8790de02ee3598
here=$(dirname "$0")
mkdir -p "$1"
dir=$(cd "$1" && pwd)
unset MAKEFLAGS MAKELEVEL MFLAGS
APT_CONFIG=$("$here/apt.sh" "$dir/../../apt" sid)
export APT_CONFIG

echo "kpatch: Debian source package kpatch $version"
cd "$dir"
tarball=kpatch_$version.orig.tar.gz
# mirrors lack the package's description at times; the tarball is known by its hash
[ -e "$tarball" ] || apt-get -qq source --download-only kpatch >/dev/null 2>&1 || true
if ! echo "$sum  $tarball" | sha256sum --quiet -c; then
	echo "kpatch: $tarball of Debian's sid cannot be had" >&2
	exit 1
fi
rm -rf "kpatch-$version"
tar -xf "$tarball"
make -s -C "kpatch-$version/kpatch-build" create-diff-object
mv "kpatch-$version/kpatch-build/create-diff-object" .
rm -rf "kpatch-$version"
