#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# An apt of our own under DIR: prints the name of its configuration (for APT_CONFIG), with fresh
# package lists. It reads the packages (and Debian 12's sources) of one RELEASE from the mirrors
# that this machine uses already, and touches nothing of the host's apt: own lists, own cache, own
# state. Signatures are checked against Debian's keyring.
#   mk/apt.sh DIR [RELEASE]
# RELEASE is bookworm (Debian 12, the default), bullseye, bookworm-backports or sid.
set -eu

release=${2:-bookworm}
[ "$release" = bookworm ] && dir=$1 || dir=$1/$release
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

types=deb
options=signed-by=$keyring
case $release in
bookworm)
	suites='bookworm bookworm-updates bookworm-security'
	types='deb deb-src'
	;;
bullseye) suites='bullseye bullseye-security' ;;
bookworm-backports) suites='bookworm bookworm-updates bookworm-security bookworm-backports' ;;
sid)
	suites=sid
	# a mirror whose sid is some weeks old has a kernel that is new enough
	options="$options check-valid-until=no"
	;;
*)
	echo "apt: release '$release' is not known here" >&2
	exit 1
	;;
esac

# The first mirror that serves one of the SUITEs here.
mirror() {
	for suite in "$@"; do
		apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' \
			'Origin: Debian' 2>/dev/null |
			awk -v suite="$suite" '$1 == suite { print $2; exit }'
	done | head -n 1
}

exec 9>"$dir/lock"
flock 9
if [ -z "$(find "$dir/updated" -mmin -720 2>/dev/null)" ]; then
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	for suite in $suites; do
		case $suite in
		*-security)
			uri=$(mirror "$suite" bookworm-security)
			uri=${uri:-http://deb.debian.org/debian-security}
			;;
		*)
			uri=$(mirror "$suite" bookworm)
			uri=${uri:-http://deb.debian.org/debian}
			;;
		esac
		for type in $types; do
			echo "$type [$options] $uri $suite main"
		done
	done >"$dir/sources.list"
	: >"$dir/status"
	cat >"$dir/apt.conf" <<-END
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::State "$dir";
		Dir::State::lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir/cache";
		Acquire::Languages "none";
		Acquire::Retries "3";
		APT::Architecture "amd64";
		APT::Sandbox::User "root";
	END
	APT_CONFIG=$dir/apt.conf apt-get -qq update >&2
	touch "$dir/updated"
fi
echo "$dir/apt.conf"
