# SPDX-License-Identifier: BSD-2-Clause
"""Attacks that only arm64 knows (attacks.py)."""

from attacks import HANGS, attack

# of QEMU's machine
DISTRIBUTOR, REDISTRIBUTOR, REDISTRIBUTOR_SIZE = 0x08000000, 0x080a0000, 0x20000
NOTHING = 0x0f000000  # no device answers there
NR_SPIS = 224
RAM = 0x48000000

# offsets in the distributor (IHI 0069, 12.9) and a redistributor (12.11)
GICD_CTLR, GICD_ISENABLER, GICD_ICENABLER, GICD_ISPENDR, GICD_ICPENDR, GICD_IROUTER = (
    0x0, 0x100, 0x180, 0x200, 0x280, 0x6000)
GICR_REGISTERS = {"CTLR": 0x0, "WAKER": 0x14, "PROPBASER": 0x70, "PENDBASER": 0x78, "IGROUPR0": 0x10080,
                  "ISENABLER0": 0x10100, "ICENABLER0": 0x10180, "ISPENDR0": 0x10200,
                  "IPRIORITYR0": 0x10400, "ICFGR1": 0x10c04, "IGRPMODR0": 0x10d00}

# classes of exceptions (DDI 0487, D19.2.37)
UNKNOWN, ILLEGAL_STATE, INSTRUCTION_ABORT, DATA_ABORT, BRK = 0x00, 0x0e, 0x21, 0x25, 0x3c
TRANSLATION_0 = 0x04  # its status

CPU_OFF, CPU_ON, AFFINITY_INFO, SYSTEM_OFF, SYSTEM_RESET, SYSTEM_RESET2 = (
    0x84000002, 0x84000003, 0x84000004, 0x84000008, 0x84000009, 0x84000012)
SMC64 = 0x40000000
INVALID_PARAMETERS, INVALID_ADDRESS = (1 << 64) - 2, (1 << 64) - 9


def redistributor(cpu):
    return REDISTRIBUTOR + cpu * REDISTRIBUTOR_SIZE


def exception_class(esr):
    return esr >> 26 if esr else None


# ---- the GIC ----

@attack("arm64-virt")
def redistributor_of_the_service_cpu(h):
    for name, offset in GICR_REGISTERS.items():
        at = redistributor(h.service) + offset
        read = h.run_each([f"r 4 {at:x}"] + [
            operation for value in (0, 0xffffffff, 1, 2, 0x02000000)
            for operation in (f"w 4 {at:x} {value:x}", f"w 1 {at:x} ff", f"r 4 {at:x}")])
        assert len(set(read)) == 1, (name, read)


@attack("arm64-virt")
def stores_of_all_kinds_to_it(h):
    """Also those whose exits do not say what they store."""
    at = redistributor(h.service) + GICR_REGISTERS["ISENABLER0"]
    before = h.run(f"r 4 {at:x}")
    for access in "store", "store_pair", "store_post", "store_vector", "zero_line", "store_release":
        assert h.run(f"a {access} {at:x}, r 4 {at:x}")[1:] == before, access


@attack("arm64-virt")
def own_interrupts_to_the_service_cpu(h):
    for register in "icc_sgi1r_el1", "icc_asgi1r_el1", "icc_sgi0r_el1":
        # Linux has no use for SGI 15; to all others, and to the service CPU alone
        h.run(f"n {register} {1 << 40 | 15 << 24:x}")
        h.run(", ".join(f"n {register} {intid << 24 | 1 << h.service:x}" for intid in range(16)))
        # a CPU that there is not
        h.run(f"n {register} {0xff << 48 | 0xff << 32 | 0xff << 16 | 0xffff:x}")


