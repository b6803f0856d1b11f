# SPDX-License-Identifier: BSD-2-Clause
"""A machine as its administrator has it (mk/system.sh): Debian 12 with the packages, installed by apt, started by shim
and GRUB. The monitor is tried, made permanent, upgraded and removed by what the documents say."""

import base64
import os
import re
import shutil
import subprocess
import time

import pytest

from machine import BUILD, PLATFORM
from patches import example
from test_keys import make_keys
from test_packages import RELEASE
from test_sign import suture
from test_tls import operate

pytestmark = [pytest.mark.x86("the disk has packages for x86"), pytest.mark.qemu("for a flash with variables")]

DISK = os.path.join(BUILD, "guest", "disk", "system.img")
LATER = f"{RELEASE}.1"
PATCHED = "this has been live patched"
# of our packages; the repository on the disk needs no network
APT = "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dir::Etc::SourceList=/etc/apt/sources.list.d/suture.list " \
      "-o Dir::Etc::SourceParts=/dev/null"


def put(guest, file, path):
    """Copy a file of the host into the guest."""
    with open(file, "rb") as f:
        text = base64.encodebytes(f.read()).decode()
    guest.check(f"base64 -d >{path} <<'END'\n{text}END")


@pytest.fixture
def machine(boot, tmp_path):
    """A function that boots the machine; its disk and its firmware's variables are kept from boot to boot."""
    disk, flash = tmp_path / "disk.img", tmp_path / "vars.fd"
    subprocess.run(["cp", "--sparse=always", DISK, disk], check=True)
    shutil.copyfile(PLATFORM.variables, flash)

    def start():
        guest = boot(wait=False, cpus=2, memory="2G", disk=str(disk),
                     qemu=["-drive", f"if=pflash,unit=1,format=raw,file={flash}"])
        guest.wait_ready(timeout=300)
        guest.check("true")  # its answer has what the firmware wrote to this line
        state = guest.shell("systemctl is-system-running --wait", timeout=300).out
        assert state == "running", guest.check("systemctl --failed; journalctl -b -p err --no-pager | tail -n 30")
        return guest

    yield start
    disk.unlink()


def reboot(guest, start):
    """By systemd. The emulator ends instead of a reset: it is the machine's power that is off for a moment."""
    guest.send("systemctl reboot")
    guest.wait_end(timeout=120)
    return start()


def entries(guest):
    """{label: number} of the firmware's boot entries."""
    return {label: number for number, label in
            re.findall(r"^Boot([0-9A-F]{4})[* ] ([^\t\n]*)", guest.check("efibootmgr"), re.MULTILINE)}


def first(guest):
    return re.search(r"^BootOrder: ([0-9A-F]{4})", guest.check("efibootmgr"), re.MULTILINE)[1]


def test_from_installation_to_removal(machine, tmp_path, bundles, measured):
    keys = make_keys(tmp_path / "keys")
    bundle = example(bundles, "demo")
    assert suture("sign", bundle, "--key", str(keys / "signer.key"))[0] == 0
    guest = machine()
    put(guest, keys / "keys.pem", "/srv/keys.pem")
    put(guest, bundle, "/srv/demo.sut")

    # by GRUB's entry, as after Debian's installer; the first boot made it
    guest = reboot(guest, machine)
    before = guest.check("efibootmgr")
    files = guest.check("find /boot/efi | sort")
    assert guest.shell("suture-install status").status == 1
    assert guest.shell("systemctl is-active suture-agent").out == "inactive"
    checked = guest.check("suture-install check")
    assert "AMD SVM with nested paging" in checked and f"nic={PLATFORM.nic}" in checked

    # the trial
    guest.check(f"suture-install install --keys /srv/keys.pem nic={PLATFORM.nic} ip=10.0.2.15/24 guest_may_apply=yes",
                timeout=120)
    assert first(guest) == entries(guest)["debian"]
    guest = reboot(guest, machine)
    assert guest.check("suture-install status").startswith("suture-install: the monitor runs")
    assert first(guest) == entries(guest)["Suture"] and "Suture trial" not in entries(guest)
    assert guest.check("systemctl is-active suture-agent") == "active"
    assert guest.check("ls /boot/efi/EFI/suture").split() == ["suture.conf", "suture.efi"]

    # the first patch, from the operator; and enabled from the guest
    status, out = operate(guest, keys, "operate", "apply", bundle)
    assert status == 0, out
    assert guest.check("cat /proc/cmdline") == PATCHED
    guest.check("suture enable /srv/demo.sut")
    guest = reboot(guest, machine)
    assert guest.check("cat /proc/cmdline") == PATCHED
    assert "in force" in operate(guest, keys, "read", "list")[1]

    # the upgrade, with the patch in force
    begin = time.monotonic()
    upgraded = guest.check(f"sed -i s,suture/old,suture/new, /etc/apt/sources.list.d/suture.list && {APT} update && "
                           f"{APT} upgrade", timeout=1800)
    took = time.monotonic() - begin
    assert "the next boot tries the monitor, once" in upgraded, upgraded
    assert guest.check("cat /proc/cmdline") == PATCHED
    assert f'"{RELEASE}"' in operate(guest, keys, "read", "status", "-o", "json")[1]
    guest = reboot(guest, machine)
    assert f'"{LATER}"' in operate(guest, keys, "read", "status", "-o", "json")[1]
    assert guest.check("cat /proc/cmdline") == PATCHED
    assert guest.check("ls /boot/efi/EFI/suture").split() == ["previous.efi", "suture.conf", "suture.efi"]
    assert "Suture previous" in entries(guest)

    # removed
    guest.check(f"{APT} purge suture suture-monitor suture-agent-dkms", timeout=600)
    assert guest.check("find /boot/efi | sort") == files
    assert set(re.findall("^Boot.*", before, re.MULTILINE)) >= {
        line for line in re.findall("^Boot0.*", guest.check("efibootmgr"), re.MULTILINE)}
    guest = reboot(guest, machine)
    assert guest.check("cat /proc/cmdline") != PATCHED
    assert not guest.check("ls /sys/firmware/acpi/tables | grep SUTR; true")
    left = guest.check("find / -xdev -iname '*suture*' -not -path '/srv/*' -not -path '/var/lib/apt/*' "
                       "-not -path '/var/lib/dpkg/*' -not -path '/proc/*'; true", timeout=120)
    assert left == "/etc/apt/sources.list.d/suture.list", left
    measured(f"the upgrade took {took:.0f} s")
