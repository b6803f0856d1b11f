# SPDX-License-Identifier: BSD-2-Clause
"""The place of the management NIC in the machine's memory: the guest gives it to no other device."""

import re

import pytest

from machine import PLATFORM

pytestmark = pytest.mark.qemu("which tells where the NIC is")

DISK = "0000:00:03.0"  # the ESP's, which a guest that has started does not need
COMMAND, BAR1, ROM = 0x04, 0x14, 0x30
MEMORY = 0x2


def nic_bars(guest):
    """Where QEMU has placed the memory of the management NIC, which the guest does not see."""
    found = re.search(r"Bus  0, device   4, function 0:.*?(?=Bus  |\Z)", guest.hmp("info pci"), re.S)
    return [int(bar, 16) for bar in re.findall(r"32 bit memory at (0x[0-9a-f]+)", found[0])]


class Function:
    """A function of a device, by the file with its configuration space."""

    def __init__(self, guest, name):
        self.guest = guest
        self.file = f"/sys/bus/pci/devices/{name}/config"

    def read(self, reg, size=4):
        out = self.guest.check(f"dd if={self.file} bs={size} skip={reg // size} count=1 2>/dev/null | "
                               "od -An -tx1")
        return int.from_bytes(bytes.fromhex(out.replace(" ", "")), "little")

    def write(self, reg, value, size=4):
        text = "".join(f"\\x{byte:02x}" for byte in value.to_bytes(size, "little"))
        self.guest.check(f"printf '{text}' | dd of={self.file} bs={size} seek={reg // size} "
                         "conv=notrunc 2>/dev/null")


@pytest.fixture(scope="module")
def guest(boot_module):
    return boot_module(cpus=1)


def test_nothing_takes_it(guest):
    """
    A BAR is written over each of the NIC's, while its device decodes memory, and before it is turned
    on. What is placed elsewhere is placed.
    """
    disk = Function(guest, DISK)
    was, bar, rom = disk.read(COMMAND, 2), disk.read(BAR1), disk.read(ROM)
    bars, command = nic_bars(guest), was | MEMORY
    assert bars and bar, (bars, bar)
    disk.write(COMMAND, command, 2)
    assert disk.read(COMMAND, 2) == command
    for place in bars:
        disk.write(BAR1, place)
        assert disk.read(BAR1) == bar
        disk.write(BAR1, place + 0x1000)
        assert disk.read(BAR1) == bar
        disk.write(COMMAND, command & ~MEMORY, 2)
        disk.write(BAR1, place)
        assert disk.read(BAR1) == place  # it does not answer there
        disk.write(COMMAND, command, 2)
        assert not disk.read(COMMAND, 2) & MEMORY
        disk.write(BAR1, bar)
        disk.write(COMMAND, command, 2)
        assert disk.read(COMMAND, 2) == command
        guest.json("/v1/status")
    refused = [line["text"] for line in guest.json("/v1/log")["lines"] if "is refused" in line["text"]]
    assert "PCI 00:03.0, register 0x14" in refused[0] and "management NIC" in refused[0], refused
    elsewhere = bar ^ 0x1000
    if all(not place <= elsewhere < place + 0x20000 for place in bars):
        disk.write(BAR1, elsewhere)
        assert disk.read(BAR1) == elsewhere
        disk.write(BAR1, bar)
    disk.write(COMMAND, was, 2)
    assert (disk.read(COMMAND, 2), disk.read(BAR1), disk.read(ROM)) == (was, bar, rom)
    assert nic_bars(guest) == bars


def test_registers_of_the_nic(guest):
    """They are not there for the guest: neither a device nor, where it can be tried, its registers."""
    assert guest.shell(f"test -e /sys/bus/pci/devices/0000:{PLATFORM.nic}").status
    assert guest.json("/v1/status")["nic"]["link"]
