# SPDX-License-Identifier: BSD-2-Clause
"""The machine that Bochs emulates: the only free emulator of Intel VMX. `make bochs` builds it."""

import dataclasses
import os
import socket

BUILD = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "build"))
PROGRAM = os.path.join(BUILD, "deps", "bochs", "install", "bin", "bochs")
VERSION = os.path.join(BUILD, "deps", "bochs", "version")
# what the firmware starts first: it installs ACPI tables (tests/bochs/tables.c)
TABLES = os.path.join(BUILD, "bochs", "tables.efi")
FIRMWARE = "/usr/share/ovmf/OVMF.fd"
# nothing is to be seen; Bochs wants one
VGA = os.path.join(BUILD, "deps", "bochs", "install", "share", "bochs", "vgabios-cirrus.bin-1.13.0")
# of a disk; it has whole cylinders
CYLINDER = 16 * 63 * 512
# instructions in a second of the machine's time
IPS = 100_000_000

CONFIG = """\
plugin_ctrl: speaker=0
display_library: nogui
cpu: model={cpu}, count={cpus}:1:1, ips={ips}, reset_on_triple_fault={reset}, ignore_bad_msrs=1
memory: guest={memory}, host={memory}
romimage: file={firmware}, address=0xffe00000, options=none
vgaromimage: file={vga}
pci: enabled=1, chipset=i440fx, slot1=e1000
e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, script={folder}/slirp.conf
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata0-master: type=disk, path={esp}, mode=flat
boot: disk
clock: sync=none
port_e9_hack: enabled=1
com1: enabled=1, mode=file, dev={console}
com2: enabled=1, mode=socket-client, dev=127.0.0.1:{shell}
log: {log}
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""


def megabytes(size):
    """Of a size as QEMU reads it (1G, 512M)."""
    return int(size[:-1]) * {"M": 1, "G": 1024}[size[-1]]


@dataclasses.dataclass(frozen=True)
class Bochs:
    """
    A machine that Bochs emulates; the fields that platforms.Qemu has too mean the same.

    cpu_model  of Bochs: with EPT, execute-only leaves, and unrestricted guests.
    """

    name: str
    kernel: str
    cmdline: str
    conf: dict
    resets: tuple
    architecture: str = "x86"
    kinds: frozenset = frozenset({"x86", "vmx"})
    cpu_model: str = "corei7_haswell_4770"
    image: str = "suture.efi"
    # TABLES starts it
    loader: str = "/EFI/BOOT/NEXT.EFI"
    # the first slot of its chipset
    nic: str = "00:02.0"
    console: str = "ttyS0"
    shell: str = "ttyS1"
    programs: tuple = ("single",)
    others: tuple = ()
    tables: tuple = ("acpi",)

    emulator = "Bochs"
    ends_at_reset = False
    demo_cpus = 2
    patience = 3

    def cpu(self, _kernel):
        return self.cpu_model

    def log_name(self, name):
        # what is written to the debug port is Bochs's output
        return "qemu.log" if name == "monitor.log" else name

    def version(self, _machine):
        with open(VERSION) as version:
            return f"Bochs {version.read().strip()}"

    def command(self, machine):
        files = {"/EFI/BOOT/BOOTX64.EFI": TABLES}
        if machine.native:
            options = machine.native_cmdline() + r" initrd=\initrd"
            files.update({self.loader: machine.kernel, "/options": options.encode("utf-16-le")})
        esp = machine.make_esp(files)
        size = os.path.getsize(esp)
        os.truncate(esp, (size + CYLINDER - 1) // CYLINDER * CYLINDER)
        # Bochs connects to it when it starts
        machine.shell_listener = socket.create_server(("127.0.0.1", 0))
        with open(os.path.join(machine.sockets, "slirp.conf"), "w") as conf:
            conf.write("# slirp config\nrestricted = 1\n"
                       f"hostfwd = tcp:127.0.0.1:{machine.port}-10.0.2.15:8443\n")
        path = os.path.join(machine.sockets, "bochsrc")
        with open(path, "w") as config:
            config.write(CONFIG.format(
                cpu=machine.cpu, cpus=machine.all_cpus(), ips=IPS, firmware=FIRMWARE, vga=VGA, esp=esp,
                reset=1 if machine.reboot else 0, memory=megabytes(machine.memory),
                folder=machine.sockets, console=machine.log("console.log"),
                log=machine.log("bochs.log"), shell=machine.shell_listener.getsockname()[1]))
        return [PROGRAM, "-q", "-unlock", "-f", path]

    def open_shell(self, machine):
        with machine.shell_listener as listener:
            listener.settimeout(10)
            shell = listener.accept()[0]
        # the firmware has written to this line too
        shell.settimeout(1)
        try:
            while shell.recv(65536):
                pass
        except socket.timeout:
            pass
        return shell
