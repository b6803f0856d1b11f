#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Fetch a source package of Debian 13 and unpack it, with Debian's patches, into DIR/PACKAGE. It comes
# from the mirror that mk/apt.sh has found for Debian 12, by an apt of its own; signatures are checked
# against Debian's keyring.
#   mk/trixie.sh DIR PACKAGE
set -eu

mkdir -p "$1/download" "$1/../apt/trixie"
dir=$(cd "$1" && pwd)
package=$2
bookworm=$("$(dirname "$0")/apt.sh" "$dir/../apt")
apt=$(cd "$dir/../apt/trixie" && pwd)

exec 9>"$apt/lock"
flock 9
sed -n 's/^deb-src \(.*\) bookworm main$/deb-src \1 trixie main/p' \
	"$(dirname "$bookworm")/sources.list" >"$apt/sources.list"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
: >"$apt/status"
cat >"$apt/apt.conf" <<-END
	Dir::Etc::sourcelist "$apt/sources.list";
	Dir::Etc::sourceparts "-";
	Dir::State "$apt";
	Dir::State::lists "$apt/lists";
	Dir::State::status "$apt/status";
	Dir::Cache "$apt/cache";
	Acquire::Languages "none";
	Acquire::Retries "3";
	APT::Sandbox::User "root";
END
export APT_CONFIG="$apt/apt.conf"

echo "deps: Debian 13's source package $package"
apt-get -qq --error-on=any update >&2
cd "$dir/download"
rm -rf "${package}"_*
# apt checks its downloads against the signed index, so dpkg-source need not check again
apt-get -qq source --download-only "$package"
rm -rf "${dir:?}/$package"
dpkg-source --no-check -x "${package}"_*.dsc "$dir/$package" >/dev/null
