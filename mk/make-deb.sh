#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The Debian packages of this tree, in build/deb; the monitor's has the images of both architectures.
set -eu
unset MAKEFLAGS MAKELEVEL MFLAGS GUEST SUTURE_PLATFORM

log=build/logs/deb.log
rm -rf build/deb
mkdir -p build/deb build/logs
make -s image ctl agent
make -s image ARCH=arm64
if ! { fakeroot debian/rules clean && fakeroot debian/rules binary; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "deb: the whole output is in $log" >&2
	exit 1
fi
fakeroot debian/rules clean >>"$log" 2>&1
lintian --fail-on error,warning build/deb/*.deb
ls build/deb/*.deb
