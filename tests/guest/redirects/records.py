#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Does the code of an arm64 Image keep frame records, as the consistency check relies on (arch/arm64/unwind.c)?
All paths of each function are followed: at each instruction its return address must be in X30 or in a record at
X29, and at each call in a record. Prints how much was looked at, and the functions of which that is not so;
fails if there is one that is not known to be none of the check's business.
    records.py IMAGE
"""
import re
import sys
from array import array

from image import Image

FP, LR, SP = 29, 30, 31
CALLER, OWN, UNKNOWN = "the caller's", "its own", "unknown"

# Code without records that the check knows: where exceptions come in, and trampolines of tracers.
KNOWN = "return_to_handler|__kretprobe_trampoline|arch_rethook_trampoline"
# Code that is not on a stack that the check looks at: where CPUs and tasks begin, EL2's, firmware's.
# ftrace's callers make two records, but end under other names; qcom_link_stack_sanitisation calls nothing.
ELSEWHERE = r"ret_from_fork.*|.*cpu_resume|__cpu_suspend_enter|secondary_.*|__secondary_.*|__primary_switch|" \
    r"__pi_.*|__kvm_nvhe_.*|__guest_e.*|el2_.*|__sdei_asm_.*|__efi_rt_asm_recover|dummy_tramp|" \
    r"qcom_link_stack_sanitisation|cpu_switch_to|ftrace_(regs_)?call(er.*)?|ftrace_stub_direct_tramp"

# A path ends at a call of these.
NO_RETURN = r"__stack_chk_fail|panic|(__)?fortify_panic|do_exit|do_group_exit|make_task_dead|usercopy_abort|" \
    r"kthread_exit|kthread_complete_and_exit|__module_put_and_kthread_exit|(nmi_panic|panic_smp)_self_stop|" \
    r"hyp_panic|rest_init|die_kernel_fault|arm64_serror_panic|cpu_die_early|stop_this_cpu"


def signed(value, bits):
    return value - (1 << bits) if value >> bits - 1 else value


def is_call(i):
    return i >> 26 == 0x25 or i & 0xfffffc1f == 0xd63f0000 or i & 0xfefff800 == 0xd63f0800


def is_return(i):
    return i & 0xfffffc1f == 0xd65f0000 or i in (0xd65f0bff, 0xd65f0fff)


def is_indirect(i):
    return i & 0xfffffc1f == 0xd61f0000 or i & 0xfefff800 == 0xd61f0800


def is_break(i):
    return i & 0xffe0001f == 0xd4200000


def target(i, at):
    """Where a direct branch leads that is no call, or None."""
    if i >> 26 == 5:
        return at + 4 * signed(i & 0x3ffffff, 26)
    if i & 0xff000000 == 0x54000000 or i & 0x7e000000 == 0x34000000:
        return at + 4 * signed(i >> 5 & 0x7ffff, 19)
    if i & 0x7e000000 == 0x36000000:
        return at + 4 * signed(i >> 5 & 0x3fff, 14)
    return None


def written(i):
    """The general registers that an instruction writes, of those that matter; SP if it may."""
    rd, rt2 = i & 31, i >> 10 & 31
    if i & 0x3a000000 == 0x28000000:  # pairs
        regs = {rd, rt2} if i >> 22 & 1 and not i >> 26 & 1 else set()
        return regs - {SP}
    if i & 0x0a000000 == 0x08000000:  # other loads and stores
        plain = i & 0x3a000000 == 0x38000000
        load = i >> 22 & 3 if plain else i >> 22 & 1
        atomic = plain and i & 0x01200c00 == 0x00200000
        return {rd} - {SP} if (load or atomic) and not i >> 26 & 1 else set()
    if i >> 25 & 15 in (8, 9, 5, 13):  # data processing
        to_sp = i & 0x1f000000 in (0x11000000, 0x12000000) or i & 0x1fe00000 == 0x0b200000
        flags = i >> 29 & 1 if i & 0x1f000000 != 0x12000000 else i >> 29 & 3 == 3
        return {rd} if rd != SP or (to_sp and not flags) else set()
    if i & 0xfff00000 == 0xd5300000:  # MRS
        return {rd}
    return set()


class State:
    """x30: it has the function's return address; x29: whose record it points at; pair: where the two were stored,
    and sp: both from the stack pointer at entry."""

    def __init__(self, x30=True, x29=CALLER, pair=None, sp=0):
        self.x30, self.x29, self.pair, self.sp = x30, x29, pair, sp

    def key(self):
        return self.x30, self.x29, self.pair, self.sp

    def meet(self, other):
        def same(a, b, none):
            return a if a == b else none
        return State(self.x30 and other.x30, same(self.x29, other.x29, UNKNOWN),
                     same(self.pair, other.pair, None), same(self.sp, other.sp, None))

    def is_sound(self):
        return self.x30 or self.x29 == OWN or self.pair is not None

    def moved(self, by):
        return State(self.x30, self.x29, self.pair, None if self.sp is None else self.sp + by)

    def after(self, i):
        """Of an instruction that is no branch."""
        pair, add = i & 0xffc07fff, i & 0xff8003ff
        by = 8 * signed(i >> 15 & 127, 7)
        number = (i >> 10 & 0xfff) << (12 if i >> 22 & 1 else 0)
        number = -number if i >> 30 & 1 else number
        if pair in (0xa9807bfd, 0xa9007bfd):  # stp x29, x30, [sp...]
            s = self.moved(by if pair == 0xa9807bfd else 0)
            at = s.sp if pair == 0xa9807bfd else s.moved(by).sp
            return State(s.x30, s.x29, at if s.x30 and s.x29 == CALLER else s.pair, s.sp)
        if pair in (0xa8c07bfd, 0xa9407bfd):  # ldp x29, x30, [sp...]
            s = self.moved(by if pair == 0xa8c07bfd else 0)
            kept = self.pair is not None
            return State(kept, CALLER if kept else UNKNOWN, None, s.sp)
        if i & 0xffc003ff == 0x910003fd:  # add x29, sp, #number
            own = self.pair is not None and self.sp is not None and self.sp + number == self.pair
            return State(self.x30, OWN if own else UNKNOWN, self.pair, self.sp)
        if add in (0x910003ff, 0xd10003ff):  # add or sub sp, sp, #number
            return self.moved(number)
        if add in (0x910003bf, 0xd10003bf):  # add or sub sp, x29, #number
            return State(self.x30, self.x29, self.pair, self.pair + number if self.x29 == OWN else None)
        return self.generic(i)

    def generic(self, i):
        s = State(*self.key())
        base, size = i >> 5 & 31, 8 if i >> 31 or i >> 26 & 1 else 4
        if base == SP and i & 0x3a800000 == 0x28800000:  # pairs that change SP
            scale = 4 << (i >> 30) if i >> 26 & 1 else size
            s = s.moved(scale * signed(i >> 15 & 127, 7))
        if base == SP and i & 0x3b200400 == 0x38000400:  # single ones
            s = s.moved(signed(i >> 12 & 511, 9))
        regs = written(i)
        if LR in regs:
            s.x30 = False
        if FP in regs:
            s.x29 = UNKNOWN
        if SP in regs:
            s.sp = None
        return s


class Walk:
    """All paths of one function."""

    def __init__(self, image, words, no_return, start, end):
        self.keys, self.words, self.no_return = image.keys, words, no_return
        self.start, self.end, self.veneers = start, end, set()
        self.states, self.work, self.tables = {}, [], []
        self.calls, self.window, self.wrong = 0, False, None

    def go(self, at, state):
        self.work.append((at, state))

    def fail(self, at, what):
        self.wrong = self.wrong or f"{what} at {at - self.start:#x}"

    def branch(self, at, to, state):
        """A B. Of an erratum's veneer the second instruction branches back: it is a part of the function."""
        if not self.start <= to < self.end and target(self.words[to // 4 + 1], to + 4) == at + 4:
            self.veneers |= {to, to + 4}
        self.go(to, state)

    def leave(self, at, state):
        """By a tail call. Behind the end is what a call does not return to, or no code."""
        if at != self.end and (not state.x30 or state.x29 != CALLER):
            self.fail(at, "a branch out of it")

    def step(self, at, s):
        i = self.words[at // 4]
        if not s.is_sound():
            self.fail(at, "no return address")
            return
        self.window |= not s.x30 and s.x29 != OWN
        if at in self.keys:
            self.go(self.keys[at], s)
        to = target(i, at)
        if is_call(i):
            self.calls += 1
            if s.x29 != OWN:
                self.fail(at, "a call without a record")
                return
            if i >> 26 != 0x25 or at + 4 * signed(i & 0x3ffffff, 26) not in self.no_return:
                self.go(at + 4, State(False, OWN, s.pair, s.sp))
        elif to is not None:
            if i >> 26 == 5:
                self.branch(at, to, s)
            else:
                self.go(to, s)
                self.go(at + 4, s)
        elif is_return(i):
            if not s.x30 or s.x29 != CALLER:
                self.fail(at, "a return")
        elif is_indirect(i):
            self.tables.append(s)
        elif i and not is_break(i) and i != 0xd69f03e0:  # UDF, BRK and ERET end a path
            self.go(at + 4, s.after(i))

    def run(self):
        self.go(self.start, State())
        while self.work:
            at, s = self.work.pop()
            if not self.start <= at < self.end and at not in self.veneers:
                self.leave(at, s)
                continue
            known = self.states.get(at)
            if known:
                s = s.meet(known)
                if s.key() == known.key():
                    continue
            self.states[at] = s
            self.step(at, s)
            if not self.work and self.tables:
                self.seed()

    def seed(self):
        """Where a jump table may lead: what nothing else leads to, behind a branch."""
        table, self.tables = self.tables[0], []
        for at in range(self.start + 4, self.end, 4):
            before = self.words[at // 4 - 1]
            if at not in self.states and (before >> 26 == 5 or is_indirect(before)):
                self.go(at, table)


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    image = Image(data)
    words = array("I", data[:len(data) & ~3])
    entry = range(image.symbols["__entry_text_start"], image.symbols["__entry_text_end"])
    no_return = {at for at, name in image.functions.items() if re.fullmatch(NO_RETURN, name)}
    calls = instructions = 0
    windows, known, veneers, wrong = [], [], [], {}
    for start, name in image.functions.items():
        walk = Walk(image, words, no_return, start, image.end.get(start, start))
        walk.run()
        calls += walk.calls
        instructions += len(walk.states)
        if walk.veneers:
            veneers.append(name)
        if walk.wrong and (start in entry or re.fullmatch(f"{KNOWN}|{ELSEWHERE}", name)):
            known.append(name)
        elif walk.wrong:
            wrong[name] = walk.wrong
        elif walk.window:
            windows.append(name)
    print(f"record_functions {len(image.functions)}\nrecord_instructions {instructions}\nrecord_calls {calls}")
    print(f"record_known {len(known)}")
    print(f"record_windows {len(windows)}: X30 is used for something else while they make a record: {' '.join(windows)}")
    print(f"record_veneers {len(veneers)}: an erratum's veneer has an instruction of theirs: {' '.join(veneers)}")
    print(f"record_wrong {len(wrong)}")
    for name, what in wrong.items():
        print(f"{name}: {what}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
