# SPDX-License-Identifier: BSD-2-Clause
"""A machine in QEMU, or in Bochs: EFI firmware, Suture (or not), and a Debian kernel with the test initramfs.
platforms.py describes its parts.

Every wait has a limit, which PLATFORM.patience multiplies; the emulator is ended by its pid; all its
output stays in the machine's log folder (console.log, monitor.log, shell.log, qemu.log).
"""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import images
import platforms
from process import end_with_parent, free_port
from qmp import Qmp

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(TOP, "build")
PLATFORM = platforms.chosen()
GUEST = os.environ.get("GUEST", PLATFORM.kernel)
LOGS = os.path.join(BUILD, "logs", PLATFORM.name if PLATFORM is platforms.X86_VMX else
                    "qemu" if GUEST == platforms.X86_SVM.kernel else GUEST)
CPU = PLATFORM.cpu(GUEST)
KERNEL = os.path.join(BUILD, "guest", GUEST, "vmlinuz")
KBUILD = os.path.join(BUILD, "guest", GUEST, "kbuild")
INITRAMFS = os.path.join(BUILD, "guest", PLATFORM.architecture, "initramfs.cpio.gz")
# make MUTATE=name: a monitor without that point (monitor/lib/mutate.h); DEBUG=1: one that checks more
MUTATE = os.environ.get("MUTATE")
VARIANT = f"-without-{MUTATE}" if MUTATE else "-debug" if os.environ.get("DEBUG") else ""
SUTURE_EFI = os.path.join(BUILD, PLATFORM.architecture + VARIANT, PLATFORM.image)
SUTURE = os.path.join(BUILD, "ctl", "suture")
AGENT = os.path.join(BUILD, "agent", GUEST, "stripped", "suture.ko")
HELPER = os.path.join(BUILD, "agent", GUEST, "suture-load")

GUEST_IP = platforms.GUEST_IP
API_PORT = platforms.API_PORT
KERNEL_CMDLINE = platforms.kernel_cmdline(PLATFORM)

SUTURE_CONF = {
    "next": r"\vmlinuz.efi",
    "cmdline": KERNEL_CMDLINE + r" initrd=\initrd",
    "nic": PLATFORM.nic,
    "ip": GUEST_IP + "/24",
    "gateway": "10.0.2.2",
    "port": str(API_PORT),
    "insecure": "yes",
    "log_level": "info",
    **PLATFORM.conf,
}


class GuestError(AssertionError):
    """The guest or the emulator did not do something within the time limit."""


class Result:
    """The result of a command: .status, .out (its output without the last newline)."""

    def __init__(self, status, out):
        self.status = status
        self.out = out

    def __repr__(self):
        return f"status {self.status}: {self.out!r}"


