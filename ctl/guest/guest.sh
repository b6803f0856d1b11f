#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A guest under the monitor in QEMU, on this machine (suture try, suture vm).
#   guest.sh try|vm SUTURE KERNEL RUN KEEP [DIR|FILE]
# SUTURE is the command; KERNEL a release, as `uname -r` prints it, or empty; RUN a command for the guest, or
# empty; KEEP is 1 for a guest that stays.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mode=$1 suture=$2 release=$3 run=$4 keep=$5 patch=${6:-}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/suture
guest_ip=10.0.2.15
emulator=

say() {
	echo "suture: $*"
}
die() {
	say "$@" >&2
	exit 1
}
# what is done, as one would type it
step() {
	prompt=$1
	shift
	printf '%s %s\n' "$prompt" "$*"
}

# ---- the parts ----

# SUTURE_MACHINE: another architecture than this machine's, for tests
machine=${SUTURE_MACHINE:-$(uname -m)}
case $machine in
x86_64)
	arch=x86 debian=amd64 image=suture.efi loader=BOOTX64.EFI debug_port=0x402
	firmware=/usr/share/OVMF/OVMF_CODE_4M.fd firmware_package=ovmf emulator_package=qemu-system-x86
	console=ttyS0 shell=ttyS1
	;;
aarch64)
	arch=arm64 debian=arm64 image=sutureaa64.efi loader=BOOTAA64.EFI debug_port=0x9000000
	firmware=/usr/share/AAVMF/AAVMF_CODE.fd firmware_package=qemu-efi-aarch64 emulator_package=qemu-system-arm
	console=ttyAMA0 shell=ttyS0
	;;
*) die "there is no monitor for $machine" ;;
esac

# in the source tree, or as installed; $kernels: the folders of kernels that were fetched
kernels=$(echo "$cache/guest"/*/kernel)
if [ -e "$here/../table.c" ]; then
	top=$(cd "$here/../.." && pwd)
	monitor=$top/build/$arch/$image agent=$top/guest-agent abi=$top/include
	helper=$(find "$top/build/agent" -path "*-$debian/suture-load" 2>/dev/null | head -n 1)
	fetch=$top/ctl/fetch.sh kernels="$(echo "$top/build/guest"/*) $kernels"
	missing="make image ctl agent"
else
	prefix=$(cd "$here/../../.." && pwd)
	monitor=$prefix/lib/suture/$image agent=$(echo "$prefix"/src/suture-agent-*)
	abi=$agent/abi helper=$prefix/lib/suture/suture-load
	fetch=$prefix/share/suture/debian/fetch.sh
	missing="install the packages suture-monitor and suture-agent-dkms"
fi
busybox=${SUTURE_BUSYBOX:-/bin/busybox}

need_program() {
	command -v "$1" >/dev/null || die "$1 is not there: install the package $2"
}
need_program "qemu-system-$machine" $emulator_package
need_program mcopy mtools
need_program cpio cpio
need_program busybox busybox-static
need_program make make
need_program flock util-linux
[ -r $firmware ] || die "$firmware is not there: install the package $firmware_package"
for part in "$monitor" "$agent/Makefile" "$abi/suture/abi.h" "$helper"; do
	[ -r "$part" ] || die "${part:-suture-load} is not there: $missing"
done

# ---- the kernel ----

# Is there a kernel $1 with its headers below the folder $2, this machine's root or one that fetch.sh or the
# tree's tests have made? Sets $headers, $vmlinuz and $modules.
has_kernel() {
	if [ "$2" = / ]; then
		headers=/lib/modules/$1/build vmlinuz=/boot/vmlinuz-$1 modules=/lib/modules/$1/kernel
	else
		[ "$(cat "$2/release" 2>/dev/null)" = "$1" ] || return 1
		headers=$2/kbuild vmlinuz=$2/vmlinuz modules=$2/modules/kernel
	fi
	[ -e "$headers/Makefile" ] && [ -r "$vmlinuz" ]
}

find_kernel() {
	for folder in / $kernels; do
		! has_kernel "$1" "$folder" || return 0
	done
	return 1
}

# This machine's own kernel, if it has headers; else one that was fetched before; else the newest of Debian 12.
choose_kernel() {
	if [ -z "$release" ] && [ "$machine" = "$(uname -m)" ] && has_kernel "$(uname -r)" /; then
		release=$(uname -r)
	fi
	# shellcheck disable=SC2086 # several folders
	[ -n "$release" ] || release=$(find $kernels -maxdepth 1 -name release -exec cat {} + 2>/dev/null |
		grep -e "-$debian\$" | sort -V | tail -n 1)
	wanted=${release:-6.1-cloud-$debian}
	if [ -z "$release" ] || ! find_kernel "$release"; then
		say "fetching the kernel $wanted with its headers"
		"$fetch" "$cache/guest/$wanted" "$wanted" || die "the kernel $wanted cannot be fetched: install one with" \
			"its headers, and name it with --kernel"
		release=$(cat "$cache/guest/$wanted/kernel/release")
		has_kernel "$release" "$cache/guest/$wanted/kernel" || die "$cache/guest/$wanted/kernel is not complete: remove it"
	fi
}

# The agent's module for that kernel; what has not changed is not compiled again.
build_agent() {
	module=$cache/agent/$release/suture.ko
	mkdir -p "${module%/*}"
	find "${module%/*}" -maxdepth 1 -type l -delete
	ln -sf "$agent"/* "${module%/*}/"
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "${module%/*}" KDIR="$headers" INCLUDE="$abi" \
		>"$work/agent.log" 2>&1 || {
		tail -n 20 "$work/agent.log" >&2
		die "the agent does not compile for the kernel $release"
	}
	cp "$module" "$work/suture.ko"
	strip --strip-debug "$work/suture.ko" 2>/dev/null || true
}

# ---- the machine ----

free_port() {
	port=$((20000 + $$ % 20000))
	while grep -qi "^ *[0-9]*: [0-9A-F]*:$(printf %04X $port) " /proc/net/tcp; do
		port=$((port + 1))
	done
}

make_keys() {
	"$suture" keys "$work/keys" 127.0.0.1 >"$work/keys.log"
	sed -i "s/^host = .*/host = 127.0.0.1:$port/" "$work/keys/contexts"
	export SUTURE_CONFIG="$work/keys/contexts" SUTURE_CONTEXT=operate
	unset SUTURE_HOST SUTURE_CA SUTURE_CERT SUTURE_KEY
}