@attack("arm64-virt")
def lines_at_the_service_cpu(h):
    """Each line that the guest does not use is routed there, and made pending."""
    operations = []
    for intid in range(64, 32 + NR_SPIS, 8):
        word, bit = intid // 32 * 4, 1 << intid % 32
        operations.append(
              f"w 4 {DISTRIBUTOR + GICD_IROUTER + 8 * intid:x} {h.service:x}, "
              f"w 4 {DISTRIBUTOR + GICD_ISENABLER + word:x} {bit:x}, "
              f"w 4 {DISTRIBUTOR + GICD_ISPENDR + word:x} {bit:x}, u 32, "
              f"w 4 {DISTRIBUTOR + GICD_ICENABLER + word:x} {bit:x}, "
              f"w 4 {DISTRIBUTOR + GICD_ICPENDR + word:x} {bit:x}, "
              f"w 4 {DISTRIBUTOR + GICD_IROUTER + 8 * intid:x} 0")
    h.run_each(operations)


@attack("arm64-virt")
def distributor_off(h):
    was = h.run(f"r 4 {DISTRIBUTOR + GICD_CTLR:x}")[0]
    for value in 0, 1, 0x10, 0xffffffff:
        h.run(f"w 4 {DISTRIBUTOR + GICD_CTLR:x} {value:x}, u 100, w 4 {DISTRIBUTOR + GICD_CTLR:x} {was:x}")


@attack("arm64-virt")
def cpu_interface(h):
    """Its system registers are turned off, and its interrupts ended that are none."""
    for register in "icc_sre_el1", "icc_ctlr_el1", "icc_igrpen1_el1", "icc_pmr_el1":
        was = h.run(f"m {register}")[1]
        h.run(", ".join(f"n {register} {value:x}, n {register} {was:x}" for value in (0, 7, 0xffffffff)))
    h.run_each(f"n {register} {intid:x}" for register in ("icc_dir_el1", "icc_eoir1_el1")
               for intid in (0, 15, 27, 1020, 1023, 8192))


# ---- calls of the firmware ----

@attack("arm64-virt")
def functions_of_the_firmware(h):
    """All of PSCI that ends nothing, and numbers of each service (DEN0028, 6)."""
    ends = CPU_OFF, SYSTEM_OFF, SYSTEM_RESET, SYSTEM_RESET2
    psci = [0x84000000 | number for number in range(0x20) if 0x84000000 | number not in ends]
    others = [owner << 24 | number for owner in range(0x80, 0xc0) for number in (0x20, 0x42, 0xff01)]
    # where CPUs would start, and suspended ones go on: in the monitor
    h.run_each(f"s {number | form:x} 77 {h.memory:x} 0" for form in (0, SMC64) for number in psci + others)


@attack("arm64-virt")
def cpus_started_in_the_monitor(h):
    for form in 0, SMC64:
        # the other CPU runs: an address is judged before
        entries = h.memory, h.memory + 0x1000, NOTHING, redistributor(h.service)
        assert h.run_each(f"s {CPU_ON | form:x} 1 {entry:x} 0" for entry in entries) == [INVALID_ADDRESS] * 4
        assert h.run_each(f"s {call | form:x} {mpidr:x} {entry:x} 0"
                          for mpidr in (h.service, h.service | 1 << 31)
                          for call, entry in ((CPU_ON, RAM), (AFFINITY_INFO, 0))) == [INVALID_PARAMETERS] * 4


# ---- registers and instructions of EL2 ----

@attack("arm64-virt")
def registers_of_el2(h):
    names = ("hcr_el2", "sctlr_el2", "mdcr_el2", "cptr_el2", "vttbr_el2", "vtcr_el2", "ttbr0_el2",
                 "vbar_el2", "tpidr_el2", "elr_el2", "spsr_el2", "sp_el1", "vmpidr_el2", "cnthctl_el2",
                 "cntvoff_el2", "cnthp_ctl_el2", "icc_sre_el2", "ich_hcr_el2", "ich_lr0_el2", "scr_el3")
    read = h.run_each(f"m {name}, n {name} {h.memory:x}" for name in names)
    for i, name in enumerate(names):
        for esr in read[3 * i], read[3 * i + 2]:
            assert exception_class(esr) == UNKNOWN, (name, hex(esr))


