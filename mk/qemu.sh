#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Unpack the QEMU of bookworm-backports into DIR, with what it needs and this machine has not;
# nothing is installed. DIR/qemu-system-x86_64 runs it; DIR/version is its version.
#   mk/qemu.sh DIR
# Multi-threaded emulation runs code that another CPU has just overwritten, before 8.1 most often
# (docs/testing.md).
set -eu

here=$(dirname "$0")
release=bookworm-backports
oldest=8.1
rm -rf "$1"
mkdir -p "$1/download/partial"
dir=$(cd "$1" && pwd)
APT_CONFIG=$("$here/apt.sh" "$dir/../apt" "$release")
export APT_CONFIG

# apt works from a copy of the list of what is installed, and takes no lock of the host's; a QEMU that is
# installed does not count
awk 'BEGIN { RS = ""; ORS = "\n\n" } !/^Package: (qemu-|seabios)/' /var/lib/dpkg/status >"$dir/status"
apt-get -qq -y -t "$release" -o Dir::State::status="$dir/status" \
	-o Dir::Cache::Archives="$dir/download" \
	install --no-install-recommends --download-only qemu-system-x86
for deb in "$dir"/download/*.deb; do
	dpkg -x "$deb" "$dir"
done
rm -rf "$dir/download" "$dir/status" "$dir"/lock*

libraries=usr/lib/$(gcc -print-multiarch)
cat >"$dir/qemu-system-x86_64" <<END
#!/bin/sh
dir=\$(dirname "\$0")
export LD_LIBRARY_PATH="\$dir/$libraries" QEMU_MODULE_DIR="\$dir/$libraries/qemu"
exec "\$dir/usr/bin/qemu-system-x86_64" -L "\$dir/usr/share/qemu" -L "\$dir/usr/share/seabios" "\$@"
END
chmod 755 "$dir/qemu-system-x86_64"
version=$("$dir/qemu-system-x86_64" --version | sed -nE 's/^QEMU emulator version ([0-9.]+).*/\1/p')
echo "qemu: $version of $release"
if ! dpkg --compare-versions "${version:-0}" ge "$oldest"; then
	echo "qemu: $release has '$version', and tests of races need $oldest or newer" >&2
	exit 1
fi
echo "$version" >"$dir/version"
