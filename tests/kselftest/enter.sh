#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In the guest: run a command among Debian's programs and Linux's test modules, where /sys is as the
# livepatch selftests expect it: what the kernel's own livepatch has in /sys/kernel/livepatch comes
# from Suture.
#   enter.sh COMMAND...
root=/kselftest

bind() { # folder of the guest, folder below
	mkdir -p "$root$2"
	grep -q " $root$2 " /proc/mounts || mount -o bind "$1" "$root$2"
}

bind /proc /proc
bind /dev /dev
bind /sys/module /sys/module
bind /sys/kernel/debug /sys/kernel/debug
bind /sys/kernel/suture /sys/kernel/livepatch
PATH=/bin exec chroot "$root" "$@"
