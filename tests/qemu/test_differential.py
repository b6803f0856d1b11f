# SPDX-License-Identifier: BSD-2-Clause
"""Linux's livepatch and Suture, side by side: random sequences of loads, disables, replacements and
modules that come and go, first with Linux's own livepatch, then the same with Suture in the same kernel.
After each step the kernel's messages, what the step returned, what sysfs shows, the modules' reference
counts and what the patched functions return are equal.

Suture also takes random steps alone, chosen by what it shows itself: their results and messages are the
same on every architecture. test_differential.txt has a digest of each. SUTURE_STORY=write writes it.

The modules are tests/guest/differential, built twice from one source. docs/semantics.md lists the
intended differences; NOT_COMPARED and blocked() exclude them here.

    SUTURE_STEPS=1000 SUTURE_SEED=7 make check-qemu TESTS=test_differential.py
"""

import hashlib
import itertools
import json
import os
import random
import re
import time

import pytest

from machine import BUILD, GUEST, PLATFORM
from patches import LIVEPATCH

STEPS = int(os.environ.get("SUTURE_STEPS", "120"))
SEED = int(os.environ.get("SUTURE_SEED", "2"))
MODULES = os.path.join(BUILD, "guest", f"{GUEST}-differential")
PATCHES = ["diff_a", "diff_b", "diff_c", "diff_d"]
TARGETS = ["diff_t1", "diff_t2"]
SETTLE_S = 120
STORY = os.path.join(os.path.dirname(__file__), "test_differential.txt")
WRITE_STORY = os.environ.get("SUTURE_STORY") == "write"

# Linux's debug messages are compared too, but for those on what blocks (klp_try_switch_task): its own
# selftests leave the same ones out.
# The module loader's remarks on foreign modules and payloads, once a boot; what depends on how long
# somebody blocks; what the agent says for itself.
NOT_COMPARED = re.compile(r": (loading out-of-tree|tainting kernel|module verification)|"
                          r"signaling remaining tasks")

# The observable state, one fact a line: "patch NAME enabled transition", "object PATCH/OBJECT
# patched", "module NAME references", "probe WHAT results...".
LOOK = r"""
cd $KLP
for p in diff_*; do [ -d $p ] && echo patch $p $(cat $p/enabled $p/transition); done
for o in diff_*/*/patched; do [ -e $o ] && echo object ${o%/*} $(cat $o); done
sed -n 's/^\(diff_[a-z0-9]*\) [0-9]* \([0-9]*\) .*/module \1 \2/p' /proc/modules | sort
echo probe cmdline $(sed 's/^[^d].*/original/' /proc/cmdline)
echo probe version $(sed 's/^Linux.*/original/' /proc/version)
for t in diff_t1 diff_t2; do
	d=/sys/module/$t/parameters
	[ -d $d ] && echo probe $t $(cat $d/values $d/at_init)
done
true
"""