class Machine:
    """
    cpus      CPUs that the guest is to see; under Suture the machine has one more.
    native    boot the kernel without Suture.
    conf      changes to suture.conf: {key: value, or None to leave the key out}; or the whole
              file as a str.
    cpu       QEMU's CPU model; thread: single (figures) or multi (races).
    cmdline   more words for the kernel's command line.
    files     {path in the guest: file of the host, or bytes}: added to the initramfs.
    esp       {path on the ESP: file of the host, or bytes}: added to the ESP.
    disk      a disk that it boots as it is, with no ESP of ours, and writes to. QEMU only.
    agent     put the agent module and its helper into the guest.
    qemu      more arguments for QEMU; {sockets} in them is a folder for sockets.
    reboot    let the machine reset itself; otherwise a reset ends QEMU (Bochs: what is not a triple fault does not).
    """

    def __init__(self, logs, cpus=1, native=False, conf=None, cpu=CPU, thread="single",
                 memory="1G", cmdline="", files=None, esp=None, agent=True, qemu=(), reboot=False, disk=None):
        self.logs = logs
        self.cpus = cpus
        self.native = native
        self.kernel = KERNEL
        self.conf = conf or {}
        self.cpu = cpu
        self.thread = thread
        self.memory = memory
        self.cmdline = cmdline
        self.files = dict(files or {})
        self.esp = dict(esp or {})
        self.agent = agent
        self.qemu = list(qemu)
        self.reboot = reboot
        self.disk = disk
        self.process = None
        self.port = None
        self.shell_socket = None
        self.unanswered = None  # the command whose answer is still to come
        self.qmp = None
        self.sockets = None
        os.makedirs(logs, exist_ok=True)

    def all_cpus(self):
        return self.cpus + (0 if self.native else 1)

    # ---- what it boots ----

    def log(self, name):
        return os.path.join(self.logs, PLATFORM.log_name(name))

    def read_log(self, name):
        try:
            with open(self.log(name), "rb") as f:
                return f.read().decode(errors="replace").replace("\r", "")
        except FileNotFoundError:
            return ""

    def suture_conf(self):
        if isinstance(self.conf, str):
            return self.conf
        conf = dict(SUTURE_CONF)
        if self.cmdline:
            conf["cmdline"] += " " + self.cmdline
        conf.update(self.conf)
        return "".join(f"{k}={v}\n" for k, v in conf.items() if v is not None)

    def native_cmdline(self):
        return f"{KERNEL_CMDLINE} {self.cmdline}"

    def make_initrd(self):
        files = dict(self.files)
        if self.agent:
            files.setdefault("/lib/modules/suture.ko", AGENT)
            files.setdefault("/usr/lib/suture/suture-load", HELPER)
        path = self.log("initrd")
        with open(INITRAMFS, "rb") as f:
            archive = f.read()
        if files:
            # the archives of an initramfs each begin at a multiple of four bytes
            archive += b"\0" * (-len(archive) % 4) + images.make_cpio(files)
        with open(path, "wb") as f:
            f.write(archive)
        return path

    def make_esp(self, files):
        """The EFI system partition with the monitor and what it boots, and more files; its path."""
        esp = self.log("esp.img")
        images.make_esp(esp, {
            PLATFORM.loader: SUTURE_EFI,
            "/EFI/suture/suture.conf": self.suture_conf().encode(),
            "/vmlinuz.efi": KERNEL,
            "/initrd": self.make_initrd(),
            **files,
            **self.esp,
        })
        return esp

    def start(self):
        self.port = free_port()
        self.sockets = tempfile.mkdtemp(prefix="suture-")
        for name in ("console.log", "monitor.log", "shell.log"):
            open(self.log(name), "wb").close()
        command = PLATFORM.command(self)
        with open(self.log("qemu.log"), "wb") as out:
            out.write((" ".join(command) + "\n").encode())
            out.flush()
            self.started = time.monotonic()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, preexec_fn=end_with_parent)
        return self

    # ---- waiting ----

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def exits(self):
        """Of all guest CPUs, by class, as the monitor counts them."""
        total = {}
        for cpu in self.json("/v1/status")["cpus"]:
            for name, count in cpu["exits"].items():
                total[name] = total.get(name, 0) + count
        return total

    def cpu_seconds(self):
        """CPU time that the emulator has used: on a busy host it varies less than real time."""
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def dump_registers(self):
        """What each CPU, its interrupts and each connection is at, for a machine that hangs
        (registers.log)."""
        try:
            text = self.hmp("info registers -a") + self.hmp("info usernet")
            for cpu in range(self.all_cpus()):
                text += f"CPU#{cpu}\n" + self.hmp(f"info lapic {cpu}")
        except (OSError, RuntimeError) as error:
            text = f"QMP: {error}"
        with open(self.log("registers.log"), "w") as log:
            log.write(text)

    def fail(self, what):
        if self.alive():
            self.dump_registers()
        state = "runs" if self.alive() else f"ended with status {self.process.poll()}"
        tails = ""
        for name in ("console.log", "monitor.log", "qemu.log"):
            lines = [line for line in self.read_log(name).splitlines()
                     if "TCG doesn't support requested feature" not in line]
            tails += "\n".join([f"--- {name}", *lines[-25:], ""])
        raise GuestError(f"{what} ({PLATFORM.emulator} {state}; logs in {self.logs})\n{tails}")

    def wait_log(self, pattern, timeout=60, name="console.log", count=1):
        """Wait until `pattern` is in a log for the count-th time; returns that match."""
        timeout *= PLATFORM.patience
        deadline = time.monotonic() + timeout
        while True:
            found = list(re.finditer(pattern, self.read_log(name)))
            if len(found) >= count:
                return found[count - 1]
            if not self.alive():
                self.fail(f"no {pattern!r} in {name}")
            if time.monotonic() > deadline:
                self.fail(f"no {pattern!r} in {name} within {timeout} s")
            time.sleep(0.1)

    def wait_ready(self, timeout=180, count=1):
        """Wait for the guest's user space, for the count-th boot of this machine."""
        self.wait_log(r"GUEST READY", timeout, count=count)
        self.unanswered = None  # an earlier boot's
        if self.shell_socket is None:
            self.shell_socket = PLATFORM.open_shell(self)
        return self

    def wait_end(self, timeout=30):
        """Wait until the emulator ends by itself (power-off; in QEMU also a reset without reboot=True)."""
        try:
            return self.process.wait(timeout * PLATFORM.patience)
        except subprocess.TimeoutExpired:
            self.fail(f"the machine did not power off within {timeout} s")

    # ---- the guest's shell ----

    def shell(self, command, timeout=30):
        """Run shell commands in the guest; returns a Result whatever their status is."""
        deadline = time.monotonic() + timeout * PLATFORM.patience
        if self.unanswered:
            # or the answers of all later commands would be those of the ones before
            self.read_answer(self.unanswered, deadline)
        self.unanswered = command
        self.shell_socket.sendall(base64.b64encode(command.encode()) + b"\n")
        with open(self.log("shell.log"), "a") as log:
            log.write(f"$ {command}\n")
        return self.read_answer(command, deadline)

    def read_answer(self, command, deadline):
        start = time.monotonic()
        answer = b""
        with open(self.log("shell.log"), "ab") as log:
            while not (end := re.search(rb"\n@@ (\d+)\n$", answer)):
                left = deadline - time.monotonic()
                try:
                    if left <= 0:
                        raise socket.timeout
                    self.shell_socket.settimeout(left)
                    data = self.shell_socket.recv(65536)
                except socket.timeout:
                    self.fail(f"guest command {command!r} took over {deadline - start:.0f} s, so far: "
                              f"{answer.decode(errors='replace')!r}")
                if not data:
                    self.fail(f"the machine ended during guest command {command!r}")
                log.write(data)
                answer += data
        self.unanswered = None
        out = answer[:end.start()].decode(errors="replace")
        return Result(int(end[1]), out.removesuffix("\n"))

    def check(self, command, timeout=30):
        """Run shell commands in the guest that must succeed; returns their output."""
        result = self.shell(command, timeout)
        if result.status:
            self.fail(f"guest command {command!r} failed: {result}")
        return result.out

    def settle_shell(self, timeout=20):
        """After the serial line has slept: discard the input that it garbled meanwhile."""
        deadline = time.monotonic() + timeout
        self.shell_socket.settimeout(1)
        while time.monotonic() < deadline:
            self.shell_socket.sendall(b"\n" + base64.b64encode(b"echo settled") + b"\n")
            answer = b""
            try:
                while not answer.endswith(b"\nsettled\n\n@@ 0\n"):
                    answer += self.shell_socket.recv(65536)
                while True:
                    self.shell_socket.recv(65536)
            except socket.timeout:
                if b"settled\n\n@@ 0\n" in answer:
                    self.unanswered = None
                    return
        self.fail("the guest's shell does not answer after sleep")

    def send(self, command):
        """Start a guest command without waiting for an answer (power-off, reboot)."""
        self.shell_socket.sendall(base64.b64encode(command.encode()) + b"\n")

    def load_agent(self):
        return self.check("insmod /lib/modules/suture.ko")

    # ---- the monitor, from outside ----

    def suture(self, *arguments, timeout=90):
        """Run the operator's command against this machine; returns a Result."""
        timeout *= PLATFORM.patience
        command = [SUTURE, "--host", f"127.0.0.1:{self.port}", "--insecure", *arguments]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=timeout)
        except subprocess.TimeoutExpired as late:
            self.fail(f"suture {' '.join(arguments)} took over {timeout} s: {late.output}")
        result = Result(done.returncode, done.stdout.decode(errors="replace").rstrip("\n"))
        with open(self.log("suture.log"), "a") as log:
            log.write(f"$ suture {' '.join(arguments)}\n{result.out}\n[{result.status}]\n")
        return result

    def http(self, path, method="GET", body=None, timeout=20):
        """One request to the monitor; returns (status, body as str)."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body,
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout * PLATFORM.patience) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def json(self, path, timeout=20):
        status, body = self.http(path, timeout=timeout)
        if status != 200:
            self.fail(f"GET {path}: HTTP status {status}: {body}")
        return json.loads(body)

    # ---- QEMU ----

    def hmp(self, line):
        """A line for QEMU's human monitor."""
        if self.qmp is None:
            self.qmp = Qmp(f"{self.sockets}/qmp")
        return self.qmp.monitor(line)

    def emulator(self):
        """The emulator's version, for a line with a figure."""
        return PLATFORM.version(self)

    def stop(self):
        """End the machine, by its own pid; harmless when it has ended."""
        if self.process is not None:
            if self.alive():
                self.process.terminate()
                try:
                    self.process.wait(5)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
        if self.shell_socket is not None:
            self.shell_socket.close()
        if self.qmp is not None:
            self.qmp.close()
        if self.sockets is not None:
            shutil.rmtree(self.sockets, ignore_errors=True)
            self.sockets = None
        for name in ("esp.img", "initrd"):
            if os.path.exists(self.log(name)):
                os.unlink(self.log(name))
