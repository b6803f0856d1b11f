#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Unpack the Debian kernel that GUEST names, with its headers and kbuild, into DIR; nothing is
# installed. DIR/vmlinuz, DIR/modules, DIR/kbuild (for make -C), DIR/release and DIR/package (Debian's
# suite and version) result. GUEST is
# VERSION-FLAVOUR, the newest kernel of a Debian release (6.1-cloud-amd64; `sid` is a VERSION too),
# or the whole name of one kernel (6.1.0-53-cloud-amd64), as `uname -r` prints it. Debian's mirrors
# keep the last few of those. Its last word is Debian's name of the architecture. The programs that
# build modules (linux-kbuild) are those of this host's architecture. If this Debian's compiler and
# libraries are too old for it, those of its own release are unpacked as well.
#   mk/guest-kernel.sh DIR GUEST
set -eu

here=$(dirname "$0")
version=${2%%-*}
exact=
case $version in
5.10.* | 6.1.* | 6.12.*) exact=$2 ;;
esac
case $version in
5.10 | 5.10.*) suite=bullseye ;;
6.1 | 6.1.*) suite=bookworm ;;
6.12 | 6.12.*) suite=bookworm-backports ;;
sid) suite=sid ;;
*)
	echo "kernel: $2 is none of Debian's 5.10-*, 6.1-*, 6.12-* and sid-*, and no release of these" \
		"(6.1.0-53-cloud-amd64)" >&2
	exit 1
	;;
esac
meta=linux-image-${2#*-}
native=$(dpkg --print-architecture)
architecture=${2##*-}
case $architecture in
amd64) triplet=x86_64-linux-gnu ;;
arm64) triplet=aarch64-linux-gnu ;;
*)
	echo "kernel: $2 does not end with -amd64 or -arm64" >&2
	exit 1
	;;
esac

mkdir -p "$1/download"
dir=$(cd "$1" && pwd)
native_config=$("$here/apt.sh" "$dir/../../apt" "$suite")
APT_CONFIG=$("$here/apt.sh" "$dir/../../apt" "$suite" "$architecture")
export APT_CONFIG
# backports are used only if they are requested
apt_get="apt-get -qq -y"
apt_cache=apt-cache
if [ "$suite" = bookworm-backports ]; then
	apt_get="$apt_get -t $suite"
	apt_cache="$apt_cache -o APT::Default-Release=$suite"
fi

# What PACKAGE depends on, where the name matches PATTERN.
depends() {
	$apt_cache depends "$1" | awk -v pattern="$2" '$1 == "Depends:" && $2 ~ pattern { print $2 }'
}

# The kernels of the wanted version that the mirror has.
kernels() {
	$apt_cache pkgnames linux-image- | sed -nE "s/^linux-image-(${version%.*}\.[0-9].*)/\1/p" |
		grep -v -e -dbg -e -unsigned | sort -V
}

if [ -n "$exact" ]; then
	image=linux-image-$exact
	if ! $apt_cache show "$image" >/dev/null 2>&1; then
		echo "kernel: $suite has no kernel $exact (mirrors drop old ones); it has:" \
			$(kernels) >&2
		exit 1
	fi
else
	image=$(depends "$meta" '^linux-image-')
fi
release=${image#linux-image-}
case $suite/$release in
sid/*) ;;
*/"$version".* | */"${exact:-none}") ;;
*)
	echo "kernel: $meta of $suite is '$release' now, not $version" >&2
	exit 1
	;;
esac
headers=linux-headers-$release
echo "kernel: $release"

cd "$dir/download"
rm -f ./*.deb
# since 7.0 the image is a package without files, which needs linux-binary and linux-modules
$apt_get download "$image" $(depends "$image" '^linux-(binary|modules)-') \
	"$headers" $(depends "$headers" '-common(-rt)?$')
APT_CONFIG=$native_config $apt_get download $(depends "$headers" '^linux-kbuild-')
if [ "$suite" = sid ]; then
	compiler=$(depends "$headers" '^gcc-')
	[ "$architecture" = "$native" ] || compiler=${compiler%-for-host}-$triplet
	APT_CONFIG=$native_config $apt_get install --no-install-recommends --download-only \
		-o Dir::Cache::Archives="$PWD" "$compiler" $(depends "$headers" '^linux-kbuild-')
fi
cd ..
rm -rf boot lib usr etc
for deb in download/*.deb; do
	dpkg -x "$deb" .
done
rm -rf download

# Debian's headers refer to the common headers and the compiler by their installed paths
sed -i "s|/usr/src/|$dir/usr/src/|" "usr/src/$headers/Makefile"
[ "$architecture" = "$native" ] ||
	echo "override CROSS_COMPILE = $triplet-" >>"usr/src/$headers/.kernelvariables"
case $suite in
bullseye)
	sed -i 's/gcc-10$/gcc/' "usr/src/$headers/.kernelvariables"
	;;
sid)
	sed -i "s|^override CROSS_COMPILE = |&$dir/usr/bin/|" "usr/src/$headers/.kernelvariables"
	# gcc looks for its assembler and linker in its own folder first
	for folder in usr/libexec/gcc*/"$triplet"/*/; do
		ln -s "$dir/usr/bin/$triplet-as" "$folder/as"
		ln -s "$dir/usr/bin/$triplet-ld" "$folder/ld"
	done
	# programs of sid run with the libraries of sid
	libraries=$dir/usr/lib/$(gcc -print-multiarch)
	for file in $(find usr/bin usr/libexec usr/lib/linux-kbuild-* -type f -perm /111); do
		if patchelf --print-interpreter "$file" >/dev/null 2>&1; then
			patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" \
				--force-rpath --set-rpath "$libraries" "$file"
		fi
	done
	;;
esac
ln -sfn "usr/src/$headers" kbuild
[ -d "lib/modules/$release" ] || ln -sfn usr/lib lib
ln -sfn "lib/modules/$release" modules
[ -e "boot/vmlinuz-$release" ] && ln -sfn "boot/vmlinuz-$release" vmlinuz ||
	ln -sfn "modules/vmlinuz" vmlinuz
echo "$suite $($apt_cache show --no-all-versions "$image" | sed -n 's/^Version: //p')" >package
echo "$release" >release
