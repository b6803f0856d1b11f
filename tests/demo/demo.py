# SPDX-License-Identifier: BSD-2-Clause
"""`make demo`: boot Debian's kernel under the monitor, patch it over the network, revert it."""

import os
import sys
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tests", "qemu"))

from machine import BUILD, GuestError, Machine, PLATFORM  # noqa: E402
from patches import suture_build  # noqa: E402

START = time.monotonic()


def say(text):
    print(f"\n\033[1m[{time.monotonic() - START:5.1f} s] {text}\033[0m", flush=True)


def show(prompt, command, output):
    print(f"{prompt} {command}")
    for line in output.splitlines():
        print(f"    {line}")
    sys.stdout.flush()


def guest(machine, command):
    output = machine.check(command)
    show("guest#", command, output)
    return output


def suture(machine, *arguments):
    result = machine.suture(*arguments, timeout=120)
    show("host$", f"suture {' '.join(arguments)}", result.out)
    if result.status:
        raise GuestError(f"suture {arguments[0]} ended with status {result.status}")
    return result.out


def expect(what, is_so):
    if not is_so:
        raise GuestError(f"{what}: not so")


def look(machine):
    return guest(machine, "cat /proc/cmdline"), guest(machine, "kernelname")


def play(machine):
    machine.wait_ready()
    cpus = machine.cpus
    say(f"The guest is up. It has {cpus} CPUs; one more is the monitor's.")
    expect(f"{cpus} CPUs in the guest", guest(machine, "nproc") == str(cpus))
    guest(machine, "uname -r")

    say("Load the agent.")
    guest(machine, "insmod /lib/modules/suture.ko")
    guest(machine, "dmesg | grep -i suture | tail -n 3")
    suture(machine, "status")

    say("Before the patch: /proc/cmdline, and uname(2) in a user program.")
    before = look(machine)

    say("Build the patch (examples/demo) and apply it from the host.")
    bundle = os.path.join(BUILD, "demo.sut")
    status, output = suture_build(os.path.join(TOP, "examples", "demo"), bundle)
    show("host$", "suture build examples/demo -o build/demo.sut", output)
    expect("the patch builds", status == 0)
    applied = suture(machine, "apply", bundle)

    say("The same again, patched.")
    patched = look(machine)
    expect("/proc/cmdline is patched", "live patched" in patched[0])
    expect("uname(2) is patched", "live patched by Suture" in patched[1])

    say("Revert it.")
    reverted = suture(machine, "revert", "demo")
    after = look(machine)
    expect("all is as before", after == before)

    say("Both reports.")
    print(f"apply:\n{applied}\nrevert:\n{reverted}")
    say("Done: patched and reverted, with no reboot.")


def main():
    logs = os.path.join(BUILD, "logs", "demo")
    say(f"Boot OVMF, Suture, and a Debian 12 kernel in {PLATFORM.emulator}.")
    machine = Machine(logs, cpus=PLATFORM.demo_cpus)
    try:
        machine.start()
        play(machine)
    except GuestError as error:
        print(f"\ndemo failed: {error}", file=sys.stderr)
        return 1
    finally:
        machine.stop()
    return 0


sys.exit(main())
