# SPDX-License-Identifier: BSD-2-Clause
"""Events while a patch is applied: modules are loaded and unloaded, CPUs go offline and online, the
machine sleeps and reboots. test_kexec.py replaces the kernel, test_fault.py kills the service CPU.

SUTURE_REBOOTS (of each kind) and SUTURE_PAUSES are counts.
"""

import os
import re
import time

import pytest

from complaints import STALLS, complaints
from machine import BUILD, GUEST, PLATFORM
from patches import apply, make_patch, revert
from test_bell import settled

MODULES = os.path.join(BUILD, "guest", f"{GUEST}-modules")
SLEEPER = os.path.join(MODULES, "sleeper.ko")
LIFE = os.path.join(MODULES, "life.ko")
BUTTON = os.path.join(BUILD, "guest", GUEST, "modules", "kernel", "drivers", "acpi",
                      "button.ko")
REBOOTS = int(os.environ.get("SUTURE_REBOOTS", "2"))
PAUSES = int(os.environ.get("SUTURE_PAUSES", "10000"))

PATCHED = "this has been live patched"


@pytest.fixture(scope="module")
def sleepy(bundles):
    """A patch of the module `sleeper` and of vmlinux."""
    return make_patch(bundles, "sleepy", """
        static noinline int new_sleeper_value(int n)
        {
            return n + 2;
        }

        static noinline int new_cmdline_proc_show(struct seq_file *m, void *v)
        {
            seq_puts(m, "sleepy\\n");
            return 0;
        }
    """, {"sleeper": {"sleeper_value": "new_sleeper_value"},
          None: {"cmdline_proc_show": "new_cmdline_proc_show"}})


def is_patched(guest):
    """Both functions of the demo, which must agree."""
    cmdline = guest.check("cat /proc/cmdline") == PATCHED
    uname = "live patched by Suture" in guest.check("kernelname")
    assert cmdline == uname, "one half of the patch is on"
    return cmdline


def unharmed(guest):
    assert complaints(guest, STALLS) == ""


def redirects(guest):
    text = guest.http("/metrics")[1]
    return int(float(re.search(r"^suture_redirects(?:\{.*\})? (\S+)", text, re.MULTILINE)[1]))


def deafen(guest):
    """Reboot and kexec notify neither agent nor monitor, as if the agent were dead."""
    guest.check("insmod /lib/modules/life.ko; echo deaf >/proc/life")


# ---- modules ----

def test_module_unload(boot, sleepy):
    """A patched module goes, comes back and is patched again; the rest of the patch stays on."""
    guest = boot(cpus=2, files={"/lib/modules/sleeper.ko": SLEEPER})
    guest.load_agent()
    guest.check("insmod /lib/modules/sleeper.ko")
    apply(guest, sleepy)
    before = redirects(guest)
    assert before == 2
    for _ in range(5):
        assert guest.check("cat /proc/sleeper") == "value 2"
        # what takes the freed memory next must not meet the redirect
        guest.check("rmmod sleeper; echo 3 >/proc/sys/vm/drop_caches")
        assert redirects(guest) == before - 1
        assert guest.check("cat /proc/cmdline") == "sleepy"
        guest.check("insmod /lib/modules/sleeper.ko")
        assert redirects(guest) == before
    assert guest.check("cat /proc/sleeper") == "value 2"
    revert(guest, "sleepy")
    assert guest.check("cat /proc/sleeper") == "value 1"
    unharmed(guest)


# ---- reboot, power-off ----

@pytest.mark.parametrize("deaf", [False, True], ids=["alive", "dead"])
def test_reboot(boot, demo, deaf):
    """The machine reboots with a patch applied, whether the agent is notified or not."""
    guest = boot(cpus=2, reboot=True, files={"/lib/modules/life.ko": LIFE})
    for n in range(REBOOTS):
        guest.load_agent()
        apply(guest, demo)
        if deaf:
            deafen(guest)
        if PLATFORM.resets:
            way = PLATFORM.resets[(2 * deaf + n) % len(PLATFORM.resets)]
            guest.check(f"echo {way} >/sys/kernel/reboot/type")
        guest.send("reboot -f")
        guest.wait_ready(count=n + 2)
        assert not is_patched(guest)
        assert redirects(guest) == 0
        unharmed(guest)
    guest.load_agent()
    apply(guest, demo)
    assert is_patched(guest)