class System:
    """A machine with one of the two implementations."""

    def __init__(self, machine, sysfs):
        self.machine = machine
        self.look_command = f"KLP={sysfs}\n" + LOOK
        self.sysfs = sysfs
        self.forced = False
        self.command = "boot"
        # livepatch's debug messages are part of what is compared
        machine.check("dmesg -n 1; dmesg -c >/dev/null")

    def look(self):
        facts = {"patches": {}, "objects": {}, "modules": {}, "probes": []}
        for line in self.machine.check(self.look_command, timeout=60).splitlines():
            kind, name, *rest = line.split()
            if kind == "patch" and len(rest) == 2:
                facts["patches"][name] = tuple(rest)
            elif kind == "object" and rest:
                facts["objects"][name] = rest[0]
            elif kind == "module":
                facts["modules"][name] = int(rest[0])
            elif kind == "probe":
                facts["probes"].append((name, *rest))
        return facts

    def settle(self):
        """Wait until nothing changes any more by itself; what is to be seen then. A transition that only
        a busy thread blocks is as still as one that is complete."""
        deadline = time.monotonic() + SETTLE_S
        facts = None
        while True:
            before, facts = facts, self.look()
            moving = [name for name, (_, transition) in facts["patches"].items()
                      if transition == "1"]
            # a patch that is off lets go of its module a moment later, unless it was forced
            held = [name for name, count in facts["modules"].items()
                    if name in PATCHES and count and name not in facts["patches"]
                    and not self.forced]
            # what happens between two lines of one look makes them differ: only a second is believed
            still = not held and facts == before
            blocked = still and bool(moving) and self.blocked(moving[0], facts["patches"])
            if still and (blocked or not moving):
                facts["blocked"] = blocked
                return facts
            if time.monotonic() > deadline:
                self.machine.fail(f"nothing settles after {self.command!r}: {facts}; "
                                  f"{self.waits_for()}")
            time.sleep(0.05)

    def step(self, command):
        """Execute the step; its result, its messages, and the observable state after it."""
        self.command = command
        self.forced |= command.endswith("/force")
        result = self.machine.shell(command.replace("$KLP", self.sysfs), timeout=60)
        facts = self.settle()
        facts["result"] = (result.status, result.out.replace(self.sysfs, "$KLP"))
        log = self.machine.check("dmesg -c")
        bad = re.search(r"WARNING:|BUG:|Oops|general protection|refcount_t|Call Trace", log)
        if bad:
            self.machine.fail(f"after {command!r}:\n{log}")
        lines = (re.sub(r"^\[ *[0-9.]+\] ", "", line) for line in log.splitlines())
        facts["log"] = [line for line in lines if re.match("livepatch: |diff_", line)
                        and not NOT_COMPARED.search(line)]
        return facts


class Linux(System):
    def __init__(self, boot):
        super().__init__(boot(native=True, cpus=1, agent=False, memory="1G",
                              cmdline='dyndbg="file kernel/livepatch/* +p;'
                                      ' func klp_try_switch_task -p"', files=files("linux")),
                         "/sys/kernel/livepatch")

    def blocked(self, patch, patches):
        """True if all tasks but busy threads have the target side of the transition."""
        tasks = self.machine.shell(f"for f in $(grep -Lx {patches[patch][0]} /proc/[0-9]*/patch_state"
                                   " 2>/dev/null); do cat ${f%/*}/comm; done").out.split()
        return bool(tasks) and all(re.fullmatch("diff_t._busy", task) for task in tasks)

    def waits_for(self):
        """The messages of livepatch's next attempts."""
        return self.machine.shell("echo 'func klp_try_switch_task +p' >/proc/dynamic_debug/control;"
                                  " sleep 3; dmesg", timeout=60).out


class Suture(System):
    def __init__(self, boot):
        super().__init__(boot(cpus=1, conf={"guest_patches": "yes"}, files=files("suture")),
                         "/sys/kernel/suture")
        self.machine.load_agent()
        self.machine.check("dmesg -c >/dev/null")

    def waits_for(self):
        return self.machine.json("/v1/status")["transition"]

    def blocked(self, patch, patches):
        """True if attempts fail repeatedly because of a busy thread."""
        seen = set()
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            transition = self.machine.json("/v1/status")["transition"]
            if not transition or not transition["blocker"]:
                return False
            if not re.fullmatch("diff_t._busy", transition["blocker"]["comm"]):
                return False
            seen.add(transition["attempts"])
            if len(seen) == 3:
                return True
            time.sleep(0.02)
        return False


def files(which):
    return {f"/lib/modules/{name}.ko": os.path.join(MODULES, which, f"{name}.ko")
            for name in PATCHES + TARGETS}


# ---- what to do next ----

def enters_in_between(target, facts):
    """Would a thread enter the target's functions while a patch that has them waits? In Linux it enters
    the side that its task has by then, in Suture the old one: it blocks the one, and not the other."""
    return any(transition == "1" and f"{patch}/{target}" in facts["objects"]
               for patch, (_, transition) in facts["patches"].items())