@attack("arm64-virt")
def instructions_of_el2(h):
    expected = {"eret_to_el2": ILLEGAL_STATE, "eret_to_a32": ILLEGAL_STATE, "brk": BRK}
    expected.update({name: UNKNOWN for name in ("tlbi_alle1", "tlbi_alle2", "tlbi_vmalls12", "tlbi_ipas2",
                                                "at_el2", "at_s12", "udf", "hlt")})
    read = h.run_each(f"x {name}" for name in expected)
    assert dict(zip(expected, map(exception_class, read))) == expected
    assert h.run("x hvc_1, x smc_1, x wfe") == [0, 0, 0]


@attack("arm64-virt")
def breakpoints_in_the_monitor(h):
    """Of each exception level (DDI 0487, D2.8.3), on its first page and its data."""
    for hmc_ssc_pmc in 0x2006, 0x2000, 0x6006, 0xe006, 0x0006:
        control = hmc_ssc_pmc | 0x1e1
        for register in "b", "w":
            h.run(f"n oslar_el1 0, n dbg{register}vr0_el1 {h.memory:x}, "
                  f"n dbg{register}cr0_el1 {control | 0x18:x}, n mdscr_el1 a000")
            h.guest.json("/v1/status")
            h.run(f"k 1000, n mdscr_el1 0, n dbg{register}cr0_el1 0")
    h.run("n osdlr_el1 1, n oslar_el1 1, k 1000, n oslar_el1 0, n osdlr_el1 0")


# ---- stage 2 ----

READS = ("load", "load_pair", "load_exclusive", "load_across", "clean_line", "discard_code", "prefetch",
         "translate_read", "translate_write")
WRITES = ("store", "store_pair", "store_post", "store_vector", "store_release", "store_exclusive",
          "store_pair_exclusive", "store_across", "zero_line", "discard_line")


@attack("arm64-virt")
def accesses_to_hidden_memory(h):
    read = h.run_each(f"a {access} {h.memory + 0x1000:x}" for access in READS + WRITES)
    assert read == [0] * len(read), dict(zip(READS + WRITES, map(hex, read)))
    assert exception_class(h.run(f"a execute {h.memory + 0x1000:x}")[0]) == INSTRUCTION_ABORT
    assert h.run(f"r 4 {h.memory + 0x1000:x}") == [0]


@attack("arm64-virt")
def accesses_to_nothing(h):
    """Where no device answers, and above all addresses."""
    accesses = [f"{access} {at:x}" for at in (NOTHING, 1 << 43)
                for access in ("load", "load_pair", "store", "store_pair", "execute")]
    read = h.run_each(f"a {access}" for access in accesses)
    for access, esr in zip(accesses, read):
        assert exception_class(esr) in (INSTRUCTION_ABORT, DATA_ABORT), (access, hex(esr))


@attack("arm64-virt")
def hidden_page_tables(h):
    """They are zeros: no translation, at any level."""
    esr = h.run(f"p {h.memory:x}")[0]
    assert (exception_class(esr), esr & 0x3f) == (DATA_ABORT, TRANSLATION_0), hex(esr)


@attack("arm64-virt")
def page_tables_in_devices(h):
    for root in redistributor(h.service), DISTRIBUTOR, NOTHING:
        esr = h.run(f"p {root:x}")[0]
        assert exception_class(esr) == DATA_ABORT, (hex(root), hex(esr))


@attack("arm64-virt", ends=HANGS)
def kernel_in_hidden_page_tables(h):
    """Nothing can be fetched any more, not even the vectors."""
    h.without_answer(f"t {h.memory:x}")


@attack("arm64-virt", ends=HANGS)
def kernel_in_page_tables_of_a_device(h):
    h.without_answer(f"t {redistributor(h.service):x}")


@attack("arm64-virt", ends=HANGS)
def kernel_in_page_tables_of_nothing(h):
    h.without_answer(f"t {NOTHING:x}")
