#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Set up a separate apt under DIR, with current package lists, and print the name of its
# configuration (for APT_CONFIG). It has the packages of ARCHITECTURE of one RELEASE, and Debian
# 12's sources. Its lists, cache and state are separate from the host's apt. Signatures are checked
# against Debian's keyring.
#   mk/apt.sh DIR [RELEASE [ARCHITECTURE]]
# RELEASE is bookworm (Debian 12, the default), bullseye, bookworm-backports or sid; ARCHITECTURE is
# Debian's name of it (arm64), by default this machine's.
# A suite comes from the mirror that this machine's apt has it from; if it has it from none, from
# SUTURE_MIRROR (security suites: from SUTURE_SECURITY_MIRROR), else from the mirror of another suite.
set -eu

release=${2:-bookworm}
native=$(dpkg --print-architecture)
architecture=${3:-$native}
dir=$1
[ "$architecture" = "$native" ] || dir=$dir/$architecture
[ "$release" = bookworm ] || dir=$dir/$release
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

types=deb
options="arch=$architecture signed-by=$keyring"
case $release in
bookworm)
	suites='bookworm bookworm-updates bookworm-security'
	types='deb deb-src'
	;;
bullseye) suites='bullseye bullseye-security' ;;
bookworm-backports) suites='bookworm bookworm-updates bookworm-security bookworm-backports' ;;
sid)
	suites=sid
	types='deb deb-src'
	# a mirror's sid that is some weeks old is new enough
	options="$options check-valid-until=no"
	;;
*)
	echo "apt: release '$release' is not known here" >&2
	exit 1
	;;
esac

# The mirrors of Debian that this machine's own apt reads: lines `suite URI`.
host_mirrors() {
	apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' \
		'Origin: Debian' 2>/dev/null || true
}

# The first mirror in $mirrors that has a suite whose name matches PATTERN.
first() {
	echo "$mirrors" | awk -v pattern="$1" '$1 ~ pattern { print $2; exit }'
}

# The mirror of SUITE, or nothing.
mirror() {
	uri=$(first "^$1\$")
	main=${SUTURE_MIRROR:-$(first '^[^-]*(-(updates|backports))?$')}
	case $1 in
	*-security)
		uri=${uri:-${SUTURE_SECURITY_MIRROR:-$(first '-security$')}}
		# mirrors have debian-security next to debian
		main=${main:+${main%/}-security}
		;;
	esac
	echo "${uri:-$main}"
}

way_out() {
	echo "apt: set SUTURE_MIRROR to the address of a mirror of Debian, and SUTURE_SECURITY_MIRROR" \
		"to one of Debian's security suites" >&2
	exit 1
}

sources() {
	mirrors=$(host_mirrors)
	for suite in $suites; do
		uri=$(mirror "$suite")
		if [ -z "$uri" ]; then
			echo "apt: this machine's apt has no mirror (or no lists: apt-get update) to take" \
				"Debian's suite $suite from" >&2
			return 1
		fi
		for type in $types; do
			echo "$type [$options] $uri $suite main"
		done
	done
}

exec 9>"$dir/lock"
flock 9
sources >"$dir/sources.new" || way_out
if [ -z "$(find "$dir/updated" -mmin -720 2>/dev/null)" ] ||
	! cmp -s "$dir/sources.new" "$dir/sources.list"; then
	rm -f "$dir/updated"
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	mv "$dir/sources.new" "$dir/sources.list"
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
		APT::Architecture "$architecture";
		APT::Architectures { "$architecture"; };
		APT::Sandbox::User "root";
	END
	if ! APT_CONFIG=$dir/apt.conf apt-get -qq --error-on=any update >&2; then
		echo "apt: not every suite of $release ($architecture) can be had from where $dir/sources.list" \
			"says" >&2
		way_out
	fi
	touch "$dir/updated"
fi
rm -f "$dir/sources.new"
echo "$dir/apt.conf"
