# SPDX-License-Identifier: BSD-2-Clause
"""Events that a guest causes repeatedly, a dead CPU, and a kernel without page tables: the log
reports each once, and keeps its earlier lines."""

import os
import re
import time

import pytest

import monitor
from gdb import RAX, Gdb
from machine import BUILD, GUEST, PLATFORM
from patches import apply, revert

IS_X86 = PLATFORM.architecture == "x86"
MISHAP = os.path.join(BUILD, "guest", f"{GUEST}-modules", "mishap.ko")
PARAMETERS = "/sys/module/mishap/parameters"
LINES = 20000
BURST = 64
VMCB_CR3, VMCB_RIP = 0x550, 0x578
# offsets in the vectors: from EL1, an exception of the code's own and an interrupt
FROM_SYNC, FROM_IRQ = 0x400, 0x480


def log_of(guest):
    lines, since = [], 0
    while page := (answer := guest.json(f"/v1/log?since={since}"))["lines"]:
        lines += page
        since = answer["next"]
    return lines


def metric(guest, name):
    text = guest.http("/metrics")[1]
    return int(re.search(rf"^suture_{re.escape(name)} (\d+)$", text, re.MULTILINE)[1])


def write_files(guest, demo):
    """guest_may_disable=no: the guest cannot disable a patch, the operator can revert it."""
    guest.load_agent()
    apply(guest, demo)
    for name, value in ("enabled", 0), ("force", 1):
        result = guest.shell(f"echo {value} >/sys/kernel/suture/demo/{name}")
        assert result.status and "Operation not permitted" in result.out, result
    assert guest.check("cat /sys/kernel/suture/demo/enabled") == "1"
    said = [line["text"] for line in log_of(guest) if "guest_may_disable=no" in line["text"]]
    assert [re.sub(r"pid \d+", "pid N", text) for text in said] == [
        f"patch 'demo': sh (pid N) in the guest wrote {value} to `{name}`: refused, suture.conf says "
        "guest_may_disable=no" for name, value in (("enabled", 0), ("force", 1))]
    revert(guest, "demo")
    guest.check("rmmod suture")


def provoke(guest, measured):
    before = log_of(guest)
    guest.check(f"echo {LINES} >{PARAMETERS}/lines", timeout=120)
    lines = log_of(guest)
    assert [line for line in lines if line in before] == before
    provoked = [line for line in lines if "string I/O" in line["text"]]
    assert len(provoked) <= BURST and {line["kind"] for line in provoked} == {"access"}
    left_out = metric(guest, 'log_left_out_total{kind="access"}')
    kept = metric(guest, 'log_lines_total{kind="access"}')
    assert left_out + kept >= LINES
    measured(f"{LINES} lines provoked, {kept} kept, all of the {len(before)} before are readable")


def stop_at(guest, cpu, address):
    """The debugger, when the CPU has come to the address."""
    gdb = Gdb(os.path.join(guest.sockets, "gdb"))
    gdb.set_breakpoint(address)
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, f"no exit of CPU {cpu}"
        gdb.go_on()
        stopped = gdb.wait_stop()
        gdb.clear_breakpoint(address)
        if stopped == cpu:
            return gdb
        gdb.step(stopped)
        gdb.set_breakpoint(address)


def save_monitors_state(guest, cpu):
    """The next exit of the CPU leaves the monitor's own state in its VMCB."""
    base = monitor.base(guest)
    address = base + monitor.find_code(r"\tvmrun.*\n *([0-9a-f]+):")
    gdb = stop_at(guest, cpu, address)
    vmcb = gdb.get_register(cpu, RAX)
    gdb.write(cpu, vmcb + VMCB_CR3, gdb.read(cpu, base + monitor.symbols()["host_tables"]))
    gdb.write(cpu, vmcb + VMCB_RIP, address)
    gdb.close()


