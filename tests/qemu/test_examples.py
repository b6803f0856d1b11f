# SPDX-License-Identifier: BSD-2-Clause
"""The use cases of document 001 in the examples: a global variable with the function that reads it,
and a fix of what a driver's probe function has done."""

import os
import re

import pytest

from complaints import complaints
from machine import BUILD, GUEST
from patches import KALLSYMS_ALL, apply, example, revert

KERNEL_MODULES = os.path.join(BUILD, "guest", GUEST, "modules", "kernel")
# in the order in which they are loaded
VIRTIO_NET = ["drivers/virtio/virtio_ring", "drivers/virtio/virtio",
              "drivers/virtio/virtio_pci_legacy_dev", "drivers/virtio/virtio_pci_modern_dev",
              "drivers/virtio/virtio_pci", "net/core/failover", "drivers/net/net_failover",
              "drivers/net/virtio_net"]
FEATURE = "rx-gro-list"


pytestmark = pytest.mark.qemu("for virtio devices")


def module_file(name):
    """In the guest."""
    return f"/lib/modules/{os.path.basename(name)}.ko"


@pytest.fixture(scope="module")
def machine(boot_module):
    """With two devices of a driver that is a module, which is not loaded yet."""
    devices = [word for n in (1, 2) for word in (
        "-netdev", f"user,id=v{n},restrict=on", "-device", f"virtio-net-pci,netdev=v{n},romfile=")]
    machine = boot_module(cpus=2, qemu=devices, files={
        module_file(name): os.path.join(KERNEL_MODULES, f"{name}.ko") for name in VIRTIO_NET})
    machine.load_agent()
    for name in VIRTIO_NET[:-1]:
        machine.check(f"insmod {module_file(name)}")
    return machine


@pytest.fixture
def guest(machine):
    machine.check("dmesg -c >/dev/null")
    yield machine
    assert machine.check("ls /sys/kernel/suture") == ""
    assert complaints(machine) == ""


# ---- global data update ----

def commit_limit(guest):
    """(overcommit_ratio, CommitLimit and MemTotal in KiB)"""
    text = guest.check("cat /proc/sys/vm/overcommit_ratio /proc/meminfo")
    return (int(text.split()[0]), int(re.search(r"CommitLimit: +(\d+)", text)[1]),
            int(re.search(r"MemTotal: +(\d+)", text)[1]))


def expected_limit(total, ratio, reserve):
    """In KiB, cut to pages of 4 KiB as the kernel does."""
    return total // 4 * ratio // 100 * 4 - reserve


# the variable of the example has no address
NO_VARIABLES = pytest.mark.skipif(not KALLSYMS_ALL, reason="kallsyms has no variables")


@NO_VARIABLES
def test_global_data(guest, bundles):
    ratio, limit, total = commit_limit(guest)
    assert (ratio, limit) == (50, expected_limit(total, 50, 0))
    apply(guest, example(bundles, "commit-limit"))
    ratio, limit, total = commit_limit(guest)
    assert (ratio, limit) == (25, expected_limit(total, 25, 16384))
    guest.check("echo 30 >/proc/sys/vm/overcommit_ratio")
    assert commit_limit(guest)[1] == expected_limit(total, 30, 16384)
    guest.check("echo 25 >/proc/sys/vm/overcommit_ratio")
    revert(guest, "commit_limit")
    ratio, limit, total = commit_limit(guest)
    assert (ratio, limit) == (50, expected_limit(total, 50, 0))
    said = guest.check("dmesg | grep overcommit_ratio")
    assert "overcommit_ratio 25, was 50" in said and "overcommit_ratio 50 again" in said


@NO_VARIABLES
def test_global_data_changed_by_the_operator(guest, bundles):
    """A value written while the patch is applied stays."""
    apply(guest, example(bundles, "commit-limit"))
    guest.check("echo 60 >/proc/sys/vm/overcommit_ratio")
    revert(guest, "commit_limit")
    ratio, limit, total = commit_limit(guest)
    assert (ratio, limit) == (60, expected_limit(total, 60, 0))
    guest.check("echo 50 >/proc/sys/vm/overcommit_ratio")


# ---- init and probe ----

def features(guest):
    """{device: "free on", "free off" or "fixed off"}"""
    devices = guest.check("cd /sys/class/net; for d in *; do [ -e $d/device/driver ] && echo $d; done;"
                          "true").split()
    assert len(devices) == 2, devices
    return {d: guest.check(f"netfeature {d} {FEATURE}") for d in devices}


@pytest.fixture
def driver(guest):
    """virtio_net with its two devices; the feature is on for one of them."""
    guest.check(f"insmod {module_file('virtio_net')}")
    one, other = features(guest)
    guest.check(f"netfeature {one} {FEATURE} on")
    yield one, other
    guest.check("rmmod virtio_net")


def test_probe(guest, driver, bundles):
    """All devices of the driver lose the feature, and get it back as it was."""
    one, other = driver
    before = features(guest)
    assert before == {one: "free on", other: "free off"}
    apply(guest, example(bundles, "probe-features"))
    assert features(guest) == {one: "fixed off", other: "fixed off"}
    guest.shell(f"netfeature {one} {FEATURE} on")
    assert features(guest) == {one: "fixed off", other: "fixed off"}
    revert(guest, "probe_features")
    assert features(guest) == before


def test_probe_driver_comes_later(guest, bundles):
    """The driver's module comes when the patch is on, and goes before it is off."""
    apply(guest, example(bundles, "probe-features"))
    for _ in range(2):
        guest.check(f"insmod {module_file('virtio_net')}")
        assert set(features(guest).values()) == {"fixed off"}
        guest.check("rmmod virtio_net")
    guest.check(f"insmod {module_file('virtio_net')}")
    revert(guest, "probe_features")
    assert set(features(guest).values()) == {"free off"}
    guest.check("rmmod virtio_net")
