#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Build the files with which `make check-kselftest` boots: Linux's livepatch tests and samples from
# SOURCE (mk/linux-source.sh), built unchanged against our headers for the guest kernel in GUEST,
# and Debian's programs that the scripts call, as the file tree OUT/root.
#   mk/kselftest.sh OUT SOURCE GUEST AGENT [USER]
# AGENT is the agent's suture.ko. USER has the programs of another architecture (mk/deb.sh); without it
# they are this machine's. CC is the compiler.
set -eu

mkdir -p "$1"
out=$(cd "$1" && pwd)
source=$(cd "$2" && pwd)
guest=$(cd "$3" && pwd)
agent=$4
user=${5:+$(cd "$5" && pwd)}
CC=${CC:-gcc}
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
		NOSTDINC_FLAGS="-nostdinc -I$include -isystem $($CC -print-file-name=include)" \
		KBUILD_EXTRA_SYMBOLS="$include/Module.symvers" modules
}

build lib/livepatch CONFIG_TEST_LIVEPATCH
build samples/livepatch CONFIG_SAMPLE_LIVEPATCH

rm -rf "$root"
mkdir -p "$root/bin" "$root/tmp" "$root/dev" "$root/proc" "$root/sys" "$root/selftests" \
	"$root/lib/modules/$release"
cp "$source/tree"/tools/testing/selftests/livepatch/*.sh "$root/selftests/"
cp "$agent" "$out"/lib/livepatch/*.ko "$out"/samples/livepatch/*.ko "$root/lib/modules/$release/"

# A kernel without CONFIG_LIVEPATCH refuses a module with MODULE_INFO(livepatch, "Y"): such a module is
# loaded under another tag, and modinfo, which the scripts ask for the tag, reads the module as built.
tags=
if ! grep -q '^CONFIG_LIVEPATCH=y' "$guest/kbuild/.config"; then
	tags=/built
	mkdir -p "$root$tags"
	cp -r "$root/lib" "$root$tags/"
	LC_ALL=C sed -i 's/livepatch=Y/klp_patch=Y/' "$root/lib/modules/$release"/*.ko
fi
for base in "$root" ${tags:+"$root$tags"}; do
	depmod -b "$base" "$release" 2>"$out/depmod.log" || { cat "$out/depmod.log" >&2; exit 1; }
done

# ---- programs and their libraries ----

missing() {
	echo "kselftest: no $1 in ${user:-this machine}: make setup" >&2
	exit 1
}

in_user() { # path of a program or library for its name: the first of FOLDERs that has it
	name=$1
	shift
	for folder in "$@"; do
		[ ! -f "$user$folder/$name" ] || { echo "$folder/$name"; return; }
	done
	missing "$name"
}

programs='bash awk cat comm diff dirname dmesg grep id insmod mktemp modinfo modprobe rm rmmod sed
	sha256sum sleep stat sysctl tr'
for program in $programs; do
	# what the packages of another architecture would be linked to
	case ${user:+$program} in
	insmod | modinfo | modprobe | rmmod) file=kmod ;;
	awk) file=mawk ;;
	*) file=$program ;;
	esac
	path=$(in_user $file /usr/sbin /usr/bin /sbin /bin)
	cp -L "$user$path" "$root/bin/$program"
done

# Copy the libraries that a FILE names, and those that they name.
libraries() {
	readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r library; do
		[ ! -e "$root/lib/$triplet/$library" ] || continue
		path=$(in_user "$library" "/lib/$triplet" "/usr/lib/$triplet")
		cp -L "$user$path" "$root/lib/$triplet/$library"
		libraries "$root/lib/$triplet/$library"
	done
}

triplet=$($CC -print-multiarch)
mkdir -p "$root/lib/$triplet"
for program in $programs; do
	libraries "$root/bin/$program"
done
loader=$(readelf -l "$root/bin/bash" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
mkdir -p "$root$(dirname "$loader")"
cp -L "$user$loader" "$root$loader"

if [ -n "$tags" ]; then
	mv "$root/bin/modinfo" "$root/bin/kmod-modinfo"
	printf '#!/bin/bash\nexec -a modinfo /bin/kmod-modinfo -b %s "$@"\n' "$tags" >"$root/bin/modinfo"
	chmod +x "$root/bin/modinfo"
fi
touch "$out/ready"
