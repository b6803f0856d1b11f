#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The Debian packages of this tree under a later version, in build/next/build/deb: for the test of an upgrade.
set -eu
unset MAKEFLAGS MAKELEVEL MFLAGS GUEST SUTURE_PLATFORM

next=build/next
version=$(sed -n 's/^#define MONITOR_VERSION "\(.*\)"/\1/p' monitor/core/version.h)
rm -rf "$next"
mkdir -p "$next/build"
tar -cf - --exclude=./build --exclude=./.git . | tar -xf - -C "$next"
# what both versions have need not be built again
for part in apt deps x86 arm64 ctl agent setup.stamp setup-arm64.stamp; do
	[ ! -e "build/$part" ] || cp -a "build/$part" "$next/build/"
done
cd "$next"
sed -i "s/^\(#define MONITOR_VERSION \"$version\)/\1.1/" monitor/core/version.h
sed -i "1s/($version)/($version.1)/" debian/changelog
exec make -s deb
