# SPDX-License-Identifier: BSD-2-Clause
"""A hostile guest kernel: each attack of tests/hostile/attacks.py gains nothing, and the monitor answers
after it."""

import os
import re
import sys
import time

import pytest

import monitor
from gdb import RAX, RDI, RSI, Gdb
from machine import BUILD, GUEST, PLATFORM

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "hostile"))
from attacks import ATTACKS, EDU_SLOT, HALTS, HANGS, RESETS, Hostile  # noqa: E402
import attacks_arm64  # noqa: E402,F401
import attacks_x86  # noqa: E402,F401

X2APIC = "x86-svm-x2apic"  # CPUs with x2APIC, which QEMU has since 9.0
HOSTILE = os.path.join(BUILD, "guest", f"{GUEST}-modules", "hostile.ko")
MSR_TOOL = os.path.join(BUILD, "guest", GUEST, "modules", "kernel", "arch", "x86", "kernel", "msr.ko")
FILES = {"/lib/modules/hostile.ko": HOSTILE}
if PLATFORM.architecture == "x86":
    FILES["/lib/modules/msr.ko"] = MSR_TOOL
DEVICES = ["-device", f"edu,addr={EDU_SLOT.get(PLATFORM.name)}",
           "-gdb", "unix:{sockets}/gdb,server=on,wait=off"]
CPUS = 2
ANSWERS_WITHIN = 5  # seconds


def prepare(boot, **options):
    """options: of the machine."""
    # nothing that the guest's shell waits for is to happen on CPU 1
    guest = boot(cpus=CPUS, cmdline="nowatchdog isolcpus=1 irqaffinity=0 rcu_nocbs=1 "
                                    "rcupdate.rcu_cpu_stall_suppress=1",
                 files=FILES, qemu=DEVICES, **options)
    guest.check("insmod /lib/modules/hostile.ko")
    if "/lib/modules/msr.ko" in FILES:
        guest.check("insmod /lib/modules/msr.ko allow_writes=on")
    return guest


def nic_bars(guest):
    """Where QEMU has placed the memory of the management NIC, which the guest does not see."""
    if PLATFORM.emulator != "QEMU":
        return []
    found = re.search(r"Bus  0, device   4, function 0:.*?(?=Bus  |\Z)", guest.hmp("info pci"), re.S)
    return [int(bar, 16) for bar in re.findall(r"32 bit memory at (0x[0-9a-f]+)", found[0])]


def hostile(guest):
    slot = int(PLATFORM.nic.split(":")[1].split(".")[0], 16)
    h = Hostile(guest, PLATFORM.name, service=CPUS, memory=monitor.base(guest), nic=slot << 3)
    h.nic_bars = nic_bars(guest)
    return h


def check_answers(guest):
    start = time.monotonic()
    status = guest.json("/v1/status", timeout=ANSWERS_WITHIN)
    assert [cpu["state"] for cpu in status["cpus"]][-1] == "service", status
    assert guest.json("/v1/status", timeout=ANSWERS_WITHIN)["uptime_us"] > status["uptime_us"]
    assert "monitor fault" not in guest.read_log("monitor.log")
    return time.monotonic() - start


MINE = [attack for attack in ATTACKS if PLATFORM.name in attack.machines]
# the guest may wait for its halted CPU in whatever comes then
HARMLESS = [a for a in MINE if not a.ends] + [a for a in MINE if a.ends == HALTS]


@pytest.mark.parametrize("attack", HARMLESS, ids=lambda a: a.name)
def test_gains_nothing(shared, attack, measured):
    with shared(prepare) as guest:
        try:
            attack.run(hostile(guest))
            took = check_answers(guest)
        except OSError as error:  # the monitor does not answer
            raise AssertionError(f"{attack.name}: {error}") from error
        measured(f"{attack.name}: two answers after {1000 * took:.0f} ms")
        assert guest.check("echo alive") == "alive"


@pytest.mark.parametrize("attack", [a for a in MINE if a.ends == RESETS], ids=lambda a: a.name)
def test_ends_itself(boot, attack):
    """The guest's CPU shuts down, which resets the machine, as without a monitor."""
    guest = prepare(boot)
    attack.run(hostile(guest))
    if PLATFORM.ends_at_reset:
        guest.wait_end(timeout=20)
    else:  # in Bochs no reset of the monitor's has come to a second start
        guest.wait_log(r"guest CPU 0 shut down", timeout=20, name="monitor.log")
    log = guest.read_log("monitor.log")
    assert re.search(r"guest CPU 0 shut down \(triple fault\)", log), log[-1000:]
    assert "monitor fault" not in log


@pytest.mark.parametrize("attack", [a for a in MINE if a.ends == HANGS], ids=lambda a: a.name)
def test_hangs_itself(boot, attack, measured):
    """No exception of the guest's CPU can be delivered any more: the operator resets the machine."""
    guest = prepare(boot, reboot=True)
    attack.run(hostile(guest))
    for _ in range(5):
        took = check_answers(guest)
        time.sleep(0.2)
    measured(f"{attack.name}: two answers after {1000 * took:.0f} ms; CPU 0 is "
             f"{guest.json('/v1/status')['cpus'][0]['state']}")
    assert guest.suture("reboot", "--guest").status == 0
    guest.wait_ready(count=2)