@pytest.mark.parametrize("deaf", [False, True], ids=["alive", "dead"])
def test_poweroff(boot, demo, deaf):
    for _ in range((REBOOTS + 1) // 2):
        guest = boot(cpus=2, files={"/lib/modules/life.ko": LIFE})
        guest.load_agent()
        apply(guest, demo)
        if deaf:
            deafen(guest)
        guest.send("poweroff -f")
        guest.wait_end()


def check_goes_on(guest, demo, measured, command, says):
    """The module makes the monitor take the kernel for ended; what was dropped is reported and put back."""
    guest.load_agent()
    apply(guest, demo)
    guest.check("insmod /lib/modules/life.ko")
    for n in range(3):
        settled(guest)  # the agent waits to be rung, which it is not
        guest.check(f"echo {command} >/proc/life")
        begin = time.monotonic()
        while redirects(guest) < 2:
            assert time.monotonic() < begin + 20, guest.suture("list").out
            time.sleep(0.05)
        measured(f"put back after {time.monotonic() - begin:.2f} s")
        assert is_patched(guest)
        log = guest.suture("log").out
        assert log.count(f"patches dropped: {says}") == n + 1
        assert log.count("what was dropped is in force again") == n + 1
    settled(guest)  # the doorbell is open again
    assert guest.suture("status").status == 0
    revert(guest, "demo")
    assert not is_patched(guest)
    unharmed(guest)


def test_end_that_is_none(boot, demo, measured):
    guest = boot(cpus=2, files={"/lib/modules/life.ko": LIFE})
    check_goes_on(guest, demo, measured, "ended", "the guest said that its kernel ended")


@pytest.mark.x86("on arm64 the monitor compares where the kernel idles and calls the firmware, with its own page tables")
def test_other_kernel_that_is_none(boot, demo, measured):
    """Its other CPUs would be stopped, as a kernel's that has been replaced are."""
    guest = boot(cpus=1, files={"/lib/modules/life.ko": LIFE})
    check_goes_on(guest, demo, measured, "other", "the guest runs another kernel")


# ---- CPUs ----

@pytest.mark.parametrize("thread", ["single", pytest.param("multi", marks=[
    pytest.mark.x86("its emulator with a thread for each CPU is fetched for x86 alone"),
    pytest.mark.qemu("Bochs has one thread for all CPUs")])])
def test_hotplug(boot, demo, measured, thread):
    """A CPU goes offline and online repeatedly while the patch is applied and reverted."""
    guest = boot(cpus=3, thread=thread)
    guest.load_agent()
    guest.check("""
        (while [ ! -e /tmp/stop ]; do
            echo 0 >/sys/devices/system/cpu/cpu1/online
            echo 1 >/sys/devices/system/cpu/cpu1/online
            echo x >>/tmp/cycles
        done; : >/tmp/stopped) >/tmp/hotplug.log 2>&1 &""")
    for _ in range(15):
        apply(guest, demo)
        assert is_patched(guest)
        revert(guest, "demo")
        assert not is_patched(guest)
    guest.check(": >/tmp/stop; while [ ! -e /tmp/stopped ]; do usleep 100000; done", timeout=30)
    assert guest.check("cat /tmp/hotplug.log") == ""
    cycles = int(guest.check("wc -l </tmp/cycles"))
    assert cycles > 5
    assert guest.check("nproc") == "3"
    unharmed(guest)
    measured(f"a CPU went and came {cycles} times, {guest.emulator()}")


def count(guest, word, times):
    """Each CPU's pauses, ticks, and interrupts sent and got, and how long it took."""
    start = time.monotonic()
    guest.check(f"echo {word} {times} >/proc/life", timeout=300)
    took = time.monotonic() - start
    lines = guest.check("cat /proc/life").split("\n")
    return [re.sub(r"^cpu \d+ ", "", line) for line in lines], took


def test_nothing_lost(boot, demo, measured):
    """A known number of timer interrupts and of interrupts between CPUs, across many pauses: of CPUs
    that are busy, and of one that is idle."""
    cpus = 2
    guest = boot(cpus=cpus, files={"/lib/modules/life.ko": LIFE})
    guest.load_agent()
    apply(guest, demo)
    each = PAUSES // cpus
    guest.check("insmod /lib/modules/life.ko")

    def pauses():
        return int(re.search(r"^suture_pauses_total(?:\{.*\})? (\d+)", guest.http("/metrics")[1],
                             re.MULTILINE)[1])

    before = pauses()
    came, took = count(guest, "count", each)
    assert pauses() - before >= each * cpus
    assert came == [f"pauses {each} failed 0 ticks {each} sent {each} got {each}"] * cpus
    measured(f"{each * cpus} pauses in {took:.1f} s, no interrupt lost")
    before = pauses()
    came, took = count(guest, "idle", each)
    assert pauses() - before >= each
    assert came == [f"pauses {each} failed 0 ticks {each} sent {each} got 0",
                    f"pauses 0 failed 0 ticks {each} sent 0 got {each}"]
    measured(f"{each} pauses of an idle CPU in {took:.1f} s, no interrupt lost")
    assert is_patched(guest)
    unharmed(guest)


@pytest.mark.x86("arm64 without FEAT_NMI has no NMI")
@pytest.mark.qemu("which injects it")
def test_nmi_from_outside(boot, demo):
    """An NMI that QEMU injects reaches the guest while it is patched."""
    guest = boot(cpus=2)
    guest.load_agent()
    apply(guest, demo)
    for n in range(5):
        guest.hmp("nmi")
        guest.check("for i in 1 2 3 4 5 6 7 8 9 10; do [ $(dmesg | grep -c 'Uhhuh. NMI received') "
                    f"-gt {n} ] && exit; usleep 100000; done; exit 1")
    assert is_patched(guest)
    unharmed(guest)


# ---- the agent ----

def test_agent_again(boot, demo):
    """The agent is removed and loaded again, also when a helper has crashed before."""
    guest = boot(cpus=2)
    guest.load_agent()
    guest.check("printf '#!/bin/sh\\nexec 3<>/dev/suture\\nkill -SEGV $$\\n' >/tmp/dies;"
                "chmod 755 /tmp/dies; printf /tmp/dies >/sys/module/suture/parameters/helper")
    for _ in range(3):
        result = guest.suture("apply", demo)
        assert result.status != 0 and "helper" in result.out, result
        guest.check("for i in 1 2 3 4 5 6 7 8 9 10; do rmmod suture && exit; usleep 200000; done;"
                    "exit 1")
        guest.load_agent()
        apply(guest, demo)
        assert is_patched(guest)
        revert(guest, "demo")
        guest.check("printf /tmp/dies >/sys/module/suture/parameters/helper")
    unharmed(guest)


# ---- sleep ----

@pytest.mark.x86("on arm64 the power button does not wake Linux from suspend to idle, natively neither")
@pytest.mark.qemu("which has the button")
def test_suspend(boot, demo):
    """There is no suspend to RAM; suspend to idle is harmless."""
    guest = boot(cpus=2, files={"/lib/modules/button.ko": BUTTON}, cmdline="no_console_suspend")
    guest.load_agent()
    apply(guest, demo)
    guest.check("insmod /lib/modules/button.ko")
    assert "deep" not in guest.check("cat /sys/power/mem_sleep")
    for n, state in enumerate(["freeze", "mem"], 1):
        guest.send(f"echo {state} >/sys/power/state")
        guest.wait_log("Freezing remaining freezable tasks completed", count=n)
        time.sleep(2)
        assert guest.suture("status").status == 0
        guest.hmp("system_powerdown")  # the power button wakes it
        guest.wait_log("PM: suspend exit", count=n)
        guest.settle_shell()
        assert is_patched(guest)
    revert(guest, "demo")
    apply(guest, demo)
    unharmed(guest)


def test_hibernation(boot, demo):
    """Refused while a patch is on, by the agent; else by this kernel, which has no swap space."""
    guest = boot(cpus=2)
    guest.load_agent()
    apply(guest, demo)
    hibernate = "echo shutdown >/sys/power/disk; echo disk >/sys/power/state"
    refusal = "hibernation is refused while patches are on: revert them first"
    for _ in range(2):
        result = guest.shell(hibernate, timeout=60)
        assert result.status != 0 and "busy" in result.out.lower(), result
        assert is_patched(guest)
    assert guest.check("dmesg").count(refusal) == 2
    revert(guest, "demo")
    result = guest.shell(hibernate, timeout=60)
    assert result.status != 0 and "busy" not in result.out.lower(), result
    assert guest.check("dmesg").count(refusal) == 2
    apply(guest, demo)
    unharmed(guest)


# ---- IOMMU ----

@pytest.mark.x86("about DMAR and IVRS; the IORT of arm64 is in test_iort.c")
@pytest.mark.qemu("which has IOMMUs")
@pytest.mark.parametrize("device,table,cmdline", [
    ("intel-iommu", "DMAR", "intel_iommu=on iommu=force"),
    ("amd-iommu", "IVRS", "amd_iommu=on iommu=force"),
])
def test_iommu(boot, demo, device, table, cmdline):
    """The guest wants the machine's IOMMU, and finds none: the monitor's NIC goes on working."""
    native = boot(native=True, agent=False, qemu=["-device", device])
    assert native.shell(f"test -e /sys/firmware/acpi/tables/{table}").status == 0
    native.stop()
    guest = boot(cpus=2, cmdline=cmdline, qemu=["-device", device])
    assert guest.shell(f"test -e /sys/firmware/acpi/tables/{table}").status != 0
    assert guest.check("ls /sys/class/iommu 2>/dev/null; true") == ""
    guest.load_agent()
    apply(guest, demo)
    assert is_patched(guest)
    revert(guest, "demo")
    unharmed(guest)
