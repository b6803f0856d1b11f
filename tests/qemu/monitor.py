# SPDX-License-Identifier: BSD-2-Clause
"""The monitor's image: addresses of its symbols and of instructions, for tests with a debugger."""

import collections
import os
import re
import subprocess

from machine import PLATFORM, SUTURE_EFI

IMAGE = os.path.join(os.path.dirname(SUTURE_EFI), "suture.so")
# of binutils for another architecture than the host's
PREFIX = {"x86": "x86_64-linux-gnu-", "arm64": "aarch64-linux-gnu-"}[PLATFORM.architecture]
# a CPU that comes here stays for ever; the monitor never has interrupts on
ENDLESS_HALT = {
    "x86": r"^ *([0-9a-f]+):\s+cli\s*\n.*\thlt\s*\n.*\tjmp +\1\b",
    "arm64": r"^ *([0-9a-f]+):\s+wfi\s*\n(?:.*\twfi\s*\n)*.*\tb\t\1\b",
}[PLATFORM.architecture]


def run(tool, *arguments):
    return subprocess.run([PREFIX + tool, *arguments, IMAGE], stdout=subprocess.PIPE,
                          check=True).stdout.decode()


def base(guest):
    return int(guest.wait_log(r"suture: .* MiB at (0x[0-9a-f]+)")[1], 16)


def symbols():
    """{name: offset from the base}, without names that several symbols have."""
    lines = [line.split() for line in run("nm").splitlines() if len(line.split()) == 3]
    count = collections.Counter(name for _, _, name in lines)
    return {name: int(address, 16) for address, _, name in lines if count[name] == 1}


def find_code(pattern):
    """The offset that the pattern's first group is, in the image's disassembly."""
    found = re.search(pattern, run("objdump", "-d", "--no-show-raw-insn"), re.MULTILINE)
    assert found, f"the monitor has no {pattern}"
    return int(found[1], 16)
