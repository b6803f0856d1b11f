# SPDX-License-Identifier: BSD-2-Clause
"""What a guest's root may do to a payload between its bundle and its switch, and behind that: the monitor
compares the code in the guest's memory, and what is declared, with the bundle (docs/security.md)."""

import os
import re
import struct

import pytest

from machine import BUILD, GUEST, PLATFORM
from patches import CONFIG, apply, make_patch, revert

SCRIBBLE = os.path.join(BUILD, "guest", f"{GUEST}-modules", "scribble.ko")
SWAP = os.path.join(BUILD, "guest", PLATFORM.architecture, "bin", "swap")
HELPER = "/sys/module/suture/parameters/helper"
FUNCTIONS = {None: {"cmdline_proc_show": "first_show", "version_proc_show": "second_show"}}
CODE = """
static int first_show(struct seq_file *m, void *v)
{
    seq_puts(m, "first\\n");
    return 0;
}

static int second_show(struct seq_file *m, void *v)
{
    seq_puts(m, "second\\n");
    return 0;
}
"""


class Payload:
    """The module in a bundle: its sections, and where symbols are."""

    def __init__(self, bundle):
        with open(bundle, "rb") as f:
            data = f.read()
        start, size = struct.unpack_from("<II", data, 24)
        self.data = data[start:start + size]
        table, = struct.unpack_from("<Q", self.data, 40)
        count, names = struct.unpack_from("<HH", self.data, 60)
        # name, type, flags, address, offset, size, link, info, alignment, entry size
        self.headers = [struct.unpack_from("<IIQQQQIIQQ", self.data, table + 64 * i) for i in range(count)]
        self.names = names
        self.sections = {self.text(names, header[0]): header for header in self.headers}

    def text(self, section, offset):
        at = self.headers[section][4] + offset
        return self.data[at:self.data.index(0, at)].decode()

    def symbol(self, wanted):
        """The offset of a symbol of .text in the file."""
        _, _, _, _, at, size, link, _, _, _ = self.sections[".symtab"]
        for entry in range(at, at + size, 24):
            name, _, _, section, value, _ = struct.unpack_from("<IBBHQQ", self.data, entry)
            if self.text(link, name) == wanted:
                assert self.headers[section] == self.sections[".text"]
                return self.headers[section][4] + value
        raise AssertionError(wanted)

    def swapped_functions(self):
        """(offset, byte) that make each klp_func lead to the other one's new function: what the relocations
        of .data or .rodata name that lead to the two."""
        text = self.headers.index(self.sections[".text"])
        ends = {self.symbol(name) - self.sections[".text"][4] for name in ("first_show", "second_show")}
        places = []
        symbols = self.sections[".symtab"][4]
        for kind, at, size, into in ((h[1], h[4], h[5], h[7]) for h in self.headers):
            if kind != 4 or not self.headers[into][2] & 2 or self.headers[into][2] & 4:
                continue
            for entry in range(at, at + size, 24):
                _, info, addend = struct.unpack_from("<QQq", self.data, entry)
                _, _, _, section, value, _ = struct.unpack_from("<IBBHQQ", self.data, symbols + 24 * (info >> 32))
                name = self.text(self.names, self.headers[into][0])
                if section == text and value + addend in ends and re.match(r"\.(ro)?data", name):
                    places.append(entry + 8)
        assert len(places) == 2
        one, other = (self.data[at:at + 16] for at in places)
        return [(places[0] + i, byte) for i, byte in enumerate(other)] + \
               [(places[1] + i, byte) for i, byte in enumerate(one)]


@pytest.fixture(scope="module")
def bundle(bundles):
    return make_patch(bundles, "shows", CODE, FUNCTIONS)


@pytest.fixture(scope="module")
def machine(boot_module):
    machine = boot_module(files={"/lib/modules/scribble.ko": SCRIBBLE, "/bin/swap": SWAP})
    machine.load_agent()
    return machine


@pytest.fixture
def guest(machine):
    """Each test leaves the guest as it was."""
    shown = "cat /proc/cmdline /proc/version; cut -d' ' -f1 /proc/modules"
    before = machine.check(shown)
    yield machine
    assert machine.check(shown) == before