@pytest.mark.qemu("which tells where the NIC is")
def test_reserved(shared):
    """The guest's kernel gives the NIC's memory to no device: it is a motherboard resource, or is not
    in the window of its bridge."""
    with shared(prepare) as guest:
        iomem = [re.match(r" *([0-9a-f]+)-([0-9a-f]+) : (.*)", line)
                 for line in guest.check("cat /proc/iomem").splitlines()]
        bars = nic_bars(guest)
        assert bars
        for bar in bars:
            owners = [line[3] for line in iomem if int(line[1], 16) <= bar <= int(line[2], 16)]
            assert not owners or owners[-1].startswith("pnp "), (hex(bar), owners)


@pytest.mark.parametrize("attack", [a for a in ATTACKS if X2APIC in a.machines], ids=lambda a: a.name)
@pytest.mark.x86("about x2APIC")
@pytest.mark.qemu("10, whose CPUs have x2APIC")
def test_x2apic(boot, attack):
    guest = prepare(boot, thread="multi", cpu="EPYC,-cx16,+x2apic")
    attack.run(hostile(guest))
    deadline = time.monotonic() + 20
    while True:
        check_answers(guest)
        if "w 4 fee00ff0" not in guest.check("ps -o args"):  # it has come to its end
            break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    check_answers(guest)


# ---- faults in the monitor ----

MTRR, MTRR_VALUE = 0x20e, 0x80000006  # a base, whose mask says that it is off
NO_SUCH_MSR = 0x40000000  # it always exits, and the monitor asks the processor
LOAD = 0x008b  # mov (%rax), %eax
NOT_CANONICAL = 1 << 63
EIO = 5


def fixups(base):
    """{function: the address of its instruction that may fault}"""
    symbols = monitor.symbols()
    found = {}
    for line in monitor.run("objdump", "-s", "-j", ".data", f"--start-address={symbols['fixups_start']}",
                            f"--stop-address={symbols['fixups_end']}").splitlines():
        words = re.match(r" ([0-9a-f]+) ((?:[0-9a-f]{8} ?)+) ", line)
        for i, word in enumerate(words[2].split() if words else []):
            at = int(words[1], 16) + 4 * i
            target = at + int.from_bytes(bytes.fromhex(word), "little", signed=True)
            name = max((a, n) for n, a in symbols.items() if a <= target and n.endswith("_safe"))[1]
            found[name] = base + target
    return found


@pytest.mark.x86("arm64 has no instruction that may fault by what a guest hands to it")
@pytest.mark.qemu("with gdb in the monitor")
def test_from_inside(shared, measured):
    """With a debugger in the monitor."""
    with shared(prepare) as guest:
        plant_faults(guest, measured)
        follow_mtrr(guest)


def follow_mtrr(guest):
    """What the guest writes to an MTRR the service CPU writes too."""
    address = monitor.base(guest) + monitor.symbols()["wrmsr_safe"]
    gdb = Gdb(os.path.join(guest.sockets, "gdb"))
    gdb.set_breakpoint(address)
    guest.send(f"msr 0 {MTRR:x} {MTRR_VALUE:x} >/msr.mtrr")
    writers = []
    deadline = time.monotonic() + 30
    while CPUS not in writers:
        assert time.monotonic() < deadline, writers
        gdb.go_on()
        cpu = gdb.wait_stop()
        if gdb.get_register(cpu, RDI) == MTRR:
            assert gdb.get_register(cpu, RSI) == MTRR_VALUE
            writers.append(cpu)
        gdb.clear_breakpoint(address)
        gdb.step(cpu)
        gdb.set_breakpoint(address)
    gdb.clear_breakpoint(address)
    gdb.close()
    assert writers == [0, CPUS]
    guest.settle_shell()
    check_answers(guest)


def plant_faults(guest, measured):
    """A fault at each instruction that gets a number or value from the guest is the guest's."""
    base, symbols = monitor.base(guest), monitor.symbols()
    entry, failed = base + symbols["rdmsr_safe"], base + symbols["insn_failed"]
    places = fixups(base)
    assert sorted(places) == ["rdmsr_safe", "wrmsr_safe", "xsetbv_safe"]
    for name, address in places.items():
        gdb = Gdb(os.path.join(guest.sockets, "gdb"))
        gdb.set_breakpoint(entry)
        guest.send(f"msr 0 {NO_SUCH_MSR:x} >/msr.{name}")
        gdb.go_on()
        cpu = gdb.wait_stop()
        gdb.clear_breakpoint(entry)
        # the functions have the same form: another one in the place of the one that was called
        gdb.set_pc(cpu, address)
        was = gdb.read(cpu, address)
        gdb.write(cpu, address, was & ~0xffff | LOAD)
        gdb.set_register(cpu, RAX, NOT_CANONICAL)
        gdb.set_breakpoint(failed)
        gdb.go_on()
        assert gdb.wait_stop() == cpu
        gdb.clear_breakpoint(failed)
        gdb.write(cpu, address, was)
        gdb.close()
        guest.settle_shell()
        assert f"read {EIO} " in guest.check(f"cat /msr.{name}"), name
        check_answers(guest)
    measured(f"faults planted: {len(places)}")
