# SPDX-License-Identifier: BSD-2-Clause
"""Attacks that only x86 knows (attacks.py)."""

import time

from attacks import MSI, RESETS, attack

# delivery modes of an interrupt message (APM vol. 2, 16.5)
FIXED, LOWEST, SMI, RESERVED, NMI, INIT, STARTUP, EXTINT = range(8)
LOGICAL, LEVEL, MASKED = 1 << 11, 1 << 15, 1 << 16

# Linux has no use for it, and acknowledges it: what is sent to all CPUs reaches the guest's too
HARMLESS = 0x3f

IOAPIC, APIC = 0xfec00000, 0xfee00000
EDU_GSI = 22  # of the device's INTx


def send_message(h, destination, data):
    """The device sends this message."""
    h.run(f"d 4 {h.edu:x} {MSI + 4:x} {APIC | destination << 12:x}, d 4 {h.edu:x} {MSI + 8:x} 0, "
          f"d 2 {h.edu:x} {MSI + 12:x} {data:x}, d 2 {h.edu:x} {MSI + 2:x} 81, "
          f"w 4 {h.bar + 0x60:x} 1, w 4 {h.bar + 0x64:x} 1, d 2 {h.edu:x} {MSI + 2:x} 80")


def entry(low, destination):
    """Operations that write the redirection entry of the device's line."""
    at = 0x10 + 2 * EDU_GSI
    return (f"w 4 {IOAPIC:x} {at + 1:x}, w 4 {IOAPIC + 0x10:x} {destination << 24:x}, "
            f"w 4 {IOAPIC:x} {at:x}, w 4 {IOAPIC + 0x10:x} {low:x}, ")


def raise_line(h, low, destination):
    """The device raises its line with this redirection entry; returns the entry as it reads then."""
    at = 0x10 + 2 * EDU_GSI
    return h.run(f"d 2 {h.edu:x} {MSI + 2:x} 80, " + entry(low, destination) +
                 f"r 4 {IOAPIC + 0x10:x}, w 4 {IOAPIC:x} {at + 1:x}, r 4 {IOAPIC + 0x10:x}, "
                 f"w 4 {h.bar + 0x60:x} 1, u 32, w 4 {h.bar + 0x64:x} 1, " +
                 entry(MASKED, 0)[:-2])


def pci_address(bdf, reg):
    return 0x80000000 | bdf << 8 | reg


# ---- interrupts of devices at the service CPU ----

@attack("x86-svm")
def message_of_each_vector(h):
    for vector in (0x02, 0x08, 0x0d, 0x0e, 0x12, 0x20, 0x80, 0xe0, 0xe1, 0xef, 0xf0, 0xf3, 0xff):
        for mode in FIXED, LOWEST:
            send_message(h, h.service, mode << 8 | vector)
    send_message(h, 0xff, HARMLESS)


@attack("x86-svm")
def message_of_each_mode(h):
    # SMI: the firmware's handler runs, which a guest must not be able to change; QEMU's OVMF has none
    for mode in RESERVED, NMI, STARTUP, EXTINT:
        for vector in 0x02, 0x0d, 0x12, 0x40:
            send_message(h, h.service, mode << 8 | vector)


def wait_for_next_life(h, lives):
    """A guest CPU starts the service CPU again. Until then the network is left alone: QEMU 7.2 lets a CPU that
    waits for SIPI run, at the firmware's reset vector, if the NIC's interrupt reaches it at a bad moment."""
    time.sleep(2.5)
    deadline = time.monotonic() + 10
    while h.lives() != lives + 1:
        assert time.monotonic() < deadline, "the service CPU stays away"
        time.sleep(1)


@attack("x86-svm")
def message_init(h):
    """It cannot be kept away without interrupt remapping."""
    for _ in range(3):
        lives = h.lives()
        send_message(h, h.service, INIT << 8)
        wait_for_next_life(h, lives)


@attack("x86-svm")
def messages_init_and_nmi(h):
    """In real mode the vector of the NMI is at 8, and after INIT no stage 2 is between it and memory."""
    vector, code, mark = 2 * 4, 0x500, 0x700
    h.run(f"w 4 {mark:x} 0, w 4 {code:x} {mark << 16 | 0x06c7:x}, w 4 {code + 4:x} ebf4abcd, w 4 {code + 8:x} fd, "
          f"w 4 {vector:x} {code:x}")  # movw $0xabcd, mark; 1: hlt; jmp 1b
    lives = h.lives()
    send_message(h, h.service, INIT << 8)
    for _ in range(8):  # a halted CPU of QEMU takes the INIT when its timer wakes it, within 500 ms
        send_message(h, h.service, NMI << 8)
        time.sleep(0.1)
    wait_for_next_life(h, lives)
    assert h.run(f"r 4 {vector:x}, r 4 {mark:x}") == [code, 0]