def never_ends(patch, facts, order):
    """Would a patch below others that is going come back? Linux then takes the head of the list of a
    function's patches for the patch before (klp_check_stack_func), and waits for tasks that it believes
    to sleep there, for ever."""
    return facts["patches"].get(patch) == ("0", "1") and any(
        order[other] > order[patch] for other in facts["patches"])


class Steps:
    """Random steps, chosen by what the reference shows."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.tag = 0
        self.busy = set()
        self.order = {}  # patch: a number that grows with each load

    def params(self):
        pick = self.random
        self.tag += 1
        funcs = sum(1 << n for n in range(8) if pick.random() < 0.4)
        funcs |= sum(1 << n for n in (8, 9) if pick.random() < 0.03)
        rets = [pick.choice([-19, -22, -12]) if pick.random() < 0.08 else 0 for _ in range(3)]
        versions = [pick.choice([0, 0, 0, 1, 1, 2]) if pick.random() < 0.4 else 0
                    for _ in range(2)]
        return " ".join([
            f"tag={self.tag}", f"funcs={funcs}", f"objects={pick.choice([1, 2, 4, 3, 5, 7, 7])}",
            f"callbacks={pick.choice([0xfff, 0xfff, 0xfff, pick.randrange(0x1000)])}",
            f"pre_patch_ret={','.join(map(str, rets))}",
            f"replace={int(pick.random() < 0.3)}", f"versions={','.join(map(str, versions))}"])

    def choices(self, facts):
        """[(weight, command)] of what makes sense, and of some that does not."""
        patches, modules = facts["patches"], facts["modules"]
        steps = []
        for name in PATCHES:
            if name not in modules:
                steps.append((4, f"load /lib/modules/{name}.ko {self.params()}"))
                continue
            steps.append((0.2, f"load /lib/modules/{name}.ko"))
            steps.append((0.3 if name in patches else 3, f"rmmod {name}"))
            steps.append((0.7, f"echo {self.random.choice([0, -19])},0,"
                               f"{self.random.choice([0, 0, -12])}"
                               f" >/sys/module/{name}/parameters/pre_patch_ret"))
            if name in patches:
                steps.append((3, f"echo 0 >$KLP/{name}/enabled"))
                steps.append((2 if patches[name][1] == "1" else 0.4, f"echo 1 >$KLP/{name}/enabled"))
        for name in TARGETS:
            busy = f"/sys/module/{name}/parameters/busy"
            if name not in modules:
                steps.append((4, f"load /lib/modules/{name}.ko"))
                steps.append((0.5, f"load /lib/modules/{name}.ko init_ret=-5"))
                continue
            steps.append((2 if name not in self.busy else 0.3, f"rmmod {name}"))
            if name in self.busy:
                steps.append((5 if facts["blocked"] else 2, f"echo 0 >{busy}"))
            else:
                steps.append((2, f"echo 1 >{busy}"))
        return steps

    def next(self, facts):
        steps = self.choices(facts)
        while True:
            command = self.random.choices([s for _, s in steps], [w for w, _ in steps])[0]
            busy = re.match(r"echo ([01]) >/sys/module/(diff_t.)/parameters/busy", command)
            enable = re.match(r"echo 1 >\$KLP/(diff_.)/enabled", command)
            if busy and busy[1] == "1" and enters_in_between(busy[2], facts):
                continue
            if not (enable and never_ends(enable[1], facts, self.order)):
                break
        if busy and busy[1] == "1":
            self.busy.add(busy[2])
        elif busy:
            self.busy.discard(busy[2])
        load = re.match(r"load /lib/modules/(diff_.)\.ko tag=(\d+)", command)
        if load and load[1] not in facts["modules"]:
            self.order[load[1]] = int(load[2])
        return command


def ends():
    """Steps that clean up what random ones left, and then force a patch on while a thread is in a
    function that it replaces. (Forced off it keeps its folder in sysfs: docs/semantics.md.)"""
    busy = [f"echo 0 >/sys/module/{name}/parameters/busy" for name in TARGETS]
    yield from [*busy, *(f"echo 0 >$KLP/{name}/enabled" for name in PATCHES),
                *(f"rmmod {name}" for name in PATCHES + TARGETS)]
    yield "load /lib/modules/diff_t1.ko"
    yield "echo 1 >/sys/module/diff_t1/parameters/busy"
    # its busy thread is in target_wait()
    yield "load /lib/modules/diff_a.ko tag=1 funcs=21 objects=3 callbacks=4095"
    yield "echo 0 >$KLP/diff_a/force"
    yield "echo 1 >$KLP/diff_a/force"
    yield "echo 1 >$KLP/diff_a/force"
    yield "load /lib/modules/diff_b.ko tag=2 funcs=21 objects=3 callbacks=4095"
    yield "echo 0 >/sys/module/diff_t1/parameters/busy"
    yield "echo 1 >/sys/module/diff_t1/parameters/busy"
    # now it is in diff_b's
    yield "echo 0 >$KLP/diff_b/enabled"
    yield "echo 0 >/sys/module/diff_t1/parameters/busy"


# ---- what must be equal ----

def came_in_between(before, facts):
    """Modules that came while a patch that has them waited to be switched. In Linux the task that loads
    one has a side of its own by then, in Suture the old one: their at_init may differ until they go."""
    waits = [name for name, (_, transition) in facts["patches"].items() if transition == "1"]
    kept = before.get("in_between", set()) & set(facts["modules"])
    return kept | {name for name in TARGETS
                   if before["blocked"] and facts["blocked"]
                   and name in facts["modules"] and name not in before["modules"]
                   and any(f"{patch}/{name}" in facts["objects"] for patch in waits)}


# all_funcs of patch.h: the object of each
OBJECT_OF_FUNC = [0, 0, 1, 1, 1, 2, 2, 2, 0, 2]


def cumulative_objects(command, before):
    """{patch: its own objects} of the patches that replace others, after the command."""
    found = re.match(r"load /lib/modules/(diff_[a-d])\.ko .*funcs=(\d+) objects=(\d+) .*replace=(\d)",
                     command)
    if not found or found[1] in before:
        return before
    funcs, objects, replace = (int(number) for number in found.groups()[1:])
    own = {index for n, index in enumerate(OBJECT_OF_FUNC) if funcs >> n & 1}
    own |= {index for index in range(3) if objects >> index & 1}
    names = {["vmlinux", *TARGETS][index] for index in own}
    return {**before, found[1]: names} if replace else before


def without_nops(facts):
    """Linux makes functions that do nothing (klp_add_nops) for what only the replaced patches change, and
    folders of the cumulative patch for their objects, until the replacement is complete. Suture has none."""
    waits = {name for name, (_, transition) in facts["patches"].items() if transition == "1"}

    def is_nop(path):
        patch, name = path.split("/")
        return patch in waits and name not in facts["cumulative"].get(patch, {name})
    return {path: patched for path, patched in facts["objects"].items() if not is_nop(path)}


def without_at_init(probes, modules):
    return [probe[:-1] if probe[0] in modules else probe for probe in probes]


def comparable(facts, in_between):
    """All of it. But while a transition waits, in Linux each task has one side of it, in Suture the whole
    machine still has the old one: then the functions' results are not compared. And at_init keeps what
    target_first() returned then."""
    seen = {key: value for key, value in facts.items()
            if key not in ("probes", "in_between", "cumulative")}
    if "cumulative" in facts:
        seen["objects"] = without_nops(facts)
    if not facts["blocked"]:
        seen["probes"] = without_at_init(facts["probes"], in_between)
    return seen


def differences(linux, suture):
    return {key: (linux[key], suture.get(key)) for key in linux if linux[key] != suture.get(key)}


def random_steps(system):
    """Take the steps: (facts before, command, facts after) of each."""
    print(f"SUTURE_SEED={SEED} SUTURE_STEPS={STEPS}")
    steps, facts = Steps(SEED), system.settle()
    for command in itertools.chain((steps.next for _ in range(STEPS)), ends()):
        command = command if isinstance(command, str) else command(facts)
        before, facts = facts, system.step(command)
        yield before, command, facts


def has_old_side(before, command, facts):
    """While a transition of Suture's is blocked, the whole machine has the old side until the switch."""
    known = {name: values for name, *values in before["probes"]}
    for name, *values in facts["probes"]:
        assert known.get(name, values) == values or "load" in command, (command, before)


