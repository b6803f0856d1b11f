# SPDX-License-Identifier: BSD-2-Clause
"""Secure Boot with the owner's own key: the firmware starts suture.efi only if it is signed, and
suture.efi the next loader only if that is. OVMF's variables with the key of Debian's ovmf package, whose
private half is there too."""

import os
import re
import shutil
import subprocess

import pytest

from machine import KERNEL, PLATFORM, SUTURE_EFI
from test_boot import under_monitor

SNAKEOIL = "/usr/share/ovmf/PkKek-1-snakeoil"
pytestmark = [pytest.mark.x86("of OVMF, which has a key whose private half is at hand"),
              pytest.mark.qemu("for a flash with variables")]


def run(*command):
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """{what: its signed file}"""
    folder = tmp_path_factory.mktemp("signed")
    key = str(folder / "key.pem")
    run("openssl", "rsa", "-passin", "pass:snakeoil", "-in", f"{SNAKEOIL}.key", "-out", key)

    def sign(file):
        out = str(folder / os.path.basename(file))
        run("sbsign", "--key", key, "--cert", f"{SNAKEOIL}.pem", "--output", out, file)
        return out

    return {"suture": sign(SUTURE_EFI), "kernel": sign(KERNEL)}


@pytest.fixture
def secure_boot(boot, tmp_path):
    """The firmware that keeps its variables without SMM: QEMU leaves the guest for good when it enters SMM from it."""
    flash = str(tmp_path / "vars.fd")
    shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd", flash)

    def start(suture, kernel):
        return boot(wait=False, cpus=1, agent=False, esp={PLATFORM.loader: suture, "/vmlinuz.efi": kernel},
                    qemu=["-drive", f"if=pflash,unit=1,format=raw,file={flash}"])

    return start


def test_signed(secure_boot, signed):
    """The kernel knows that Secure Boot is on, and is the monitor's guest."""
    guest = secure_boot(signed["suture"], signed["kernel"])
    guest.wait_ready(timeout=300)
    assert under_monitor(guest)
    assert re.search("secureboot: Secure boot enabled", guest.check("dmesg"))


def test_unsigned_monitor_is_refused(secure_boot, signed):
    guest = secure_boot(SUTURE_EFI, signed["kernel"])
    guest.wait_log(r"Access Denied", timeout=120)
    assert "suture:" not in guest.read_log("console.log")


def test_unsigned_loader_is_refused(secure_boot, signed):
    """Debian's signature does not count for this firmware: the monitor names what was refused."""
    guest = secure_boot(signed["suture"], KERNEL)
    guest.wait_log(r"suture: next=\\vmlinuz.efi: (refused by Secure Boot|access denied)", timeout=120)
