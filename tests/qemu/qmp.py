# SPDX-License-Identifier: BSD-2-Clause
"""A QMP client with the commands that the tests use."""

import json
import socket


class Qmp:
    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rwb")
        self.stream.readline()  # greeting
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        request = {"execute": name, "arguments": arguments}
        self.stream.write(json.dumps(request).encode() + b"\n")
        self.stream.flush()
        while True:
            line = self.stream.readline()
            if not line:
                raise ConnectionError(f"QEMU closed QMP during {name}")
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"QMP {name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def monitor(self, line):
        """A line for QEMU's human monitor (`info registers`, `nmi`, ...)."""
        return self.command("human-monitor-command", **{"command-line": line})

    def close(self):
        self.stream.close()
        self.socket.close()
