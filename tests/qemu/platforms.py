# SPDX-License-Identifier: BSD-2-Clause
"""The kinds of machine that the tests run on. SUTURE_PLATFORM chooses one by its name."""

import dataclasses
import os
import re
import socket

from bochs import BUILD, Bochs

# the monitor's, on the emulator's network
GUEST_IP = "10.0.2.15"
API_PORT = 8443
# each VMRUN and each exit, a file for each thread (svm.*.log)
TRACE = bool(os.environ.get("SUTURE_TRACE"))


def kernel_cmdline(platform):
    return (f"console={platform.console} shell={platform.shell} rdinit=/init panic=1 "
            f"{platform.cmdline}")


@dataclasses.dataclass(frozen=True)
class Qemu:
    """
    A machine that QEMU emulates.

    name       of the platform; architecture: the monitor's, as in `make ARCH=`.
    kinds      of machine that it is: marks of tests have these names (conftest.py).
    kernel     the guest's kernel, if GUEST names none.
    programs   {thread: emulator}. single: one host thread for all CPUs, for figures; multi: one for
               each, for races.
    machine    QEMU's model of the machine; cpu(kernel): of the CPU, that runs this guest kernel.
    others     more models of the CPU that kernels are to boot on.
    tables     {what describes the machine to the kernel: QEMU's arguments for it}; the first is there
               without any.
    firmware   read-only flash; variables: a first flash for EFI variables.
    image      the monitor's file.
    loader     where the firmware looks for what it starts, on the ESP; grub: GRUB's modules for that.
    nic        the management NIC: QEMU's model, and its address as in suture.conf.
    console    the kernel's name of the first serial line.
    shell      and of the one with the tests' shell; shell_device: QEMU's arguments for that,
               {socket} in them is its socket.
    cmdline    more words for the kernel, always.
    devices    more devices that every machine has.
    log        where the monitor writes its log: QEMU's arguments, {file} in them is the file; none:
               its debug port is the console.
    conf       keys of suture.conf that only this machine has.
    resets     ways in which its kernel can reset it, of /sys/kernel/reboot/type; none: there is one.
    emulator   its name; ends_at_reset: without Machine's `reboot`; demo_cpus: the guest's CPUs in
               `make demo`; patience: factor for the time that a wait may take.
    """

    name: str
    architecture: str
    kinds: frozenset
    kernel: str
    programs: dict
    machine: str
    cpu: object
    others: tuple
    tables: dict
    firmware: str
    variables: str
    image: str
    loader: str
    grub: str
    nic_model: str
    nic: str
    console: str
    shell: str
    shell_device: tuple
    cmdline: str
    devices: tuple
    log: tuple
    conf: dict
    resets: tuple

    emulator = "QEMU"
    ends_at_reset = True
    demo_cpus = 3
    patience = 1

    def command(self, machine):
        """The emulator with its arguments, for a Machine of machine.py; makes what it boots from."""
        command = [
            self.programs[machine.thread], "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", self.machine, "-cpu", machine.cpu, "-accel", f"tcg,thread={machine.thread}",
            # without a flash for variables the firmware keeps them in memory, which is faster
            "-drive", f"if=pflash,format=raw,readonly=on,file={self.firmware}", *self.devices,
            "-m", machine.memory, "-smp", str(machine.all_cpus()),
            "-netdev", "user,id=n0,restrict=on,"
            f"hostfwd=tcp:127.0.0.1:{machine.port}-{GUEST_IP}:{API_PORT}",
            *self.nic_arguments("n0"),
            "-object", f"filter-dump,id=dump,netdev=n0,maxlen=200,file={machine.log('net.pcap')}",
            "-serial", f"file:{machine.log('console.log')}",
            *self.shell_arguments(f"{machine.sockets}/shell"),
            "-qmp", f"unix:{machine.sockets}/qmp,server=on,wait=off",
            *self.log_arguments(machine.log("monitor.log")),
        ]
        if not machine.reboot:
            command.append("-no-reboot")
        if TRACE:
            # no code has such an address: of what in_asm logs only VMRUN and exits are left
            command += ["-d", "in_asm,tid", "-dfilter", "0x1+0x1", "-D", machine.log("svm.%d.log")]
        command += self.boot_arguments(machine)
        return command + [word.replace("{sockets}", machine.sockets) for word in machine.qemu]

    def boot_arguments(self, machine):
        if machine.native:
            return ["-kernel", machine.kernel, "-initrd", machine.make_initrd(),
                    "-append", machine.native_cmdline()]
        if machine.disk:
            # without bootindex the firmware's own boot order holds
            return ["-drive", f"if=none,id=disk,format=raw,file={machine.disk}",
                    "-device", "virtio-blk-pci,drive=disk,addr=3"]
        return ["-drive", f"if=none,id=esp,format=raw,file={machine.make_esp({})}",
                "-device", "virtio-blk-pci,drive=esp,addr=3,bootindex=1"]

    def open_shell(self, machine):
        """A socket of the line with the guest's shell. The machine runs."""
        shell = socket.socket(socket.AF_UNIX)
        shell.connect(f"{machine.sockets}/shell")
        return shell

    def version(self, machine):
        number = re.match(r"[\d.]+", machine.hmp("info version"))[0]
        return f"QEMU {number}, thread={machine.thread}"

    def nic_arguments(self, netdev):
        slot = int(self.nic.split(":")[1].split(".")[0], 16)
        return ["-device", f"{self.nic_model},netdev={netdev},addr={slot:x},romfile="]

    def shell_arguments(self, socket):
        return [word.replace("{socket}", socket) for word in self.shell_device]

    def log_name(self, name):
        """The file that has what the tests look for in this log."""
        return name if self.log or name != "monitor.log" else "console.log"

    def log_arguments(self, file):
        return [word.replace("{file}", file) for word in self.log]


