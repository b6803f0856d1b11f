#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Build the files with which `make check-kselftest` boots: Linux's livepatch tests and samples from
# SOURCE (mk/linux-source.sh), built unchanged against our headers for the guest kernel in GUEST,
# and the programs of this Debian that the scripts call, as the file tree OUT/root.
#   mk/kselftest.sh OUT SOURCE GUEST AGENT
# AGENT is the agent's suture.ko.
set -eu

mkdir -p "$1"
out=$(cd "$1" && pwd)
source=$(cd "$2" && pwd)
guest=$(cd "$3" && pwd)
agent=$4
include=$(cd "$(dirname "$0")/../guest-agent/include" && pwd)
unset MAKEFLAGS MAKELEVEL MFLAGS
release=$(cat "$guest/release")
root=$out/root

(cd "$source/tree" && sha256sum --quiet -c ../sha256sums) || {
	echo "kselftest: $source/tree is not as it came: remove $source" >&2
	exit 1
}

# kbuild writes beside the sources: it gets links to them in a folder of its own
build() { # folder in the tree, CONFIG_ that its Makefile asks for
	rm -rf "${out:?}/$1"
	mkdir -p "$out/$1"
	ln -s "$source/tree/$1"/* "$out/$1/"
	make -s -C "$guest/kbuild" M="$out/$1" "$2=m" CONFIG_DEBUG_INFO_BTF_MODULES= KCFLAGS=-g0 \
		NOSTDINC_FLAGS="-nostdinc -I$include -isystem $(gcc -print-file-name=include)" \
		KBUILD_EXTRA_SYMBOLS="$include/Module.symvers" modules
}

build lib/livepatch CONFIG_TEST_LIVEPATCH
build samples/livepatch CONFIG_SAMPLE_LIVEPATCH

rm -rf "$root"
mkdir -p "$root/bin" "$root/tmp" "$root/dev" "$root/proc" "$root/sys" "$root/selftests" \
	"$root/lib/modules/$release"
cp "$source/tree"/tools/testing/selftests/livepatch/*.sh "$root/selftests/"
cp "$agent" "$out"/lib/livepatch/*.ko "$out"/samples/livepatch/*.ko "$root/lib/modules/$release/"
depmod -b "$root" "$release" 2>"$out/depmod.log" || { cat "$out/depmod.log" >&2; exit 1; }

for program in bash awk cat comm diff dirname dmesg grep id insmod mktemp modinfo modprobe rm rmmod \
	sed sha256sum sleep stat sysctl tr; do
	path=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v $program) || {
		echo "kselftest: no program $program here: make setup" >&2
		exit 1
	}
	cp -L "$path" "$root/bin/$program"
done
ldd "$root"/bin/* | sed -nE 's|.*[[:space:]](/[^ ]+) \(0x.*|\1|p' | sort -u |
	while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done
touch "$out/ready"
