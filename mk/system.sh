#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A machine's disk as its administrator has it: IMAGE, with a GPT, an EFI system partition with shim and GRUB as
# Debian's installer puts them there, and Debian 12 with a kernel, systemd, and the packages of the folder
# OLD installed by apt. A repository with them is at /srv/suture/old, one with those of NEW at /srv/suture/new.
# SHELL is a service that starts last.
#   mk/system.sh IMAGE OLD NEW SHELL
set -eu

here=$(dirname "$0")
image=$1
old=$2
new=$3
shell=$4
log=build/logs/system.log
mkdir -p build/logs

APT_CONFIG=$("$here/apt.sh" build/apt)
sources=$(dirname "$APT_CONFIG")/sources.list

mkdir -p "$(dirname "$image")"
work=$(mktemp -d -p "$(dirname "$image")")
trap 'rm -rf "$work"' EXIT
repository() { # name, folder
	mkdir -p "$work/suture/$1"
	cp "$2"/*.deb "$work/suture/$1/"
	(cd "$work/suture/$1" && dpkg-scanpackages . >Packages 2>/dev/null)
}
repository old "$old"
repository new "$new"
chmod -R a+rX "$work"

# our packages come from the disk, as from an administrator's own mirror; what they need is there before
cat >"$work/install" <<'END'
#!/bin/sh
set -eu
only='-o Dir::Etc::SourceList=/etc/apt/sources.list.d/suture.list -o Dir::Etc::SourceParts=/dev/null'
echo 'deb [trusted=yes] file:///srv/suture/old ./' >"$1/etc/apt/sources.list.d/suture.list"
chroot "$1" apt-get $only update
DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get $only -y --no-install-recommends install suture-monitor suture-agent-dkms
END
chmod +x "$work/install"

echo "system: Debian 12 with a kernel and the packages of $old (some minutes)"
if ! mmdebstrap --variant=minbase \
	--include=systemd-sysv,udev,kmod,procps,initramfs-tools,linux-image-cloud-amd64,linux-headers-cloud-amd64 \
	--include=grub-efi-amd64-signed,shim-signed,dkms,efibootmgr,openssl,ca-certificates \
	--include=libcurl4,libarchive13,libdw1,libjansson4,libbpf1 \
	--customize-hook="copy-in $work/suture /srv" --customize-hook="$work/install" \
	bookworm "$work/system.tar" "$sources" >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "system: mmdebstrap failed; the whole output is in $log" >&2
	exit 1
fi

export shell work image here
# the files belong to root in the image, also if another user makes it
fakeroot sh -eu <<'END'
root=$work/root
mkdir "$root"
tar -xf "$work/system.tar" -C "$root" --exclude='./dev/*'
"$here/put-shell.sh" "$root" "$shell"
mkdir -p "$root/boot/efi"
cat >"$root/etc/fstab" <<-TABLE
	LABEL=debian / ext4 defaults 0 1
	LABEL=ESP /boot/efi vfat umask=0077 0 1
TABLE
cat >"$work/grub.cfg" <<-GRUB
	search --no-floppy --label debian --set=root
	linux /vmlinuz root=LABEL=debian console=ttyS0
	initrd /initrd.img
	boot
GRUB
mke2fs -q -t ext4 -L debian -d "$root" "$work/root.img" 3G
truncate -s 64M "$work/esp.img"
mkfs.vfat -n ESP "$work/esp.img" >/dev/null
mmd -i "$work/esp.img" ::/EFI ::/EFI/BOOT ::/EFI/debian
copy() {
	mcopy -i "$work/esp.img" "$1" "::/EFI/$2"
}
# the firmware starts shim by its default name, and shim's fallback makes the entry `debian`
copy "$root/usr/lib/shim/shimx64.efi.signed" BOOT/BOOTX64.EFI
copy "$root/usr/lib/shim/fbx64.efi.signed" BOOT/fbx64.efi
copy "$root/usr/lib/shim/BOOTX64.CSV" debian/BOOTX64.CSV
copy "$root/usr/lib/shim/shimx64.efi.signed" debian/shimx64.efi
copy "$root/usr/lib/shim/mmx64.efi.signed" debian/mmx64.efi
copy "$root/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" debian/grubx64.efi
copy "$work/grub.cfg" debian/grub.cfg
END
rm -f "$image.tmp"
truncate -s 3200M "$image.tmp"
/sbin/sfdisk -q "$image.tmp" <<-TABLE
	label: gpt
	size=64MiB, type=uefi
	size=3GiB, type=linux
TABLE
dd if="$work/esp.img" of="$image.tmp" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$work/root.img" of="$image.tmp" bs=1M seek=65 conv=notrunc,sparse status=none
mv "$image.tmp" "$image"