# What the first process runs before the shell (init).
write_rc() {
	mkdir -p "$work/root/etc" "$work/root/lib/modules" "$work/root/usr/lib/suture"
	cp "$work/suture.ko" "$work/root/lib/modules/"
	cp "$helper" "$work/root/usr/lib/suture/"
	cat >"$work/root/etc/rc" <<-'END'
		#!/bin/sh
		insmod /lib/modules/suture.ko || echo "suture: the agent is not loaded" >/dev/console
	END
	[ "$mode" = try ] || cat >>"$work/root/etc/rc" <<-'END'
		(setsid cttyhack sh -l; poweroff -f) </dev/console >/dev/console 2>&1 &
	END
	chmod 755 "$work/root/etc/rc"
}

make_disk() {
	write_rc
	sh "$here/initramfs.sh" "$work/initrd" "$busybox" "$here/init" "$here/guest-shell"
	# the archives of an initramfs each begin at a multiple of four bytes
	truncate -s %4 "$work/initrd"
	(cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) >>"$work/initrd"
	cat >"$work/suture.conf" <<-END
		next=\\vmlinuz.efi
		cmdline=console=$console shell=$shell rdinit=/init panic=1 $quiet initrd=\\initrd
		nic=00:04.0
		ip=$guest_ip/24
		gateway=10.0.2.2
		debug_port=$debug_port
	END
	[ $arch != x86 ] || sed -i 's/ panic=1/& no_timer_check/' "$work/suture.conf"
	esp=$work/esp.img
	mformat -C -i "$esp" -T 262144 -h 16 -s 63 ::
	mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/EFI/suture
	mcopy -i "$esp" "$monitor" "::/EFI/BOOT/$loader"
	mcopy -i "$esp" "$work/suture.conf" "$work/keys/keys.pem" ::/EFI/suture/
	mcopy -i "$esp" "$vmlinuz" ::/vmlinuz.efi
	mcopy -i "$esp" "$work/initrd" ::/initrd
}

# $1: where the console is, as a chardev
start_machine() {
	console_device=$1
	mkfifo "$work/shell.in" "$work/shell.out"
	set -- -nodefaults -no-user-config -display none -no-reboot -accel tcg,thread=single -m 1G -smp 3 \
		-drive "if=pflash,format=raw,readonly=on,file=$firmware" \
		-netdev "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:$port-$guest_ip:8443" \
		-device e1000e,netdev=n0,addr=4,romfile= \
		-drive "if=none,id=esp,format=raw,file=$esp" -device virtio-blk-pci,drive=esp,addr=3,bootindex=1 \
		-chardev "$console_device,id=console" -serial chardev:console -chardev "pipe,id=shell,path=$work/shell"
	case $arch in
	# QEMU 7.2 sets the flags of CMPXCHG16B wrongly, which kernels since 6.2 use
	x86) set -- "$@" -machine q35 -cpu EPYC,-cx16 -serial chardev:shell \
		-debugcon "file:$work/monitor.log" -global isa-debugcon.iobase=$debug_port ;;
	arm64) set -- "$@" -machine virt,virtualization=on,gic-version=3 -cpu cortex-a72 \
		-device pci-serial,chardev=shell,addr=5 -device virtio-rng-pci,addr=6 ;;
	esac
	# a shell gives a command in the background no input; the machine does not outlive this script
	setpriv --pdeathsig TERM "qemu-system-$machine" "$@" <&3 2>"$work/qemu.log" &
	emulator=$!
}

