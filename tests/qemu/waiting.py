# SPDX-License-Identifier: BSD-2-Clause
"""Commands of the operator that wait while a task in the guest blocks them."""

import re
import subprocess
import time

from machine import SUTURE


class Waiting:
    """A command of the operator that must not come to its end yet."""

    def __init__(self, guest, *arguments):
        self.guest = guest
        self.process = subprocess.Popen(
            [SUTURE, "--host", f"127.0.0.1:{guest.port}", "--insecure", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def blocked_by(self, pattern, seconds):
        """It goes on being blocked for so long, and the status tells by whom."""
        deadline = time.monotonic() + 30
        pattern = rf"task \S+ \(pid \d+\) is in .*{pattern}"
        while not re.search(pattern, status := self.guest.suture("status").out):
            assert self.process.poll() is None, f"it was not blocked:\n{self.output()}"
            assert time.monotonic() < deadline, status
            time.sleep(0.1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, f"it was not blocked:\n{self.output()}"
            time.sleep(0.1)

    def output(self):
        return self.process.communicate(timeout=10)[0].decode(errors="replace")

    def succeeds(self, timeout=40):
        output, _ = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, output.decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()


def wait_until(condition, timeout=30):
    """Wait until it is true."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.1)