@attack("x86-svm")
def line_of_each_vector(h):
    for vector in (0x02, 0x08, 0x0d, 0x12, 0x20, 0x80, 0xef, 0xff):
        for kind in 0, LEVEL, LOWEST << 8:
            low, _ = raise_line(h, kind | vector, h.service)
            assert low & MASKED, hex(low)
    for destination in 0xff, h.service:
        raise_line(h, LOGICAL | HARMLESS, destination)
    low, _ = raise_line(h, HARMLESS, 0xff)
    assert low & MASKED, hex(low)


@attack("x86-svm")
def line_of_each_mode(h):
    for mode in SMI, RESERVED, NMI, INIT, STARTUP, EXTINT:
        for destination in (h.service, 0xff) if mode == EXTINT else (h.service, 0xff, 0, 1):
            for logical in 0, LOGICAL:
                if mode == EXTINT and logical:
                    continue
                low, _ = raise_line(h, mode << 8 | logical | 0x12, destination)
                assert low & MASKED, (hex(low), destination)


@attack("x86-svm")
def line_aimed_when_it_is_on(h):
    """The destination is written last."""
    at = 0x10 + 2 * EDU_GSI
    low, high = h.run(entry(INIT << 8 | 0x12 | MASKED, 1) + entry(0x41, 1) +
                      f"w 4 {IOAPIC:x} {at + 1:x}, w 4 {IOAPIC + 0x10:x} {h.service << 24:x}, "
                      f"w 4 {IOAPIC:x} {at:x}, r 4 {IOAPIC + 0x10:x}, "
                      f"w 4 {IOAPIC:x} {at + 1:x}, r 4 {IOAPIC + 0x10:x}, " +
                      entry(MASKED, 0)[:-2])
    assert low & MASKED or high >> 24 != h.service, (hex(low), hex(high))


@attack("x86-svm")
def message_by_a_store(h):
    """In QEMU a CPU's store to the addresses of messages sends one."""
    for mode in NMI, INIT, FIXED:
        h.run(f"w 4 {APIC | h.service << 12 | 0x10:x} {mode << 8 | 0xff:x}")
        h.run(f"w 4 {APIC | 0xff << 12:x} {mode << 8 | 0xff:x}")
    h.run(f"w 4 {APIC:x} {NMI << 8:x}")


# ---- interrupts that it sends itself ----

@attack("x86-svm", "x86-vmx")
def own_interrupts_to_the_service_cpu(h):
    for mode in FIXED, LOWEST, SMI, RESERVED, NMI, INIT, STARTUP, EXTINT:
        h.run(", ".join(f"w 4 {APIC + 0x310:x} {h.service << 24:x}, w 4 {APIC + 0x300:x} "
                        f"{0x4000 | mode << 8 | vector:x}" for vector in (0x12, 0xff)))


@attack("x86-svm", "x86-vmx")
def nmi_storm(h):
    h.run(", ".join([f"w 4 {APIC + 0x310:x} {1 << 24:x}, w 4 {APIC + 0x300:x} {0x4000 | NMI << 8:x}"] * 20))


# ---- what is hidden ----

@attack("x86-svm", "x86-vmx")
def configuration_space_by_ports(h):
    assert h.run(f"o 4 cf8 {pci_address(h.nic, 0):x}, i 4 cfc, i 4 cf8") == [
        0xffffffff, pci_address(h.nic, 0)]


# the host bridge's registers of QEMU's q35: where configuration space is in memory (PCIEXBAR)
PCIEXBAR = 0x60


@attack("x86-svm")
def moved_configuration_space(h):
    was = h.run(f"c 4 0 {PCIEXBAR:x}, c 4 0 {PCIEXBAR + 4:x}")
    moved = 0xd0000000
    assert was[0] & 0xf0000000 != moved
    for size, reg, value in ((4, PCIEXBAR, moved | 1), (4, PCIEXBAR, 0), (1, PCIEXBAR + 3, moved >> 24),
                             (2, PCIEXBAR + 2, moved >> 16), (4, PCIEXBAR + 4, 1)):
        h.run(f"d {size:x} 0 {reg:x} {value:x}")
        assert h.run(f"c 4 0 {PCIEXBAR:x}, c 4 0 {PCIEXBAR + 4:x}") == was, hex(reg)
        window = moved + (h.nic << 12)
        assert h.run(f"r 4 {window:x}")[0] & 0xffff != 0x8086
    # by ports without the kernel's help, and by configuration space in memory
    h.run(f"o 4 cf8 {pci_address(0, PCIEXBAR):x}, o 4 cfc {moved | 1:x}, o 1 cff {moved >> 24:x}")
    h.run(f"w 4 {(was[0] & ~0xf) + PCIEXBAR:x} {moved | 1:x}")
    assert h.run(f"c 4 0 {PCIEXBAR:x}, c 4 0 {PCIEXBAR + 4:x}") == was


