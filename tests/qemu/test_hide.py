# SPDX-License-Identifier: BSD-2-Clause
"""hide=yes: the guest executes redirects and reads its own code (docs/redirects.md)."""

import os
import re

import pytest

from complaints import TEXT, complaints
from machine import PLATFORM
from patches import TEST_MODULES, apply, make_patch, revert

NAMES = ["reads", *(["stores"] if PLATFORM.architecture == "arm64" else [])]
# the NOP of ftrace's site, which becomes a call
SITE = {"x86": "0f1f440000", "arm64": "1f2003d5"}[PLATFORM.architecture]
TRACING = "/sys/kernel/tracing"
EXCLUSIVES = ["stxrb", "stlxr w", "stxr x", "stlxp", "stxr xzr"]
READ = re.compile(r"at ([0-9a-f]+) bytes ([0-9a-f]+) alike own ([0-9a-f]+) there result (\d+)")


@pytest.mark.svm("Intel and arm64 have pages for execution only")
def test_refused_without_execute_only(boot):
    """AMD's nested tables have no page for execution alone: said, and the machine boots natively."""
    guest = boot(cpus=1, conf={"hide": "yes"})
    guest.wait_log(r"suture: hide=yes: AMD NPT has no page that can be executed and not read; take "
                   r"the line out", timeout=1)
    assert guest.check("nproc") == "2"


def prepared(boot):
    guest = boot(cpus=2, conf={"hide": "yes"}, files={
        f"/lib/modules/{name}.ko": os.path.join(TEST_MODULES, f"{name}.ko") for name in NAMES})
    guest.check("echo 60 >/proc/sys/kernel/watchdog_thresh")
    guest.load_agent()
    guest.check("insmod /lib/modules/reads.ko")
    assert guest.json("/v1/status")["hide"]
    assert "redirects hidden from the guest (hide=yes)" in guest.suture("status").out
    return guest


@pytest.fixture
def guest(shared):
    """Two CPUs, agent and the module `reads`; to be left as it was."""
    with shared(prepared) as guest:
        yield guest
        assert guest.shell("ls /sys/kernel/suture 2>/dev/null").out == ""
        assert "is not in force" not in guest.suture("log").out
        assert complaints(guest, TEXT) == ""


def reads(guest):
    """Address and bytes of the patched function, the sum over its page, and its result."""
    out = guest.check("cat /proc/reads")
    said = READ.fullmatch(out)
    assert said, out
    return said.groups()


@pytest.fixture(scope="module")
def patch(bundles):
    return make_patch(bundles, "hidden", """
        static noinline int new_plain(int n)
        {
            return n + 1000;
        }

        static noinline int new_cmdline_proc_show(struct seq_file *m, void *v)
        {
            seq_puts(m, "patched\\n");
            return 0;
        }
    """, {None: {"cmdline_proc_show": "new_cmdline_proc_show"}, "reads": {"reads_plain": "new_plain"}})


@pytest.mark.arm64("AMD has no pages for execution only")
@pytest.mark.vmx("AMD has no pages for execution only")
def test_guest_reads_its_own_code(guest, patch, measured):
    """
    The bytes of a patched function, by single loads and by copies, a function that reads the page
    that it is on, and /proc/kcore: all as without the patch. What a read costs.
    """
    at, code, own, result = reads(guest)
    kernel = guest.check("grep -w cmdline_proc_show /proc/kallsyms").split()[0]
    whole = guest.check(f"kcore {kernel} 4096")
    module = guest.check(f"kcore {at} 32")
    assert result == "7" and module == code
    guest.check("echo time >/proc/reads")
    assert "2 functions redirected, 2 read back" in apply(guest, patch)
    assert reads(guest) == (at, code, own, "1002")
    assert guest.check("cat /proc/cmdline") == "patched"
    assert guest.check(f"kcore {kernel} 4096") == whole
    assert guest.check(f"kcore {at} 32") == code
    guest.check("echo time >/proc/reads")
    revert(guest, "hidden")
    assert reads(guest) == (at, code, own, "7")
    for when, line in zip(("native pages", "hidden pages"),
                          guest.check("dmesg | grep -o 'a load takes.*'").split("\n")):
        measured(f"{when}: {line}")


