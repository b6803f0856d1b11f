# SPDX-License-Identifier: BSD-2-Clause
"""A guest that hangs, recovers, and panics: the status that the operator sees, and the operations
that work from below."""

import re
import time

from complaints import complaints
from machine import PLATFORM
from test_life import LIFE, deafen
from patches import COMMIT_RATIO, apply, commit_limit, make_patch, revert

# It keeps its CPU, interrupts off, until something comes on the serial line of the tests' shell.
SPIN = """
    #include <linux/io.h>
    #include <linux/irqflags.h>
    #include <linux/ktime.h>
    #include <linux/serial_reg.h>

    static noinline int new_cmdline_proc_show(struct seq_file *m, void *v)
    {
        u64 end = ktime_get_ns() + 120 * NSEC_PER_SEC;
        unsigned long flags;

        local_irq_save(flags);
        while (ktime_get_ns() < end && !(inb(PORT + UART_LSR) & UART_LSR_DR))
            cpu_relax();
        local_irq_restore(flags);
        seq_puts(m, "spun\\n");
        return 0;
    }
"""


def shell_port(guest):
    """The I/O port of the shell's serial line. On arm64 that is a PCI device."""
    return "0x2f8" if PLATFORM.architecture == "x86" else "0x" + guest.check(
        "sed -n 's/^ *\\([0-9a-f]*\\)-.*: serial$/\\1/p' /proc/ioports")


def spin(guest, bundles):
    return make_patch(bundles, "spins", SPIN.replace("PORT", shell_port(guest)),
                      {None: {"cmdline_proc_show": "new_cmdline_proc_show"}})


def wait_status(guest, pattern, code, timeout=60):
    """Until `suture status` says it, and exits so; returns how long that took."""
    start = time.monotonic()
    while True:
        status = guest.suture("status")
        if re.search(pattern, status.out, re.MULTILINE) and status.status == code:
            return time.monotonic() - start
        assert time.monotonic() < start + timeout, status
        time.sleep(0.3)


def revert_report(guest, patch):
    return guest.json(f"/v1/patches/{patch}")["revert"]


def test_hang(boot, bundles, demo, measured):
    """One CPU, and a patched function that keeps it."""
    guest = boot(cpus=1, cmdline="panic=0")
    guest.load_agent()
    apply(guest, commit_limit(bundles))
    apply(guest, spin(guest, bundles))
    assert wait_status(guest, "^agent +present, last heard [0-9.]+ s ago$", 0) < 10
    result = guest.suture("revert", "--from-below", "commit_limit")
    assert result.status == 1 and "the agent in the guest answers" in result.out, result

    guest.send("cat /proc/cmdline")
    took = wait_status(guest, "^guest +agent silent for 1[0-9] s: the guest hangs", 5)
    measured(f"shown as silent after {took:.1f} s")
    assert guest.suture("--json", "status").status == 5
    metrics = guest.http("/metrics")[1]
    assert 'suture_guest_state{state="silent"} 1' in metrics
    assert float(re.search(r"^suture_agent_silent_seconds (\S+)", metrics, re.MULTILINE)[1]) >= 10
    start = time.monotonic()
    result = guest.suture("revert", "commit_limit")
    assert time.monotonic() - start < 5
    assert result.status == 1 and "`suture revert --from-below commit_limit`" in result.out, result

    result = guest.suture("revert", "--from-below", "commit_limit")
    assert result.status == 0, result
    assert "commit_limit disabled: off from below, left out: 1 pre_unpatch" in result.out, result
    assert revert_report(guest, "commit_limit")["from_below"]
    measured(f"off from below: pause {revert_report(guest, 'commit_limit')['pause_max_us']} us")

    # its function is the one that hangs
    result = guest.suture("--timeout", "3", "revert", "--from-below", "spins")
    assert result.status == 4 and "--from-below --force" in result.out, result
    blocker = revert_report(guest, "spins")["blocker"]
    assert blocker["func"] == "cmdline_proc_show" and blocker["comm"] == "cat", blocker
    result = guest.suture("revert", "--from-below", "--force", "spins")
    assert result.status == 0 and "by force" in result.out, result

    guest.shell_socket.sendall(b"\n")
    wait_status(guest, "^agent +present", 0)
    guest.settle_shell()
    # what was left out stays undone, what can be unloaded is
    assert guest.check(f"cat {COMMIT_RATIO}") == "25"
    assert guest.check("ls /sys/kernel/suture") == "spins"
    revert(guest, "commit_limit")
    assert guest.check("cut -d' ' -f1 /proc/modules | sort") == "spins\nsuture"
    result = guest.suture("revert", "spins")
    assert result.status == 1 and "was forced" in result.out, result
    assert f"console={PLATFORM.console}" in guest.check("cat /proc/cmdline")
    apply(guest, commit_limit(bundles))
    assert complaints(guest) == ""

    # and now it is gone for good: it says so itself, at once
    start = time.monotonic()
    guest.send("echo c >/proc/sysrq-trigger")
    wait_status(guest, "^guest +guest panicked: sysrq triggered crash$", 5)
    measured(f"panic shown after {time.monotonic() - start:.1f} s")
    assert guest.json("/v1/status")["guest"]["state"] == "panicked"
    for command in ("apply", demo), ("revert", "commit_limit"):
        result = guest.suture(*command)
        assert result.status == 1 and "guest panicked: sysrq triggered crash" in result.out, result
    result = guest.suture("revert", "--from-below", "commit_limit")
    assert result.status == 0, result


def test_panic_that_nobody_tells(boot, measured):
    """The agent's panic notifier is not called: the CPUs tell."""
    guest = boot(cpus=3, cmdline="panic=0", files={"/lib/modules/life.ko": LIFE})
    guest.load_agent()
    deafen(guest)
    assert guest.suture("status").status == 0
    guest.send("echo c >/proc/sysrq-trigger")
    guest.wait_log("Kernel panic")
    wait_status(guest, "^guest +agent silent", 5)
    took = wait_status(guest, "^guest +guest panicked: all its CPUs but one are halted", 5)
    measured(f"suspected {took:.1f} s after it was shown as silent")
