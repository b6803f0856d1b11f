# SPDX-License-Identifier: BSD-2-Clause
"""The kernel is replaced while it is patched, by kexec. SUTURE_KEXECS is the number of kexecs of
each kind."""

import os
import time

import pytest

from images import kernel_module
from machine import BUILD, GUEST, KERNEL_CMDLINE, PLATFORM
from patches import MODULES, make_patch
from test_life import LIFE, SLEEPER, apply, deafen, is_patched, redirects, revert, unharmed

KEXECS = int(os.environ.get("SUTURE_KEXECS", "13"))

# The disk that the firmware started from, by emulator, and its drivers in the order of loading. Those of
# UNLOADED are done with the device before another kernel takes it over.
DISK, DRIVERS, UNLOADED = {
    "QEMU": ("vda", ["virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev",
                     "virtio/virtio_pci_modern_dev", "virtio/virtio_pci", "block/virtio_blk"],
             ["virtio_blk", "virtio_pci"]),
    "Bochs": ("sda", ["scsi/scsi_common", "scsi/scsi_mod", "ata/libata", "ata/ata_piix", "scsi/sd_mod"],
              ["sd_mod", "ata_piix"]),
}[PLATFORM.emulator]
# what the guest needs to read its EFI system partition, in the order of loading
READERS = {os.path.basename(name): kernel_module(os.path.join(MODULES, f"{name}.ko"))
           for name in (*(f"drivers/{name}" for name in DRIVERS), "fs/nls/nls_cp437",
                        "fs/nls/nls_ascii", "fs/fat/fat", "fs/fat/vfat")}
LOADED = [name for name, file in READERS.items() if file]
FILES = {"/lib/modules/life.ko": LIFE,
         **{f"/lib/modules/{name}.ko": file for name, file in READERS.items() if file}}


def patch_named(guest, name):
    return next(p for p in guest.json("/v1/patches")["patches"] if p["name"] == name)


def load_kexec(guest, how, cmdline=""):
    """What `kexec` starts is what the firmware started, from the same disk."""
    drivers = " ".join(name for name in UNLOADED if name in LOADED)
    guest.check(f"for module in {' '.join(LOADED)}; do insmod /lib/modules/$module.ko || exit; done; "
                f"mkdir -p /boot; for i in $(seq 50); do [ -b /dev/{DISK} ] && break; usleep 100000; done; "
                f"mount -t vfat -o ro /dev/{DISK} /boot && "
                f"kexec {how} /boot/vmlinuz.efi /boot/initrd '{KERNEL_CMDLINE} {cmdline}' && "
                f"umount /boot && rmmod {drivers}", timeout=120)


def forgotten(guest, name, why):
    """The patch has ended with its kernel, whose agent has five seconds to say that it goes on."""
    deadline = time.monotonic() + 20
    while (patch := patch_named(guest, name))["phase"] != "failed":
        assert time.monotonic() < deadline, patch
        time.sleep(0.1)
    assert why in patch["why"], patch


def replaced(guest, why):
    """The new kernel is not patched, and the monitor has forgotten the old one."""
    assert not is_patched(guest)
    assert redirects(guest) == 0
    # it was asked what processor it sees, though the old one's user space ran
    assert guest.shell("grep -wE 'svm|vmx' /proc/cpuinfo").status == 1
    forgotten(guest, "demo", why)
    unharmed(guest)


@pytest.mark.parametrize("cmdline", ["", "nokaslr"], ids=["random", "same-place"])
@pytest.mark.parametrize("deaf", [False, True], ids=["alive", "dead"])
def test_kexec(boot, demo, measured, deaf, cmdline):
    """A new kernel takes the machine over, at another or the same place in memory; the monitor
    notices by itself when the agent does not say so."""
    guest = boot(cpus=3, files=FILES, cmdline=cmdline)
    for n in range(KEXECS):
        guest.load_agent()
        apply(guest, demo)
        assert is_patched(guest)
        load_kexec(guest, "load", cmdline)
        if deaf:
            deafen(guest)
        guest.send("kexec run")
        guest.wait_ready(count=n + 2)
        assert guest.check("nproc") == "3"
        replaced(guest, "was replaced" if deaf else "has shut down")
    guest.load_agent()
    apply(guest, demo)
    assert is_patched(guest)
    revert(guest, "demo")
    assert not is_patched(guest)
    unharmed(guest)
    measured(f"{KEXECS} kexecs with {cmdline or 'kaslr'}, agent {'dead' if deaf else 'alive'}")


def test_kexec_in_transition(boot, tmp_path):
    """Past the notifiers while a switch is tried again and again: each attempt kicks the CPUs that the
    old kernel has halted."""
    bundle = make_patch(str(tmp_path), "sleepy", """
        static noinline int new_sleeper_wait(void)
        {
            return 0;
        }
    """, {"sleeper": {"sleeper_wait": "new_sleeper_wait"}})
    guest = boot(cpus=3, files={**FILES, "/lib/modules/sleeper.ko": SLEEPER},
                 cmdline="nokaslr")
    guest.load_agent()
    guest.check("insmod /lib/modules/sleeper.ko; echo sleep >/proc/sleeper")
    assert guest.suture("--no-wait", "apply", bundle).status == 0
    deafen(guest)
    load_kexec(guest, "load", "nokaslr")
    assert patch_named(guest, "sleepy")["phase"] == "patching"
    guest.send("kexec run")
    guest.wait_ready(count=2)
    assert guest.check("nproc") == "3"
    forgotten(guest, "sleepy", "was replaced")
    unharmed(guest)


def test_kexec_one_cpu(boot, demo):
    """The new kernel does not start the other CPUs: they must not continue in the old one's
    memory."""
    guest = boot(cpus=3, files=FILES)
    guest.load_agent()
    apply(guest, demo)
    load_kexec(guest, "load", "maxcpus=1")
    guest.send("kexec run")
    guest.wait_ready(count=2)
    guest.load_agent()
    # some of what was the old kernel's memory is overwritten
    guest.check("dd if=/dev/zero of=/tmp/fill bs=1M count=300 && rm /tmp/fill", timeout=60)
    for _ in range(3):
        apply(guest, demo)
        assert is_patched(guest)
        revert(guest, "demo")
    guest.check("echo 1 >/sys/devices/system/cpu/cpu1/online")
    assert guest.check("taskset -c 1 echo here") == "here"
    apply(guest, demo)
    unharmed(guest)
