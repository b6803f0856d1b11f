# SPDX-License-Identifier: BSD-2-Clause
"""`make debug`: boot a guest under the monitor in QEMU, with its debugger's port open (docs/debugging.md)."""

import os
import shutil
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tests", "qemu"))

import images  # noqa: E402
from machine import BUILD, GuestError, Machine, SUTURE, SUTURE_EFI  # noqa: E402
from patches import suture_build  # noqa: E402

GDB_PORT = int(os.environ.get("GDB_PORT", "1234"))
LOGS = os.path.join(BUILD, "logs", "debug")
KEYS = os.path.join(LOGS, "keys")
IMAGE = os.path.join(os.path.dirname(SUTURE_EFI), "suture.so")


def write_commands(base, cpus):
    """For gdb: where the monitor's copy is, and the thread through which its memory can be read."""
    path = os.path.join(LOGS, "monitor.gdb")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"set pagination off\nset confirm off\ntarget remote localhost:{GDB_PORT}\n"
                   f"add-symbol-file {os.path.relpath(IMAGE, TOP)} -o {base}\n"
                   f"thread {cpus + 1}\n")
    return os.path.relpath(path, TOP)


def write_environment(port):
    """For the shell that has the operator's command."""
    path = os.path.join(LOGS, "environment")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"export SUTURE_CONFIG='{KEYS}/contexts' SUTURE_CONTEXT=operate SUTURE_HOST=127.0.0.1:{port}\n"
                   f"PATH='{os.path.dirname(SUTURE)}':$PATH\n")
    return os.path.relpath(path, TOP)


def main():
    shutil.rmtree(KEYS, ignore_errors=True)
    images.run(SUTURE, "keys", KEYS, "127.0.0.1")
    machine = Machine(LOGS, cpus=2, conf={"insecure": None}, esp={"/EFI/suture/keys.pem": f"{KEYS}/keys.pem"},
                      qemu=["-gdb", f"tcp:127.0.0.1:{GDB_PORT}"])
    try:
        machine.start()
        base = machine.wait_log(r"suture: .* MiB at (0x[0-9a-f]+)", timeout=120)[1]
        commands = write_commands(base, machine.cpus)
        machine.wait_ready()
        machine.load_agent()
        status, output = suture_build(os.path.join(TOP, "examples", "hello"),
                                      os.path.join(LOGS, "hello.sut"))
        if status:
            raise GuestError(output)
        images.run(SUTURE, "sign", os.path.join(LOGS, "hello.sut"), "--key", f"{KEYS}/signer.key")
        print(f"The monitor is at {base}; logs are in {os.path.relpath(LOGS, TOP)}. From the top of the tree:\n"
              f"    gdb -x {commands}\n"
              f"    . {write_environment(machine.port)}\n"
              f"    suture apply {os.path.relpath(LOGS, TOP)}/hello.sut\n"
              "The machine ends with this program's input (Ctrl-D).", flush=True)
        sys.stdin.read()
    except GuestError as error:
        print(f"debug: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        machine.stop()
    return 0


sys.exit(main())
