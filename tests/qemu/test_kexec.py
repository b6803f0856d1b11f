# SPDX-License-Identifier: BSD-2-Clause
"""The kernel is replaced while it is patched, by kexec. SUTURE_KEXECS is how often, of each kind."""

import os

import pytest

import images
from machine import AGENT, HELPER, INITRAMFS, KERNEL, KERNEL_CMDLINE
from patches import make_patch
from test_life import LIFE, SLEEPER, apply, deafen, is_patched, redirects, revert, unharmed

KEXECS = int(os.environ.get("SUTURE_KEXECS", "13"))


def patch_named(guest, name):
    return next(p for p in guest.json("/v1/patches")["patches"] if p["name"] == name)


@pytest.fixture(scope="module")
def next_kernel(tmp_path_factory):
    """Files for the guest: what `kexec` starts, which has the same files again."""
    initrd = str(tmp_path_factory.mktemp("kexec") / "initrd")
    with open(INITRAMFS, "rb") as f:
        archive = f.read()
    archive += b"\0" * (-len(archive) % 512)
    archive += images.make_cpio({"/lib/modules/suture.ko": AGENT, "/lib/modules/life.ko": LIFE,
                                 "/usr/lib/suture/suture-load": HELPER})
    archive += b"\0" * (-len(archive) % 512)
    with open(initrd, "wb") as f:
        f.write(archive)
    return {"/lib/modules/life.ko": LIFE, "/boot/vmlinuz": KERNEL, "/boot/initrd": initrd}


def load_kexec(guest, how, cmdline=""):
    guest.check("cd / && (cat boot/initrd; find boot | cpio -o -H newc 2>/dev/null) >/tmp/next && "
                f"kexec {how} /boot/vmlinuz /tmp/next '{KERNEL_CMDLINE} {cmdline}' && "
                "rm /tmp/next", timeout=120)


def replaced(guest, why):
    """The new kernel is not patched, and the monitor has forgotten the old one."""
    assert not is_patched(guest)
    assert redirects(guest) == 0
    patch = patch_named(guest, "demo")
    assert patch["phase"] == "failed" and why in patch["why"], patch
    unharmed(guest)


@pytest.mark.parametrize("cmdline", ["", "nokaslr"], ids=["random", "same-place"])
@pytest.mark.parametrize("deaf", [False, True], ids=["alive", "dead"])
def test_kexec(boot, demo, next_kernel, measured, deaf, cmdline):
    """A new kernel takes the machine over, at another or the same place in memory; the monitor
    notices by itself when the agent does not say so."""
    guest = boot(cpus=3, files=next_kernel, cmdline=cmdline)
    for n in range(KEXECS):
        guest.load_agent()
        apply(guest, demo)
        assert is_patched(guest)
        load_kexec(guest, "load", cmdline)
        if deaf:
            deafen(guest)
        guest.send("kexec run")
        guest.wait_ready(count=n + 2, timeout=120)
        assert guest.check("nproc") == "3"
        replaced(guest, "was replaced" if deaf else "has shut down")
    guest.load_agent()
    apply(guest, demo)
    assert is_patched(guest)
    revert(guest, "demo")
    assert not is_patched(guest)
    unharmed(guest)
    measured(f"{KEXECS} kexecs with {cmdline or 'kaslr'}, agent {'dead' if deaf else 'alive'}")


def test_kexec_in_transition(boot, next_kernel, tmp_path):
    """Past the notifiers while a switch is tried again and again: each attempt kicks the CPUs that the
    old kernel has halted."""
    bundle = make_patch(str(tmp_path), "sleepy", """
        static noinline int new_sleeper_wait(void)
        {
            return 0;
        }
    """, {"sleeper": {"sleeper_wait": "new_sleeper_wait"}})
    guest = boot(cpus=3, files={**next_kernel, "/lib/modules/sleeper.ko": SLEEPER},
                 cmdline="nokaslr")
    guest.load_agent()
    guest.check("insmod /lib/modules/sleeper.ko; echo sleep >/proc/sleeper")
    assert guest.suture("--no-wait", "apply", bundle).status == 0
    deafen(guest)
    load_kexec(guest, "load", "nokaslr")
    assert patch_named(guest, "sleepy")["phase"] == "patching"
    guest.send("kexec run")
    guest.wait_ready(count=2, timeout=120)
    assert guest.check("nproc") == "3"
    patch = patch_named(guest, "sleepy")
    assert patch["phase"] == "failed" and "was replaced" in patch["why"], patch
    unharmed(guest)


def test_kexec_one_cpu(boot, demo, next_kernel):
    """The new kernel leaves the other CPUs alone: they must not run on in the old one's memory."""
    guest = boot(cpus=3, files=next_kernel)
    guest.load_agent()
    apply(guest, demo)
    load_kexec(guest, "load", "maxcpus=1")
    guest.send("kexec run")
    guest.wait_ready(count=2, timeout=120)
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
