#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Prepare a kernel's tree, so that single objects of it can be compiled as they were for the kernel.
#   prepare.sh SOURCE HEADERS RELEASE DIR ARCH CROSS_COMPILE
# SOURCE is a folder with the kernel's source, or a Debian package (linux-source-*.deb). HEADERS has
# the kernel's configuration. DIR/src, DIR/out, DIR/make and DIR/includes result; DIR/make is run as
#   make OPTION... TARGET...
set -eu

source=$1 headers=$2 release=$3 dir=$4 arch=$5 cross=$6
compiler=$(sed -n 's/^CONFIG_CC_VERSION_TEXT="\([^ ]*\).*/\1/p' "$headers/.config")
case $compiler in
*gcc*) compiler=gcc${compiler##*gcc} ;;
*)
	echo "the kernel was compiled with '$compiler', which is no gcc" >&2
	exit 2
	;;
esac
command -v "$cross$compiler" >/dev/null 2>&1 || {
	echo "the kernel was compiled with $compiler, and there is no $cross$compiler: install it" >&2
	exit 2
}

rm -rf "$dir/src" "$dir/out"
mkdir -p "$dir/src" "$dir/out"
case $source in
*.deb)
	echo "unpacking $source"
	name=$(dpkg-deb --field "$source" Package)
	dpkg-deb --fsys-tarfile "$source" | tar -xO "./usr/src/$name.tar.xz" | xz -dc -T0 |
		tar -xC "$dir/src" --strip-components=1
	;;
*)
	echo "copying $source"
	cp -al "$source/." "$dir/src" 2>/dev/null || cp -a "$source/." "$dir/src"
	chmod -R u+w "$dir/src"
	;;
esac
cp "$headers/.config" "$dir/out/.config"
# BTF needs no pahole for single objects; its version is part of the configuration
printf '#!/bin/sh\necho v%s\n' "$(sed -n 's/^CONFIG_PAHOLE_VERSION=\([0-9]\)\(.*\)/\1.\2/p' \
	"$headers/.config")" >"$dir/pahole"
cat >"$dir/make" <<END
#!/bin/sh
# The kernel's release and compiler are part of what is compiled.
exec make -s -C '$dir/src' O='$dir/out' ARCH=$arch CROSS_COMPILE=$cross CC=$cross$compiler \\
	HOSTCC=gcc KERNELRELEASE=$release PAHOLE='$dir/pahole' LOCALVERSION= KCFLAGS=-g0 "\$@"
END
chmod +x "$dir/pahole" "$dir/make"
echo "configuring"
"$dir/make" olddefconfig
for line in $(diff "$headers/.config" "$dir/out/.config" | sed -n 's/^[<>] \(CONFIG_[A-Z0-9_]*\)=.*/\1/p'); do
	case $line in
	CONFIG_CC_VERSION_TEXT | CONFIG_PAHOLE_VERSION | CONFIG_RUSTC*) ;;
	*) echo "note: $line differs from the kernel's configuration" ;;
	esac
done
echo "building the kernel's tools"
"$dir/make" -j"$(nproc)" modules_prepare
# Who includes what, so that the dependents of a header are found without reading all of it again.
cd "$dir/src"
grep -rE --include='*.[ch]' --exclude-dir=Documentation --exclude-dir=tools --exclude-dir=samples \
	--exclude-dir=scripts '^[ 	]*#[ 	]*include[ 	]*["<]' . | sed 's|^\./||' >"$dir/includes"
