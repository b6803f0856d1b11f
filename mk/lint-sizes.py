#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The size of source files: none has more than MOST lines, and REASONS gives a reason for each that
has more than LONG. Prints each file that violates this, and each reason that is not needed.

    mk/lint-sizes.py          check; exit status 1 if a rule is broken
"""

import subprocess
import sys

LONG, MOST = 400, 600
SOURCES = ["*.c", "*.h", "*.S", "*.py", "*.sh", "*.mk", "Makefile"]
REASONS = {
    "arch/arm64/redirect.c":
        "one plan: places, the veneer and pieces of one redirect, which share the state of the plan",
    "arch/x86/msr.c":
        "one table: the policy of each MSR, and what reads and writes it for the guest",
    "arch/x86/redirect.c":
        "one plan: instructions, places and pieces of one redirect, which share the state of the plan",
    "arch/x86/text.c":
        "one kernel's rules for a module's code: of each kind of place its length, and what may be there",
    "ctl/check_funcs.c":
        "one question, asked with the agent's rules in the agent's order: can each function be patched?",
    "ctl/kallsyms.c":
        "one decoder: each of the kernel's tables is found by those found before it",
    "ctl/show.c":
        "the four commands that only show; they share the helpers that lay out tables",
    "guest-agent/agent.h":
        "what all of the agent's files offer each other, with the order of its locks",
    "guest-agent/compat.c":
        "everything but kallsyms that differs between kernel versions, so that no other file asks for a version",
    "guest-agent/declare.c":
        "one message: each check of klp_patch and each table of DECLARE, in the message's order",
    "guest-agent/helper/module.c":
        "one ELF file with every offset checked; whoever reads it uses only these functions",
    "guest-agent/helper/resolve.c":
        "one pass over the undefined symbols, in the five steps that its headings name",
    "guest-agent/late.c":
        "relocations of modules in a payload: applying each one stands beside taking it back",
    "guest-agent/loader.c":
        "/dev/suture and the process behind it: one state, under one lock",
    "guest-agent/overrides.c":
        "three kinds of override, found alike and told in one message",
    "include/suture/abi.h":
        "the contract of monitor and agent, read from top to bottom; what DECLARE and messages share is split off",
    "monitor/net/e1000.c":
        "one card: its start, its rings and its stop share the registers and their order",
    "monitor/patch/check/scan.c":
        "one scan: CPUs and tasks in the order that docs/consistency.md argues from",
    "monitor/patch/engine/declaration.c":
        "all checks of one untrusted message, in the order in which each may trust those before",
    "monitor/patch/engine/module.c":
        "a module's coming and going: one is the other's inverse",
    "monitor/patch/engine/types.h":
        "the engine's types, and what its files offer each other",
    "monitor/patch/switch/switch.c":
        "one switch from the plan to its end; who undoes a step stands beside it",
    "monitor/stage2/shadow.c":
        "the set and its plan: apply beside abandon, in the order of their use",
    "tests/qemu/test_differential.py":
        "one list of steps, and the two sides that are compared",
    "tests/qemu/test_in_force.py":
        "the tests share one machine and its modules",
    "monitor/tls/session.c":
        "one state: what comes from TCP, what the API asks for, and the session between them",
    "monitor/api/api.c":
        "one table of routes, what each needs, and those that change something",
    "monitor/api/connection.c":
        "one connection, from its first byte to its last",
    "tests/qemu/test_patch.py":
        "the tests share one machine and its patches",
    "tests/qemu/test_sites.py":
        "the tests share one machine and its patches",
    "tests/unit/engine_model.c":
        "one model: what Linux's livepatch would do at each event",
    "tests/unit/engine_rig.c":
        "one machine for the engine's tests; the agent and the operator are in files of their own",
    "tests/unit/engine_rig_agent.c":
        "one agent, which runs every step that the engine may give",
    "tests/unit/orc_program.h":
        "one generator: code and the ORC tables that describe it are made together",
    "tests/unit/synthetic.h":
        "one guest in memory: tasks, stacks, lists and CPUs lead to one another",
    "tests/unit/test_bell.c":
        "a doorbell for each CPU, the machine's line and the heartbeat behind them, on one set of words",
    "tests/unit/test_check.c":
        "the rule of the check, case by case over one guest",
    "tests/unit/test_check_ahead.c":
        "one look: what it may leave to the pause, what it may not, and each gap of the record",
    "tests/unit/test_check_cpus.c":
        "what a CPU may be doing when it is held, case by case over one guest",
    "tests/unit/test_engine_callbacks.c":
        "the tests of one document, in its order",
    "tests/unit/test_engine_guest.c":
        "a guest that is not well: cases of one answer, engine_guest_health()",
    "tests/unit/test_engine_life.c":
        "one patch's life: each test is a short script",
    "tests/unit/test_engine_rollback.c":
        "one operation: each step of it, refused or interrupted",
    "tests/unit/test_engine_states.c":
        "the tests of one document, in its order",
    "tests/unit/test_engine_walk.c":
        "one random walk with its model",
    "tests/unit/test_http_show.c":
        "each route's answer and each metric, compared with one engine and with docs/api.md",
    "tests/unit/test_pt_hooks.c":
        "one machine that wants every hook, and a test for each",
    "tests/unit/test_shadow.c":
        "plans over one rig, of one redirect and of many",
    "tests/unit/test_switch.c":
        "switches over one rig, each a short story",
    "tests/unit/test_unwind.c":
        "one generic unwinder over the fake architecture",
    "tests/unit/unicorn_pt.c":
        "the formats of x86-64, against the manual and against a CPU's own walker",
    "tests/unit/unicorn_redirect_sites.c":
        "two tables of shapes, and the machine that runs them",
    "tests/unit/unicorn_unwind.c":
        "one run: program, interrupts, and the truth to compare with",
    "tests/unit/x86_policy.c":
        "a test for each table of what the guest sees of its processor",
}


def main():
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *SOURCES],
                           stdout=subprocess.PIPE, check=True).stdout.decode().split()
    sizes = {}
    for path in files:
        try:
            with open(path, "rb") as file:
                sizes[path] = sum(1 for _ in file)
        except FileNotFoundError:  # deleted, but not yet in a commit
            continue
    broken = []
    for path, lines in sizes.items():
        if lines > MOST:
            broken.append(f"{path}: {lines} lines, at most {MOST} are allowed: split it")
        elif lines > LONG and path not in REASONS:
            broken.append(f"{path}: {lines} lines: split it, or say in mk/lint-sizes.py why it is one file")
    broken += [f"{path}: mk/lint-sizes.py has a reason for it, and it has no more than {LONG} lines"
               for path in REASONS if sizes.get(path, 0) <= LONG]
    for line in broken:
        print(f"lint: {line}", file=sys.stderr)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