def digest(command, facts):
    """Of the step, what it returned and the kernel's messages."""
    seen = json.dumps([command, facts["result"], facts["log"]]).encode()
    return f"{hashlib.sha256(seen).hexdigest()[:16]} {command}"


def told():
    """The digests of the first steps on another architecture."""
    with open(STORY) as file:
        seed, *digests = file.read().splitlines()
    return digests[:STEPS] if seed == f"seed {SEED}" and GUEST == PLATFORM.kernel and not WRITE_STORY else []


def test_alone(boot, measured):
    """Each step comes to its end, says what it says on other architectures, too, and the kernel has nothing
    to complain about."""
    blocked = refused = lines = 0
    story, expected = [], told()
    for before, command, facts in random_steps(Suture(boot)):
        if facts["blocked"]:
            has_old_side(before, command, facts)
        blocked += facts["blocked"]
        refused += facts["result"][0] != 0
        lines += len(facts["log"])
        story.append(digest(command, facts))
        if len(story) <= len(expected):
            assert story[-1] == expected[len(story) - 1], facts
    assert refused < len(story) / 2
    if WRITE_STORY:
        with open(STORY, "w") as file:
            file.write(f"seed {SEED}\n" + "".join(line + "\n" for line in story[:STEPS]))
    measured(f"seed {SEED}: {len(story)} steps, {refused} of them refused, {blocked} with a blocked "
             f"transition, {lines} messages; {len(expected)} steps as on other architectures")


