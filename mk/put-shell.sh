#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Make SHELL a service of the Debian system in ROOT that starts last, and give the system a name and no machine ID.
#   mk/put-shell.sh ROOT SHELL
set -eu

install -m 755 "$2" "$1/usr/local/sbin/guest-shell"
units=$1/etc/systemd/system
mkdir -p "$units/graphical.target.wants"
cat >"$units/guest-shell.service" <<-UNIT
	[Unit]
	Description=Shell of the tests
	After=multi-user.target
	[Service]
	ExecStart=/usr/local/sbin/guest-shell
	SendSIGHUP=yes
UNIT
ln -s ../guest-shell.service "$units/graphical.target.wants/"
# a login prompt on the console would hang up the tests' line
ln -s /dev/null "$units/serial-getty@ttyS0.service"
echo guest >"$1/etc/hostname"
: >"$1/etc/machine-id"
