#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Build Bochs, which emulates Intel VMX, from the sources of Debian 13 into DIR; nothing is installed.
# DIR/bin/bochs runs it; DIR/version is its version.
#   mk/bochs.sh DIR
# Debian 12's own (2.7) is four times slower, and INIT stays pending in it under a monitor. The
# mirror's index of sources need not have it (mk/apt.sh reads Debian 12's): the archive is named by its
# contents here.
set -eu

here=$(dirname "$0")
version=3.0
archive=bochs_$version+dfsg.orig.tar.xz
sum=78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b
mkdir -p "$1"
dir=$(cd "$1" && pwd)
unset MAKEFLAGS MAKELEVEL MFLAGS
APT_CONFIG=$("$here/apt.sh" "$dir/../../apt")
export APT_CONFIG
mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
	awk '$1 == "bookworm" { print $2; exit }')

cd "$dir"
rm -rf source install version
echo "bochs: fetch $version"
# apt-helper compares the contents with the sum
if ! echo "$sum  $archive" | sha256sum --check --status 2>/dev/null; then
	/usr/lib/apt/apt-helper download-file "${mirror%/}/pool/main/b/bochs/$archive" "$archive" \
		"SHA256:$sum" >download.log 2>&1 || {
		cat download.log >&2
		echo "bochs: $archive cannot be had from ${mirror%/}: set SUTURE_MIRROR to a mirror of Debian" \
			"that has it" >&2
		exit 1
	}
fi
mkdir source
tar -xf "$archive" --strip-components=1 -C source
echo "bochs: build $version (two minutes)"
cd source
# With several CPUs it does not commit the instruction pointer of an exception that it has delivered (with
# one CPU it does, in cpu_loop()). An NMI that exits right behind it saves the old one, with the handler's
# CS and RSP.
sed -i '/^void BX_CPU_C::cpu_run_trace(void)$/,/^{$/ s/^{$/{\n  BX_CPU_THIS_PTR prev_rip = RIP;/' cpu/cpu.cc
grep -q '^  BX_CPU_THIS_PTR prev_rip = RIP;$' cpu/cpu.cc
# The graphical and sound interfaces are left out: they need libraries that a server has not.
{
	CFLAGS='-O2 -w' CXXFLAGS='-O2 -w' ./configure --prefix="$dir/install" --with-nogui \
		--disable-docbook --enable-all-optimizations --enable-cpu-level=6 --enable-x86-64 \
		--enable-vmx=2 --enable-svm --enable-avx --enable-evex --enable-smp --enable-pci \
		--enable-e1000 --enable-ne2000 --enable-fpu --enable-memtype &&
		make -j"$(nproc)" &&
		make install
} >"$dir/build.log" 2>&1 || {
	tail -n 20 "$dir/build.log" >&2
	echo "bochs: the build failed ($dir/build.log)" >&2
	exit 1
}
cd "$dir"
rm -rf source
echo "$version" >version
