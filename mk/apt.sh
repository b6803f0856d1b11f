#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# An apt of our own under DIR: prints the name of its configuration (for APT_CONFIG), with fresh
# package lists. It reads Debian 12's packages and sources from the mirrors that this machine uses
# already, and touches nothing of the host's apt: own lists, own cache, own state. Signatures are
# checked against Debian's keyring.
#   mk/apt.sh DIR
set -eu

mkdir -p "$1"
dir=$(cd "$1" && pwd)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror that serves SUITE here, or Debian's default.
mirror() {
	found=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' \
		'Origin: Debian' 2>/dev/null | awk -v suite="$1" '$1 == suite { print $2; exit }')
	echo "${found:-$2}"
}

exec 9>"$dir/lock"
flock 9
if [ -z "$(find "$dir/updated" -mmin -720 2>/dev/null)" ]; then
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	for suite in bookworm bookworm-updates bookworm-security; do
		case $suite in
		*-security) default=http://deb.debian.org/debian-security ;;
		*) default=http://deb.debian.org/debian ;;
		esac
		uri=$(mirror $suite $default)
		for type in deb deb-src; do
			echo "$type [signed-by=$keyring] $uri $suite main"
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
