#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Build suture.efi a second time, from a copy of the sources in a folder with another name and depth,
# and compare: same sources, same compiler, same file, whatever the folder, the time, the user's
# mask and the locale are.
#   mk/check-reproducible.sh SUTURE-EFI DIR [VARIABLE=VALUE...]
# SUTURE-EFI is the first build, below the folder that this is called in; DIR is made anew, and removed
# when the files are equal. Logs are in DIR/build.log.
set -eu

first=$1
dir=$2
shift 2
copy=$dir/second/copy
rm -rf "$dir"
mkdir -p "$copy/build"

git ls-files --cached --others --exclude-standard -- Makefile mk include monitor arch |
	while read -r file; do
		[ ! -e "$file" ] || echo "$file"
	done | tar -cf - -T - | tar -xf - -C "$copy"
# the unpacked libraries are inputs too; times are kept, so that nothing is fetched again
cp -a build/setup.stamp build/deps "$copy/build/"

umask 077
env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS LC_ALL=C TZ=Pacific/Chatham \
	"${MAKE:-make}" -C "$copy" "$@" "$first" >"$dir/build.log" 2>&1 || {
	tail -n 20 "$dir/build.log" >&2
	echo "reproducible: the second build failed; the whole output is in $dir/build.log" >&2
	exit 1
}
if ! cmp "$first" "$copy/$first" >&2; then
	echo "reproducible: two builds of the same sources differ: $first and $copy/$first" >&2
	echo "reproducible: the cause is a folder's name, a time, or an old object in the first build" >&2
	exit 1
fi
echo "reproducible: $(sha256sum "$first")"
rm -rf "$dir"