def svm_cpu(kernel):
    """Kernels since 6.2 use the flags of CMPXCHG16B, which QEMU 7.2 sets wrongly: their CPU model
    does not have it."""
    return "EPYC" if re.match(r"(5\.10|6\.1)[.-]", kernel) else "EPYC,-cx16"


X86_SVM = Qemu(
    name="x86-svm",
    architecture="x86",
    kinds=frozenset({"x86", "svm"}),
    kernel="6.1-cloud-amd64",
    # Multi-threaded emulation runs stale code in Debian 12's own QEMU: mk/qemu.sh unpacks a newer one
    programs={"single": "qemu-system-x86_64",
              "multi": os.path.join(BUILD, "qemu10", "qemu-system-x86_64")},
    machine="q35",
    cpu=svm_cpu,
    others=(),
    tables={"acpi": ()},
    firmware="/usr/share/OVMF/OVMF_CODE_4M.fd",
    variables="/usr/share/OVMF/OVMF_VARS_4M.fd",
    image="suture.efi",
    loader="/EFI/BOOT/BOOTX64.EFI",
    grub="/usr/lib/grub/x86_64-efi",
    nic_model="e1000e",
    nic="00:04.0",
    console="ttyS0",
    shell="ttyS1",
    shell_device=("-serial", "unix:{socket},server=on,wait=off"),
    # Linux's own check of the timer interrupt panics on a host that is too busy to tick in time, with
    # and without Suture
    cmdline="no_timer_check",
    devices=(),
    log=("-debugcon", "file:{file}", "-global", "isa-debugcon.iobase=0x402"),
    conf={"debug_port": "0x402"},
    resets=("acpi", "triple", "kbd", "pci", "efi"),
)

ARM64_VIRT = Qemu(
    name="arm64-virt",
    architecture="arm64",
    kinds=frozenset({"arm64"}),
    kernel="6.1-cloud-arm64",
    programs={"single": "qemu-system-aarch64"},
    # everything begins at EL2
    machine="virt,virtualization=on,gic-version=3",
    # without VHE
    cpu=lambda kernel: "cortex-a72",
    # with VHE; with all that QEMU has (addresses of 52 bits, pointer authentication, BTI, SVE)
    others=("neoverse-n1", "max"),
    # the firmware hands on one of the two
    tables={"acpi": (), "dt": ("-machine", "acpi=off")},
    firmware="/usr/share/AAVMF/AAVMF_CODE.fd",
    variables="/usr/share/AAVMF/AAVMF_VARS.fd",
    image="sutureaa64.efi",
    loader="/EFI/BOOT/BOOTAA64.EFI",
    # of an architecture that is not this machine's: mk/qemu.mk
    grub=os.path.join(BUILD, "deps", "grub-arm64", "usr", "lib", "grub", "arm64-efi"),
    nic_model="e1000e",
    nic="00:04.0",
    console="ttyAMA0",
    # the machine has one PL011
    shell="ttyS0",
    shell_device=("-chardev", "socket,id=shell,path={socket},server=on,wait=off",
                  "-device", "pci-serial,chardev=shell,addr=5"),
    cmdline="",
    # firmware that has no randomness gives the monitor none
    devices=("-device", "virtio-rng-pci,addr=6"),
    log=(),
    conf={"debug_port": "0x9000000"},
    # PSCI
    resets=(),
)

X86_VMX = Bochs(
    name="x86-vmx",
    kernel="6.1-cloud-amd64",
    # Bochs interprets each instruction: what takes long and does not matter here is left out
    cmdline="no_timer_check quiet mitigations=off nokaslr cryptomgr.notests tsc=reliable",
    conf={"debug_port": "0xe9"},
    # after the others, which reset its devices too, the firmware does not start; without Suture neither
    resets=("kbd",),
)

PLATFORMS = {platform.name: platform for platform in [X86_SVM, ARM64_VIRT, X86_VMX]}


def chosen():
    name = os.environ.get("SUTURE_PLATFORM", X86_SVM.name)
    if name not in PLATFORMS:
        raise SystemExit(f"SUTURE_PLATFORM={name} is none of: {', '.join(PLATFORMS)}")
    return PLATFORMS[name]
