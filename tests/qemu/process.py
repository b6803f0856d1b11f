# SPDX-License-Identifier: BSD-2-Clause
"""What an emulator's process gets from the one that starts it."""

import ctypes
import resource
import signal
import socket


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end_with_parent():
    """In the child, before exec: a test run that is killed leaves no emulator behind, and an emulator that logs
    without end does not fill the disk."""
    pr_set_pdeathsig = 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 30, 8 << 30))
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
