# SPDX-License-Identifier: BSD-2-Clause
"""Figures that need no machine: of files, and what unit tests count (tests/unit)."""

import os
import re
import subprocess

from machine import BUILD, SUTURE_EFI


def unit_test(name):
    """What it prints."""
    done = subprocess.run([os.path.join(BUILD, "unit", name)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300)
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise RuntimeError(f"{name} failed: {text}")
    return text


def image_size(table):
    table.add("suture.efi", os.path.getsize(SUTURE_EFI) / 1024, "KiB", 640)


def pause_blocks(table):
    """tests/unit/growth_tasks.c: the check in the pause, executed in a simulated guest."""
    found = re.findall(r"(\d+) tasks sleep: a pause of (\d+) blocks looks at \d+ tasks and (\d+) words; "
                       r"before it (\d+) blocks; without that look a pause of (\d+)",
                       unit_test("growth_tasks"))
    rows = [tuple(map(int, row)) for row in found]
    for tasks, blocks, words, _, without in rows:
        first = tasks == rows[0][0]
        table.add(f"basic blocks executed in a pause, {tasks:,} sleeping tasks (simulated guest)", blocks,
                  "", None if first else 1.5 * rows[0][1],
                  note=f"reads {words} words of stacks; without the look before it {without:,} blocks")


def call_instructions(table):
    """tests/unit/unicorn_redirect_call.c and unicorn_arm64_redirect_call.c"""
    for test, shape, title in (("unicorn_redirect_call", "x86-64, long NOP", "x86-64"),
                               ("unicorn_arm64_redirect_call", "arm64, ftrace's site", "arm64")):
        line = re.search(re.escape(shape) + r": a call executes (\d+) instructions, patched (\d+): a "
                         r"\w+ and (\d+)", unit_test(test))
        before, after, entry = map(int, line.groups())
        table.add(f"jumps that a call of a patched function executes more, {title}",
                  after - before - entry, "", 1,
                  note=f"{before} instructions, patched {after}: a direct jump, and the new function's "
                       f"own entry ({entry} NOP{'s' if entry > 1 else ''})")
