#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Pack an initramfs: BUSYBOX with all its commands, INIT as /init, and programs in /bin. BUSYBOX may be
# another architecture's; this machine's says which commands there are.
#   initramfs.sh OUTPUT BUSYBOX INIT PROGRAM...
set -eu

output=$1
busybox=$2
init=$3
shift 3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/etc" "$root/lib/modules"
cp "$busybox" "$root/bin/busybox"
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
