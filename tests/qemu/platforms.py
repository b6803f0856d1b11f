# SPDX-License-Identifier: BSD-2-Clause
"""The kinds of machine that the tests run on. SUTURE_PLATFORM chooses one by its name."""

import dataclasses
import os
import re


@dataclasses.dataclass(frozen=True)
class Qemu:
    """
    A machine that QEMU emulates.

    name       of the platform; architecture: the monitor's, as in `make ARCH=`.
    kernel     the guest's kernel, if GUEST names none.
    programs   {thread: emulator}. single: one host thread for all CPUs, for figures; multi: one for
               each, for races.
    machine    QEMU's model of the machine; cpu(kernel): of the CPU, that runs this guest kernel.
    others     more models of the CPU that kernels are to boot on.
    tables     {what describes the machine to the kernel: QEMU's arguments for it}; the first is there
               without any.
    firmware   read-only flash; variables: a first flash for EFI variables.
    image      the monitor's file.
    loader     where the firmware looks for what it starts, on the ESP; grub: GRUB's name of that.
    nic        the management NIC: QEMU's model, and its address as in suture.conf.
    console    the kernel's name of the first serial line.
    shell      and of the one with the tests' shell; shell_device: QEMU's arguments for that,
               {socket} in them is its socket.
    cmdline    more words for the kernel, always.
    devices    more devices that every machine has.
    log        where the monitor writes its log: QEMU's arguments, {file} in them is the file; none:
               its debug port is the console.
    conf       keys of suture.conf that only this machine has.
    """

    name: str
    architecture: str
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

    def kernel_cmdline(self):
        return f"console={self.console} shell={self.shell} rdinit=/init panic=1 {self.cmdline}"

    def command(self, thread, cpu):
        """The emulator, and the arguments that every machine of this kind gets."""
        return [self.programs[thread], "-nodefaults", "-no-user-config", "-display", "none",
                "-machine", self.machine, "-cpu", cpu, "-accel", f"tcg,thread={thread}",
                # without a flash for variables the firmware keeps them in memory, which is faster
                "-drive", f"if=pflash,format=raw,readonly=on,file={self.firmware}", *self.devices]

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
    kernel="6.1-cloud-amd64",
    # Multi-threaded emulation runs stale code in Debian 12's own QEMU: mk/qemu.sh unpacks a newer one
    programs={"single": "qemu-system-x86_64",
              "multi": os.path.abspath(os.path.join(os.path.dirname(__file__),
                                                    "../../build/qemu10/qemu-system-x86_64"))},
    machine="q35",
    cpu=svm_cpu,
    others=(),
    tables={"acpi": ()},
    firmware="/usr/share/OVMF/OVMF_CODE_4M.fd",
    variables="/usr/share/OVMF/OVMF_VARS_4M.fd",
    image="suture.efi",
    loader="/EFI/BOOT/BOOTX64.EFI",
    grub="x86_64-efi",
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
)

ARM64_VIRT = Qemu(
    name="arm64-virt",
    architecture="arm64",
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
    grub="arm64-efi",
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
)

PLATFORMS = {platform.name: platform for platform in [X86_SVM, ARM64_VIRT]}


def chosen():
    name = os.environ.get("SUTURE_PLATFORM", X86_SVM.name)
    if name not in PLATFORMS:
        raise SystemExit(f"SUTURE_PLATFORM={name} is none of: {', '.join(PLATFORMS)}")
    return PLATFORMS[name]
