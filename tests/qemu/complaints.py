# SPDX-License-Identifier: BSD-2-Clause
"""What a guest's kernel says of something that it has found wrong, as patterns of grep -E.

A pattern is wide enough for all kernels and too narrow for the name of a function: a stack that is
told on request has `__install_special_mapping` in it, which holds the word `stall`.
"""

FAULTS = "WARNING: CPU|BUG:|Oops|general protection|Unable to handle|Internal error"
STALLS = "rcu: INFO: .* stalls? on |soft lockup"
TEXT = "[Ff]trace (bug|failed|disabled)|[Ff]ailed on|jump_label: "


def complaints(guest, *more):
    """The lines of the guest's kernel log with a fault, or with one of `more`; empty if there is none."""
    return guest.shell(f"dmesg | grep -E '{'|'.join((FAULTS, *more))}'").out