stop_machine() {
	[ -z "$emulator" ] || kill "$emulator" 2>/dev/null || true
	[ -z "$emulator" ] || wait "$emulator" 2>/dev/null || true
	emulator=
}

# The guest's user space. A boot takes half a minute, on a busy machine some minutes.
wait_ready() {
	for _ in $(seq 1200); do
		! grep -q "GUEST READY" "$work/console.log" 2>/dev/null || return 0
		kill -0 "$emulator" 2>/dev/null || break
		sleep 0.5
	done
	tail -n 15 "$work/console.log" "$work/qemu.log" >&2
	die "the guest did not come up; its console is above"
}

# The agent's first message to the monitor.
wait_agent() {
	for _ in $(seq 60); do
		! "$suture" status -o json 2>/dev/null | tr -d ' \n' | grep -q '"agent":true' || return 0
		sleep 0.5
	done
	"$suture" status >&2 || true
	die "the agent in the guest does not report to the monitor"
}

# What the firmware wrote to the shell's line goes before the first answer.
begin_shell() {
	echo true | base64 >"$work/shell.in"
	while read -r line && [ "$line" != "@@ 0" ]; do :; done <"$work/shell.out"
}

# A command in the guest, with its output.
in_guest() {
	[ -n "$1" ] || return 0
	step 'guest#' "$1"
	{ printf '%s' "$1" | base64 -w0 && echo; } >"$work/shell.in"
	blank=
	while read -r line; do
		case $line in
		"@@ 0") return 0 ;;
		"@@ "*) say "(exit status ${line#@@ })" && return 0 ;;
		# the last empty line belongs to the answer's end
		"") blank="$blank
" && continue ;;
		esac
		printf '%s    %s\n' "$blank" "$line"
		blank=
	done <"$work/shell.out"
}

host() {
	step 'host$' suture "$@"
	{ "$suture" "$@" 2>&1 || echo "suture $1 ended with status $?" >"$work/failed"; } | sed 's/^/    /'
	[ ! -e "$work/failed" ] || die "$(cat "$work/failed")"
}

# ---- the commands ----

finish() {
	status=$?
	trap - EXIT
	stop_machine
	case $status in
	0 | 130) rm -rf "$work" ;;
	*) say "the logs are in $work" >&2 ;;
	esac
	exit "$status"
}

# How to talk to this guest, for people and for their shell.
tell() {
	cat >"$work/environment" <<-END
		export SUTURE_CONFIG='$SUTURE_CONFIG' SUTURE_CONTEXT=operate
		HEADERS='$headers' VMLINUZ='$vmlinuz' MODULES='$modules' SIGNER='$work/keys/signer.key'
	END
	say "the guest runs $release; from another terminal:"
	echo "    . $work/environment"
	echo "    suture status"
}

do_try() {
	case $patch in
	*.sut) cp "$patch" "$work/patch.sut" ;;
	*) host build "$patch" --kernel "$headers" --vmlinuz "$vmlinuz" --modules "$modules" -o "$work/patch.sut" ;;
	esac
	"$suture" sign "$work/patch.sut" --key "$work/keys/signer.key" >/dev/null
	name=$("$suture" inspect "$work/patch.sut" -o json | sed -nE 's/^ *"name": "([^"]*)".*/\1/p' | head -n 1)
	say "booting $release under the monitor in QEMU: half a minute or more"
	start_machine "file,path=$work/console.log"
	wait_ready
	wait_agent
	begin_shell
	in_guest "$run"
	host apply "$work/patch.sut" --timeout 120
	in_guest "$run"
	if [ "$keep" = 1 ]; then
		tell
		say "the patch $name stays applied; Ctrl-C ends the guest"
		wait "$emulator" || true
		return
	fi
	host revert "$name" --timeout 120
	in_guest "$run"
	if grep -E 'WARNING: CPU|BUG:|Oops|Kernel panic' "$work/console.log"; then
		die "the guest's kernel complains: see above"
	fi
	say "$name was applied and reverted"
}

do_vm() {
	tell
	say "its console comes here; exit in its shell, or Ctrl-A X, ends it"
	start_machine "stdio,mux=on,signal=off,logfile=$work/console.log"
	wait "$emulator" || true
}

exec 3<&0
mkdir -p "$cache/guest"
quiet=
if [ "$mode" = vm ] || [ "$keep" = 1 ]; then
	# one at a time, so that its folder has a name that can be typed
	work=$cache/vm quiet=quiet
	exec 9>"$cache/vm.lock"
	flock -n 9 || die "a guest of yours runs already, in $work"
	rm -rf "$work"
	mkdir "$work"
else
	work=$(mktemp -d)
fi
trap finish EXIT
trap 'exit 130' INT TERM
choose_kernel
free_port
make_keys
build_agent
make_disk
"do_$mode"
