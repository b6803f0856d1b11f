#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A Debian system on a disk: IMAGE, an ext4 file system with the label `debian`, with systemd and udev,
# the modules of the kernel that GUEST_DIR has, and SHELL as a service that starts last.
#   mk/disk.sh IMAGE GUEST_DIR SHELL
# The packages are fetched and configured once (debian.tar beside IMAGE).
set -eu

here=$(dirname "$0")
image=$1
kernel=$2
shell=$3
system=$(dirname "$image")/debian.tar
log=build/logs/disk.log
mkdir -p "$(dirname "$image")" build/logs

APT_CONFIG=$("$here/apt.sh" build/apt)
sources=$(dirname "$APT_CONFIG")/sources.list
if [ ! -e "$system" ]; then
	echo "disk: Debian's base system"
	if ! mmdebstrap --variant=minbase --include=systemd-sysv,udev,kmod,procps bookworm \
		"$system.tmp.tar" "$sources" >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		echo "disk: mmdebstrap failed; the whole output is in $log" >&2
		exit 1
	fi
	mv "$system.tmp.tar" "$system"
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
rm -f "$image" "$image.tmp"
export system kernel shell root image here
# the files belong to root in the image, also if another user makes it
fakeroot sh -eu <<'END'
tar -xf "$system" -C "$root" --exclude=./dev/*
release=$(cat "$kernel/release")
mkdir -p "$root/lib/modules/$release"
cp -r "$kernel/modules/." "$root/lib/modules/$release/"
rm -f "$root/lib/modules/$release/build" "$root/lib/modules/$release/source"
depmod -b "$root" "$release"
"$here/put-shell.sh" "$root" "$shell"
echo 'LABEL=debian / ext4 defaults 0 0' >"$root/etc/fstab"
mke2fs -q -t ext4 -L debian -d "$root" "$image.tmp" 1G
END
mv "$image.tmp" "$image"