def swapped(guest, bundle, changes):
    """Apply the bundle, whose payload the guest's helper changes: the refusal."""
    # without livepatch of its own the kernel takes no module that names it: suture-load takes that out
    data = Payload(bundle).data
    changes = [*changes, (data.index(b"livepatch=Y"), ord("x"))]
    guest.check("cat >/tmp/swap <<'END'\n" + "".join(f"{at:x} {byte:x}\n" for at, byte in changes) + "END")
    usual = guest.check(f"cat {HELPER}")
    guest.check(f"printf /bin/swap >{HELPER}")
    result = guest.suture("apply", bundle)
    guest.check(f"printf {usual} >{HELPER}")
    return result


def test_swap_alone_is_taken(guest, bundle):
    """The helper of the attacks loads the module: it is not refused for another reason."""
    result = swapped(guest, bundle, [])
    assert result.status == 0, result
    assert guest.check("cat /proc/cmdline /proc/version") == "first\nsecond"
    revert(guest, "shows")


def test_swapped_code(guest, bundle):
    """Another module of that name: one constant of its code is another."""
    payload = Payload(bundle)
    # the last bytes of the function before its return are of no table
    at = payload.symbol("first_show") + (4 if PLATFORM.architecture == "arm64" else 9)
    result = swapped(guest, bundle, [(at + 8, payload.data[at + 8] ^ 0x20)])
    assert result.status == 1, result
    assert re.search(r"payload's text at 0x[0-9a-f]+|none of the values", result.out), result


def test_swapped_declaration(guest, bundle):
    """The module's code is the bundle's, its tables are not: each function leads to the other one's code."""
    result = swapped(guest, bundle, Payload(bundle).swapped_functions())
    assert result.status == 1, result
    assert re.search(r"declares the new '\w+' at 0x[0-9a-f]+, where the bundle has something else", result.out), result


def test_kprobe_in_code(guest, bundle):
    """One that waits for the module: the refusal names it, and how to go on."""
    tracing = "/sys/kernel/tracing"
    # behind the site of ftrace, which has its own way of probing
    offset = 12 if PLATFORM.architecture == "arm64" else 9 if "CONFIG_X86_KERNEL_IBT=y" in CONFIG else 5
    guest.check(f"mount -t tracefs none {tracing} 2>/dev/null; "
                f"echo 'p:inside shows:second_show+{offset}' >{tracing}/kprobe_events && "
                f"echo 1 >{tracing}/events/kprobes/inside/enable")
    result = guest.suture("apply", bundle)
    guest.check(f"echo 0 >{tracing}/events/kprobes/inside/enable; echo >{tracing}/kprobe_events")
    assert result.status == 1, result
    assert "a kprobe does this; remove it (/sys/kernel/debug/kprobes/list has all) and try again" in result.out, result
    apply(guest, bundle)
    revert(guest, "shows")


def test_changed_code(guest, bundle):
    """Code that is changed while the patch is in force is found by who asks."""
    apply(guest, bundle)
    result = guest.suture("verify", "--running", "shows")
    assert result.status == 0 and "is the bundle's" in result.out, result
    at = int(guest.check("grep -w 'second_show' /proc/kallsyms", timeout=120).split()[0], 16) + 17
    # busybox's insmod tries twice: the first line has the byte that was there
    scribble = f"insmod /lib/modules/scribble.ko at={at:#x} value=%u 2>/dev/null; dmesg | grep 'scribble:' | head -n 1"
    was = int(guest.check(scribble % 0xcc).split()[-1], 16)
    result = guest.suture("verify", "--running", "shows")
    assert result.status == 1 and re.search("in the guest|refers to|none of the values", result.out), result
    guest.check(scribble % was)
    assert guest.suture("verify", "--running", "shows").status == 0
    # what the kernel itself changes is none of it
    guest.check("mount -t tracefs none /sys/kernel/tracing 2>/dev/null; cd /sys/kernel/tracing && "
                "echo 'first_show second_show' >set_ftrace_filter && echo function >current_tracer")
    assert guest.suture("verify", "--running", "shows").status == 0
    guest.check("cd /sys/kernel/tracing && echo nop >current_tracer && echo >set_ftrace_filter")
    revert(guest, "shows")
    result = guest.suture("verify", "--running", "shows")
    assert result.status == 1 and "no text to compare" in result.out, result