@pytest.mark.arm64("AMD has no pages for execution only")
@pytest.mark.vmx("AMD has no pages for execution only")
def test_tracers_write_to_the_page(guest, patch):
    """
    ftrace's site and kprobes, before the redirect, in it and behind it: the guest reads what it
    wrote, the redirect stays, and the revert does not wait.
    """
    at, code, own, _ = reads(guest)
    apply(guest, patch)

    guest.check(f"echo reads_plain >{TRACING}/set_ftrace_filter; echo function >{TRACING}/current_tracer")
    traced = reads(guest)
    assert traced[1] != code and traced[2] != own and traced[3] == "1002", traced
    assert "reads_plain" in guest.check(f"cat {TRACING}/trace")
    guest.check(f"echo nop >{TRACING}/current_tracer; echo >{TRACING}/set_ftrace_filter")
    assert reads(guest) == (at, code, own, "1002")

    behind = code.index(SITE) // 2 + len(SITE) // 2
    for offset in (behind, behind + 4):
        guest.check(f"echo 'p:hidden_test reads:reads_plain+{offset}' >{TRACING}/kprobe_events && "
                    f"echo 1 >{TRACING}/events/kprobes/hidden_test/enable")
        probed = reads(guest)
        assert probed[1] != code and probed[3] == "1002", probed
        assert guest.check(f"cat {TRACING}/kprobe_profile").split()[1] == "0"
        if offset != behind:
            revert(guest, "hidden")
            assert reads(guest)[1::2] == (probed[1], "7")
            assert guest.check(f"cat {TRACING}/kprobe_profile").split()[1] == "1"
        guest.check(f"echo 0 >{TRACING}/events/kprobes/hidden_test/enable; "
                    f"echo >{TRACING}/kprobe_events")
    assert reads(guest) == (at, code, own, "7")


@pytest.mark.arm64("AMD has no pages for execution only")
@pytest.mark.vmx("AMD has no pages for execution only")
def test_read_while_switched(guest, patch, measured):
    """Two CPUs read and call the function while the patch comes and goes."""
    at, code, own, _ = reads(guest)
    guest.check("rm -f /tmp/stop; for i in 0 1; do (while [ ! -e /tmp/stop ]; do cat /proc/reads; "
                "done >/tmp/read$i) & done; true")
    for _ in range(10):
        apply(guest, patch)
        revert(guest, "hidden")
    guest.check("touch /tmp/stop; wait; sleep 1")
    lines = guest.check("sort /tmp/read0 /tmp/read1 | uniq -c").split("\n")
    seen = {line.split(None, 1)[1]: int(line.split()[0]) for line in lines}
    assert set(seen) == {f"at {at} bytes {code} alike own {own} there result {result}"
                         for result in ("7", "1002")}, seen
    measured(f"two CPUs read a hidden page while it was switched 20 times: {seen.values()}")


@pytest.mark.arm64("its module has arm64's instructions")
def test_accesses_of_all_kinds(guest, bundles, measured):
    """
    Loads, stores and both in one, of each kind, to the pages of two hidden redirects. A
    store-exclusive never succeeds there, and gives up (docs/redirects.md).
    """
    bundle = make_patch(bundles, "stored", """
        static noinline int new_first(void)
        {
            return 11;
        }

        static noinline int new_second(void)
        {
            return 12;
        }
    """, {"stores": {"stores_first": "new_first", "stores_second": "new_second"}})
    guest.check("insmod /lib/modules/stores.ko")
    apply(guest, bundle)
    start = guest.cpu_seconds()
    out = guest.shell("cat /proc/stores; stores", timeout=300).out
    exclusives = "".join(f"{kind} at 1024 is wrong\n" for kind in EXCLUSIVES)
    said = re.fullmatch(rf"{exclusives}(\d+) stores, 5 wrong\ncounted 0 of 200\nresults 11 12\n"
                        rf"{exclusives}(\d+) stores, 5 wrong", out)
    assert said, out
    measured(f"accesses to hidden pages: {said[1]} in the kernel, {said[2]} in user mode, in "
             f"{guest.cpu_seconds() - start:.1f} s of CPU time")
    revert(guest, "stored")
    guest.check("rmmod stores")
