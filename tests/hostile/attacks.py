# SPDX-License-Identifier: BSD-2-Clause
"""What a hostile guest kernel does to the monitor: one list for all machines. hostile_main.c and its
architecture's part are the kernel's; tests/qemu/test_hostile.py runs the list, and looks after each
entry whether the monitor answers. This file has what every machine knows, attacks_x86.py and
attacks_arm64.py have the rest."""

import dataclasses

ATTACKS = []

# QEMU's device for teaching: its registers raise an interrupt, and start DMA
EDU_SLOT = {"x86-svm": 6, "x86-svm-x2apic": 6, "arm64-virt": 7}
MSI = 0x40  # where its capability is

CALLS = 0x53750000  # SUTURE_HC_TAG

RESETS, HANGS, HALTS = "the machine resets", "the guest hangs", "one of its CPUs halts"


@dataclasses.dataclass(frozen=True)
class Attack:
    """
    run      the attack: a function of a Hostile.
    machines where it ran: {platform of tests/qemu/platforms.py, or of test_hostile.py: processor and
             emulator}; none: it is known, and nothing helps yet.
    ends     the guest itself is over, or a part of it, as on hardware: RESETS, HANGS or HALTS.
    """

    name: str
    run: object
    machines: dict
    ends: str


def attack(*machines, ends=None):
    where = {"x86-svm": "AMD SVM, QEMU 7.2", "x86-svm-x2apic": "AMD SVM with x2APIC, QEMU 10.0",
             "x86-vmx": "Intel VMX, Bochs 3.0", "arm64-virt": "Cortex-A72 with a GICv3, QEMU 7.2"}

    def add(run):
        ATTACKS.append(Attack(run.__name__, run, {m: where[m] for m in machines}, ends))
        return run

    return add


class Hostile:
    """The hostile module in a guest. service: APIC ID or MPIDR of the service CPU; memory: where the
    monitor is; nic: the management NIC's address; edu: the device's, where there is one."""

    def __init__(self, guest, platform, service, memory, nic):
        self.guest = guest
        self.service = service
        self.memory = memory
        self.nic = nic
        if platform in EDU_SLOT:
            self.edu = EDU_SLOT[platform] << 3
            self.bar = self.run("d 2 %x 4 6, c 4 %x 10" % (self.edu, self.edu))[0]

    def do(self, operations, cpu=0):
        """The command for the guest's shell."""
        return (f"taskset -c {cpu} sh -c \"echo '{operations}' >/sys/module/hostile/parameters/run\"")

    def lives(self):
        """Of the service CPU; -1: it does not answer."""
        try:
            return self.guest.json("/v1/status", timeout=1)["service"]["lives"]
        except OSError:
            return -1

    def run(self, operations, cpu=0):
        """Carry the operations out; returns what they read."""
        out = self.guest.check(f"{self.do(operations, cpu)} && cat /sys/module/hostile/parameters/run")
        return [int(word, 16) for word in out.split()]

    def run_each(self, operations, cpu=0):
        """As run(), for many operations: as few commands as the guest's shell and the module permit."""
        read, some = [], []
        for operation in operations:
            if len(some) == 200 or sum(map(len, some)) > 2000:
                read += self.run(", ".join(some), cpu)
                some = []
            some.append(operation)
        return read + self.run(", ".join(some), cpu)

    def without_answer(self, operations, cpu=0):
        self.guest.check(self.do(operations, cpu) + " >/dev/null 2>&1 &")


# ---- what is hidden ----

@attack("x86-svm", "x86-vmx", "arm64-virt")
def physical_memory(h):
    for offset in 0, 0x1000, 0x200000:
        assert h.run(f"r 4 {h.memory + offset:x}, w 4 {h.memory + offset:x} 12345678, "
                     f"r 4 {h.memory + offset:x}") == [0, 0]


@attack("x86-svm", "x86-vmx", "arm64-virt")
def configuration_space(h):
    assert h.run(f"c 4 {h.nic:x} 0, d 4 {h.nic:x} 10 0, d 2 {h.nic:x} 4 0, c 4 {h.nic:x} 0") == [0xffffffff] * 2


@attack("x86-svm", "arm64-virt")
def other_device_on_the_nic(h):
    """Another device's BAR at the address of the NIC's."""
    bars = h.nic_bars
    for bar in bars:
        h.run(f"d 4 {h.edu:x} 10 {bar & ~0xfffff:x}, w 4 {bar:x} ffffffff, r 4 {bar:x}")
        h.guest.json("/v1/status")
    h.run(f"d 4 {h.edu:x} 10 {h.bar:x}")


# ---- calls ----

@attack("x86-svm", "x86-vmx", "arm64-virt")
def flood_of_calls(h):
    """Hypercalls of a number that there is not."""
    calls = h.do(", ".join(["k 1000"] * 50))
    h.guest.check(f"for n in $(seq 40); do {calls} || exit; done")


@attack("x86-svm", "x86-vmx", "arm64-virt")
def calls_of_nobody(h):
    """The agent's own calls, by a kernel that has none, about memory that is none or is hidden."""
    h.run_each(f"k {CALLS | number:x} {a:x} {b:x} {b:x}" for number in range(16)
               for a in (0, 1, 0xfff, h.memory, (1 << 64) - 1, 1 << 47) for b in (0, a))


# ---- what a kernel may do to itself ----

@attack("x86-svm", "x86-vmx", "arm64-virt", ends=HALTS)
def halted_cpu(h):
    h.without_answer("h", cpu=1)