@pytest.mark.skipif(not LIVEPATCH, reason="the kernel has no livepatch")
def test_same_as_linux(boot, measured):
    linux, story = Linux(boot), []
    for before, command, facts in random_steps(linux):
        facts["in_between"] = came_in_between(before, facts)
        loaded = {name: own for name, own in before.get("cumulative", {}).items()
                  if name in before["modules"]}
        facts["cumulative"] = cumulative_objects(command, loaded)
        story.append((command, facts))
    linux.machine.stop()

    suture = Suture(boot)
    before = suture.settle()
    for number, (command, expected) in enumerate(story):
        facts = suture.step(command)
        in_between = expected["in_between"]
        differ = differences(comparable(expected, in_between), comparable(facts, in_between))
        for name, first, _, at_init in (probe for probe in facts["probes"] if len(probe) == 4):
            if name in in_between and name not in before["modules"]:
                # it had the old side, as all code still has
                assert at_init == first, (command, facts)
        if differ:
            for earlier, _ in story[:number + 1]:
                print(earlier)
            raise AssertionError(
                f"SUTURE_SEED={SEED}, step {number}: {command}\n" +
                "\n".join(f"{key}:\n  linux  {a}\n  suture {b}" for key, (a, b) in differ.items()))
        if facts["blocked"]:
            has_old_side(before, command, facts)
        before = facts
    blocked = sum(facts["blocked"] for _, facts in story)
    in_between = sum(bool(facts["in_between"]) for _, facts in story)
    lines = sum(len(facts["log"]) for _, facts in story)
    refused = sum(facts["result"][0] != 0 for _, facts in story)
    measured(f"seed {SEED}: {len(story)} steps, {refused} of them refused, {blocked} with a blocked "
             f"transition, {in_between} with a module that came in one, {lines} messages: the same with Linux and with Suture")