# ---- registers and instructions ----

@attack("x86-vmx")
def instructions_of_vmx(h):
    names = ("vmxon", "vmclear", "vmptrld", "vmptrst", "vmlaunch", "vmresume", "vmxoff", "vmread",
             "vmwrite", "vmfunc", "invept", "invvpid", "getsec", "cr4_vmxe")
    assert [name for name, failed in zip(names, h.run(", ".join(f"x {name}" for name in names)))
            if not failed] == []
    assert h.run("x vmcall, x invd") == [0, 0]


@attack("x86-vmx")
def registers_of_vmx(h):
    writes = [f"n {msr:x} {value:x}" for msr in (0x3a, 0x9b, *range(0x480, 0x493))
              for value in (0, 1, 5, h.memory, 1 << 63)]
    assert [write for write, failed in zip(writes, h.run_each(writes)) if not failed] == []


@attack("x86-svm")
def instructions_of_svm(h):
    for name in "vmrun", "vmload", "vmsave", "stgi", "clgi", "skinit", "invlpga":
        assert h.run(f"x {name}") == [1], name
    h.run("x vmmcall, x invd")


@attack("x86-svm", "x86-vmx")
def odd_xcr0(h):
    odd = (0, 0), (0, 2), (0, 5), (0, 1 << 12 | 1), (0, 1 << 62 | 1), (0, (1 << 64) - 1), (1, 1), (7, 1)
    assert h.run(", ".join(f"v {xcr:x} {value:x}" for xcr, value in odd)) == [1] * len(odd)


@attack("x86-svm")
def registers_of_svm(h):
    for msr in 0xc0000104, 0xc0010117, 0xc0010118, 0xc001011b:
        for value in 0, 1, h.memory, 1 << 63:
            assert h.run(f"n {msr:x} {value:x}") == [1], hex(msr)
    assert h.run("n c0010114 0, m c0010114") == [1, 0x18]


@attack("x86-svm")
def registers_of_the_firmware(h):
    """What is memory, where SMM and configuration space are, microcode."""
    for msr in (0xc0010016, 0xc001001a, 0xc001001d, 0xc0010050, 0xc0010058, 0xc0010111, 0xc0010113,
                0xc0010116, 0xc0010119, 0x1f2, 0x982):
        for value in 0, 1, 0xe0000021, h.memory | 0x800:
            assert h.run(f"n {msr:x} {value:x}") == [1], hex(msr)
    for bit in 0, 4, 24, 31, 35:
        assert h.run(f"n c0010015 {1 << bit:x}") == [1], bit
    for bit in 20, 21, 22, 23, 24:
        assert h.run(f"n c0010010 {1 << bit:x}") == [1], bit
    assert h.run("n c0010020 1000, n 79 1000") == [0, 0]


@attack("x86-svm", "x86-vmx")
def memory_types(h):
    """The monitor's memory without caches, and all memory."""
    assert h.run(f"m 2ff, n 20e {h.memory:x}, n 20f ffff000800, n 2ff 0, n 2ff c00, n 20f 0")[1:] == [0] * 5


X2APIC_ON, X2APIC_ICR = 0xfee00c00, 0x830


@attack("x86-svm-x2apic")
def malformed_x2apic_message(h):
    """x2APIC mode on a CPU that Linux uses without: reserved bits, modes, registers that are none."""
    operations = [f"n 1b {X2APIC_ON:x}"]
    for icr in (0xfff32000 | 0x41, 0x80041 | 0xfff00000, 0xc0041 | 1 << 13, 0x700, 0x300, 0x200):
        for destination in h.service, 0, 0xffffffff:
            operations.append(f"n {X2APIC_ICR:x} {destination << 32 | 0x4000 | icr:x}")
    # its page of memory is none any more
    for offset in 0x20, 0xd0, 0xe0, 0x280, 0x300, 0x310, 0x3f0, 0xff0:
        operations.append(f"w 4 {APIC + offset:x} ffffffff")
    h.without_answer(", ".join(operations), cpu=1)


# ---- what a kernel may do to itself ----

@attack("x86-svm", "x86-vmx", ends=RESETS)
def hidden_page_tables(h):
    h.without_answer(f"t {h.memory:x}")


# not in Bochs, which ends itself: "APIC read at address 0x0000fee00888 spans 32-bit boundary"
@attack("x86-svm", ends=RESETS)
def page_tables_in_the_apic(h):
    h.without_answer(f"t {APIC:x}")
