#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Pack an initramfs: busybox with all its commands, INIT as /init, and programs in /bin.
#   mk/initramfs.sh OUTPUT INIT PROGRAM...
set -eu

output=$1
init=$2
shift 2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/etc" "$root/lib/modules"
cp /bin/busybox "$root/bin/busybox"
for command in $(/bin/busybox --list); do
	[ -e "$root/bin/$command" ] || ln -s busybox "$root/bin/$command"
done
ln -s bin "$root/sbin"
cp "$init" "$root/init"
chmod 755 "$root/init"
for program in "$@"; do
	cp "$program" "$root/bin/"
done
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | gzip -9n >"$output.tmp"
mv "$output.tmp" "$output"
