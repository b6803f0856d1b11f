# SPDX-License-Identifier: BSD-2-Clause
"""A client of QEMU's gdb stub, with which a test stops one CPU at an address."""

import re
import socket

from machine import PLATFORM

RAX, RSI, RDI = 0, 4, 5  # numbers of registers of x86-64
PC = {"x86": 16, "arm64": 32}[PLATFORM.architecture]


class Gdb:
    """Connecting stops the machine; go_on() starts it again, close() too."""

    def __init__(self, path, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.buffer = b""
        self.command("?")
        # registers can be written by those who have asked what there are
        self.command("qXfer:features:read:target.xml:0,ffb")

    def send(self, text):
        data = text.encode()
        self.socket.sendall(b"$" + data + b"#%02x" % (sum(data) % 256))

    def receive(self):
        while True:
            found = re.search(rb"\$([^#]*)#..", self.buffer)
            if found:
                self.buffer = self.buffer[found.end():]
                self.socket.sendall(b"+")
                return found[1].decode()
            data = self.socket.recv(4096)
            if not data:
                raise ConnectionError("QEMU closed the debugger's connection")
            self.buffer += data

    def command(self, text):
        """For a machine that stands still."""
        self.send(text)
        answer = self.receive()
        # that it stopped when we connected may be reported a second time
        return self.receive() if answer.startswith("T") and text != "?" else answer

    def expect(self, text, answer="OK"):
        got = self.command(text)
        if got != answer:
            raise RuntimeError(f"debugger: {text}: {got}")

    def thread(self, cpu):
        """QEMU counts threads from 1."""
        return f"{cpu + 1:x}"

    def set_breakpoint(self, address):
        self.expect(f"Z0,{address:x},1")

    def clear_breakpoint(self, address):
        self.expect(f"z0,{address:x},1")

    def wait_stop(self):
        """The CPU that has come to a breakpoint."""
        found = re.search(r"thread:(?:p[0-9a-f]+\.)?([0-9a-f]+);", self.receive())
        return int(found[1], 16) - 1

    def set_pc(self, cpu, address):
        self.set_register(cpu, PC, address)

    def set_register(self, cpu, number, value):
        self.expect(f"Hg{self.thread(cpu)}")
        self.expect(f"P{number:x}={value.to_bytes(8, 'little').hex()}")

    def get_register(self, cpu, number):
        self.expect(f"Hg{self.thread(cpu)}")
        return int.from_bytes(bytes.fromhex(self.command(f"p{number:x}")), "little")

    def read(self, cpu, address):
        """Eight bytes, as that CPU sees memory now."""
        self.expect(f"Hg{self.thread(cpu)}")
        return int.from_bytes(bytes.fromhex(self.command(f"m{address:x},8")), "little")

    def write(self, cpu, address, value):
        self.expect(f"Hg{self.thread(cpu)}")
        self.expect(f"M{address:x},8:{value.to_bytes(8, 'little').hex()}")

    def go_on(self):
        self.send("c")

    def step(self, cpu):
        """One instruction of one CPU, the others stand still."""
        self.send(f"vCont;s:{self.thread(cpu)}")
        self.wait_stop()

    def close(self):
        try:
            self.command("D")
        finally:
            self.socket.close()
