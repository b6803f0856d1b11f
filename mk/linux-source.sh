#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Unpack files of Debian's linux-source-6.1 into DIR/tree, with their hashes in DIR/sha256sums and the
# package's name in DIR/package. The package is kept beside DIR, in debs/.
#   mk/linux-source.sh DIR VERSION PATH...
# VERSION is the package's (6.1.187-1), or `newest`; PATH may be a pattern of tar's.
set -eu

here=$(dirname "$0")
name=linux-source-6.1
version=$2
mkdir -p "$1" "$1/../debs"
dir=$(cd "$1" && pwd)
debs=$(cd "$1/../debs" && pwd)
shift 2
APT_CONFIG=$("$here/apt.sh" "$dir/../apt")
export APT_CONFIG

if [ "$version" = newest ]; then
	version=$(apt-cache policy "$name" | awk '$1 == "Candidate:" { print $2 }')
fi
echo "linux source: $name $version"
deb=$debs/${name}_${version}_all.deb
"$here/source-deb.sh" "$deb" "$name" "$version"
cd "$dir"
{
	dpkg-deb --show --showformat '${Package} ${Version}\n' "$deb"
	printf "$name/%s\n" "$@"
} >wanted
if [ -e ready ] && cmp -s wanted unpacked; then
	touch ready
	exit 0
fi
[ ! -e tree ] || chmod -R u+w tree
rm -rf tree ready
mkdir tree
head -n 1 wanted >package
sed 1d wanted >paths
dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/$name.tar.xz" | xz -dc -T0 |
	tar -xC tree --strip-components=1 --wildcards -T paths
(cd tree && find . -type f | LC_ALL=C sort | xargs sha256sum) >sha256sums
chmod -R a-w tree
mv wanted unpacked
touch ready