def send_interrupt(guest, cpu):
    """The next exit of the CPU is an interrupt, of which none is EL2's."""
    vectors = monitor.base(guest) + monitor.symbols()["el2_vectors"]
    gdb = stop_at(guest, cpu, vectors + FROM_SYNC)
    gdb.set_pc(cpu, vectors + FROM_IRQ)
    gdb.close()


# how a CPU dies, its cause, and what is told
DEATH = {
    "x86": (save_monitors_state, "host-state",
            r"the exit saved the monitor's state as the guest's, at 0x[0-9a-f]+ of its image "
            r"\(interrupted event (0x)?[0-9a-f]+\): exit code 0x[0-9a-f]+, "
            r"info 0x[0-9a-f]+ and 0x[0-9a-f]+; guest's rip 0x[0-9a-f]+"),
    "arm64": (send_interrupt, "interrupt",
              r"an interrupt has come to EL2: esr 0x[0-9a-f]+, far (0x)?[0-9a-f]+, hpfar "
              r"(0x)?[0-9a-f]+; guest's pc 0x[0-9a-f]+, pstate 0x[0-9a-f]+"),
}[PLATFORM.architecture]


def check_dead(guest, cpu):
    deadline = time.monotonic() + 30
    while (status := guest.json("/v1/status")["cpus"])[cpu]["state"] != "dead":
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    assert re.fullmatch("(guest|idle) dead service", " ".join(c["state"] for c in status)), status
    why = status[cpu]["why"]
    _, cause, told = DEATH
    assert re.match(told, why), why
    said = [line for line in log_of(guest) if "is dead" in line["text"]]
    assert [(line["text"], line["level"]) for line in said] == [
        (f"CPU {cpu} is dead: {why}", "error")]
    assert metric(guest, f'cpu_dead{{cpu="{cpu}",cause="{cause}"}}') == 1
    assert metric(guest, 'cpus{state="dead"}') == 1
    out = guest.suture("status").out
    assert f"dead      CPU {cpu}: {why}" in out and \
        re.search("1 (guest|idle), 1 dead, 1 service", out), out
    # the others run on
    assert guest.check("taskset -c 0 echo here") == "here"


def without_page_tables(guest):
    """A kernel without page tables comes to its end, as on hardware."""
    tables = monitor.base(guest)
    guest.send(f"taskset -c 0 sh -c 'echo {tables} >{PARAMETERS}/tables'")
    guest.wait_end(timeout=30)
    log = guest.read_log("monitor.log")
    assert re.search(rf"guest CPU 0 shut down \(triple fault\) at .*, cr3 {tables:#x}", log), log
    walks = re.findall(r"page table at guest physical .* cannot be carried out", log)
    # what was provoked before has used up the limit of this kind, and time alone gives it back
    assert 1 <= len(walks) <= 3, walks


@pytest.mark.qemu("with gdb in the monitor")
def test_mishaps_of_a_guest(boot, demo, measured):
    # nothing that the guest's shell waits for is to happen on CPU 1
    guest = boot(cpus=2, conf={"guest_may_disable": "no"}, cmdline="nowatchdog isolcpus=1 irqaffinity=0 rcu_nocbs=1 "
                                 "rcupdate.rcu_cpu_stall_suppress=1",
                 files={"/lib/modules/mishap.ko": MISHAP} if IS_X86 else {},
                 qemu=["-gdb", "unix:{sockets}/gdb,server=on,wait=off"])
    write_files(guest, demo)
    # it is an access to a port that the monitor has something to say about
    if IS_X86:
        guest.check("insmod /lib/modules/mishap.ko")
        provoke(guest, measured)
    # exits: on x86 an isolated CPU that is idle has none, on arm64 one that is busy
    work = ":" if IS_X86 else "usleep 1000"
    guest.check(f"taskset -c 1 sh -c 'while :; do {work}; done' >/dev/null 2>&1 &")
    DEATH[0](guest, 1)
    check_dead(guest, 1)
    # on arm64 a kernel without page tables takes exceptions for ever, as on hardware
    if IS_X86:
        without_page_tables(guest)
